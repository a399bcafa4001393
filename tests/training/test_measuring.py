"""Measurements, the best state and warnings: as an uninterrupted training leaves them, wherever it was killed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from line import Stop, batches, by_hand, model

from lesiongan.training.failure_watch import WatchFailures
from lesiongan.training.loop import fit
from lesiongan.training.measuring import Measure, export_best, exported_state
from lesiongan.training.run import Run
from lesiongan.training.states import best_state, last_state, spare_states

STEPS, EVERY = 30, 4
MEASURED = (4, 8, 12, 16, 20, 24, 28, 30)


class Every:
    """Warns at each fourth line of losses, and of w where it is above a half."""

    def __init__(self):
        self.seen = 0

    def __call__(self, step, values):
        self.seen += "loss" in values
        told = [f"{self.seen} lines"] if "loss" in values and self.seen % 4 == 0 else []
        return told + (["w is above a half"] if values.get("w", 0) > 0.5 else [])


def train(folder: Path, *, measure=None, stop: int = 0, checkpoint_every: float = 1e9, steps=STEPS, **more):
    line = model()
    measure = measure or (lambda: {"distance": abs(float(line.w) - 0.6), "w": float(line.w)})
    options = {"select": "distance", "exported": lambda: [line.w.value], **more}
    callbacks = [Measure(measure, EVERY, **options), WatchFailures(Every()), *([Stop(stop)] if stop else [])]
    run = Run("line", folder, steps=steps, images_per_step=2)
    summary = fit(line, batches(steps), run, callbacks, checkpoint_every=checkpoint_every)
    return line, summary


def lines(folder: Path, name: str = "measurements.jsonl") -> list[dict]:
    return [json.loads(text) for text in (folder / name).read_text().splitlines()]


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def left(folder: Path) -> dict:
    """All that a training leaves, apart from the time it took."""
    found = {name: lines(folder, name) for name in ("measurements.jsonl", "warnings.jsonl")}
    found["stats"] = without_time(lines(folder, "stats.jsonl"))
    for name in ("best", "last"):
        for path in sorted((folder / name).iterdir()):
            if name == "best" and path.name in spare_states(folder):
                continue  # of an earlier checkpoint
            with np.load(path) as data:
                found[f"{name}/{path.name}"] = {key: data[key].tolist() for key in data.files}
    return found


def test_measurements_and_the_states_they_choose(tmp_path):
    line, summary = train(tmp_path)
    rows = lines(tmp_path)
    assert [row["step"] for row in rows] == list(MEASURED)
    assert [row["images"] for row in rows] == [2 * step for step in MEASURED]
    expected = {step: abs(by_hand(step) - 0.6) for step in MEASURED}
    assert [row["distance"] for row in rows] == pytest.approx(list(expected.values()), rel=1e-4)
    chosen = min(expected, key=expected.get)
    assert chosen not in (MEASURED[0], MEASURED[-1])
    best, last = best_state(tmp_path), last_state(tmp_path)
    assert (best.step, last.step) == (chosen, STEPS)
    assert (summary["best_step"], summary["best_distance"]) == (chosen, best.value)
    assert float(best.arrays[0]) == pytest.approx(by_hand(chosen), rel=1e-5)
    assert float(last.arrays[0]) == pytest.approx(by_hand(STEPS), rel=1e-5)
    assert len(list((tmp_path / "best").iterdir())) == 1
    best.assign([line.w.value])
    assert float(line.w) == float(best.arrays[0])


def test_a_record_says_which_state_was_exported(tmp_path):
    train(tmp_path / "chosen")
    train(tmp_path / "not", select="", exported=None)
    rows = {row["step"]: row for row in lines(tmp_path / "chosen")}
    best = best_state(tmp_path / "chosen").step
    for folder, export, state, step in (
        ("chosen", "best", "best", best),
        ("chosen", "last", "last", STEPS),
        ("not", "best", "last", STEPS),  # nothing was chosen, so that the last one was exported
    ):
        measured = {"distance": rows[step]["distance"], "w": rows[step]["w"]}
        expected = {"exported": {"state": state, "step": step, "measured": measured}}
        assert exported_state(tmp_path / folder, export) == expected


@pytest.mark.parametrize(("checkpoint", "kill"), [(0, 13), (5, 6), (8, 3), (9, 20), (12, 17), (22, 7)])
def test_a_killed_training_leaves_what_an_uninterrupted_one_does(tmp_path, checkpoint, kill):
    train(tmp_path / "whole")
    if checkpoint:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", stop=checkpoint, checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", stop=kill)
    if kill + checkpoint > MEASURED[0]:
        with (tmp_path / "cut" / "measurements.jsonl").open("a") as file:
            file.write('{"step": 2')  # cut off in the middle of a write
    train(tmp_path / "cut")
    assert left(tmp_path / "cut") == left(tmp_path / "whole")


def test_the_best_state_never_comes_from_a_future_that_was_trained_again(tmp_path):
    taken = iter([0.5, 0.9, 0.1, 0.3])

    def measure():
        return {"distance": next(taken)}

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, measure=measure, stop=9, checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, measure=measure, stop=8)
    assert best_state(tmp_path).step == 12
    train(tmp_path, measure=lambda: {"distance": 1.0})
    best = best_state(tmp_path)
    assert (best.step, best.value) == (4, 0.5)
    assert float(best.arrays[0]) == pytest.approx(by_hand(4), rel=1e-5)
    assert [row["distance"] for row in lines(tmp_path)] == [0.5, 0.9, 1, 1, 1, 1, 1, 1]


def test_a_damaged_best_state_is_said_and_the_best_of_what_is_left_is_taken(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")  # what is said goes to stdout
    taken = iter([0.5, 0.1, 0.3, 0.4, 0.2, 0.6, 0.7, 0.8])

    def measure():
        return {"distance": next(taken)}

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, measure=measure, stop=14, checkpoint_every=0.0)
    (path,) = (tmp_path / "best").iterdir()
    assert path.name == "0000008.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    line, summary = train(tmp_path, measure=measure)
    (said,) = [text for text in capsys.readouterr().out.splitlines() if "best/" in text]
    assert "best/0000008.npz is not as it was written; what else was kept is taken" in said
    assert (summary["best_step"], best_state(tmp_path).step) == (20, 20)
    export_best(summary, tmp_path, [line.w.value], "line")
    assert float(line.w) == pytest.approx(by_hand(20), rel=1e-5)
    assert exported_state(tmp_path, "best")["exported"] == {"state": "best", "step": 20, "measured": {"distance": 0.2}}
    (tmp_path / "best" / "0000020.npz").write_bytes(b"PK")
    line.w.assign(7.0)
    export_best(summary, tmp_path, [line.w.value], "line")
    assert float(line.w) == 7.0
    assert exported_state(tmp_path, "best")["exported"]["step"] == STEPS
    assert "no best state is left; the last one is exported" in capsys.readouterr().out


def test_patience_ends_a_training_and_it_stays_ended(tmp_path):
    def measured():
        taken = iter([0.5, 0.2, 0.3, 0.2, 0.4])
        return lambda: {"distance": next(taken)}

    line, summary = train(tmp_path, measure=measured(), patience=3)
    assert summary["steps"] == 20  # the best at 8, then 12, 16 and 20
    assert float(line.w) == pytest.approx(by_hand(20), rel=1e-5)
    assert (best_state(tmp_path).step, last_state(tmp_path).step) == (8, 20)
    before = left(tmp_path)
    line, summary = train(tmp_path, measure=measured(), patience=3)
    assert summary["steps"] == 20
    assert float(line.w) == pytest.approx(by_hand(20), rel=1e-5)
    assert left(tmp_path) == before


def test_what_is_not_finite_is_missing_and_never_the_best(tmp_path):
    taken = iter([np.nan, 0.4, np.inf, 0.7, np.nan, 0.9, 0.9, -np.inf])
    train(tmp_path, measure=lambda: {"distance": next(taken)})
    assert [row["distance"] for row in lines(tmp_path)] == [None, 0.4, None, 0.7, None, 0.9, 0.9, None]
    assert best_state(tmp_path).step == 8
    assert np.isnan(last_state(tmp_path).value)


def test_a_training_that_chooses_nothing_keeps_no_state(tmp_path):
    train(tmp_path, select="", exported=None)
    assert not (tmp_path / "best").exists()
    with pytest.raises(FileNotFoundError, match="no state"):
        best_state(tmp_path)


def test_an_unknown_measurement_to_select_by_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="'nothing' is not among distance, w"):
        train(tmp_path, select="nothing")


def test_each_warning_is_said_once(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("lesiongan.training.failure_watch.say", said.append)
    train(tmp_path)
    rows = lines(tmp_path, "warnings.jsonl")
    assert [row["warning"] for row in rows if "lines" in row["warning"]] == [f"{n} lines" for n in range(4, 31, 4)]
    above = [row["step"] for row in rows if row["warning"] == "w is above a half"]
    expected = [step for step in MEASURED if by_hand(step) > 0.5]
    assert 1 < len(expected) < len(MEASURED)
    assert above == expected[:1]
    assert said == [f"line: warning: {row['warning']}" for row in rows]
