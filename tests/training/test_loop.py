from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
import tensorflow as tf
from line import Counted, Line, Stop, batches, by_hand, model

from lesiongan.base.checkpoint_seconds import checkpoint_seconds
from lesiongan.base.errors import LesionganError, MachineError, UsageError
from lesiongan.training.callbacks import RecordLosses, SaveSamples
from lesiongan.training.checkpoints import Checkpoints
from lesiongan.training.loop import fit
from lesiongan.training.run import Run, TrainingCallback
from lesiongan.training.saving import interval


def run(folder, steps: int) -> Run:
    return Run("line", folder, steps=steps, images_per_step=1)


@pytest.fixture
def said(capsys, monkeypatch):
    """What was said so far."""
    monkeypatch.setenv("LESIONGAN_STEP", "lines")  # what is said goes to stdout
    lines: list[str] = []

    def so_far() -> str:
        lines.append(capsys.readouterr().out)
        return "".join(lines)

    return so_far


def test_a_training_of_n_steps_is_n_steps(tmp_path):
    line = model()
    summary = fit(line, batches(30), run(tmp_path, 30))
    assert summary["steps"] == 30
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)
    lines = [json.loads(text) for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in lines] == list(range(1, 31))
    assert lines[0]["loss"] == pytest.approx(0.0)
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_clock_that_jumps_changes_neither_durations_nor_when_a_training_is_saved(tmp_path, monkeypatch):
    clock, saved = itertools.cycle((4e9, 0.0)), []
    monkeypatch.setattr(time, "time", lambda: next(clock))
    save = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda self, step, *more: saved.append(step) or save(self, step, *more))
    summary = fit(model(), batches(30), run(tmp_path, 30), checkpoint_every=3600.0)
    assert saved == [30]  # at its end
    seconds = [json.loads(text)["seconds"] for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] <= summary["seconds"] < 600


def test_an_interrupted_training_goes_on_where_its_checkpoint_was(tmp_path):
    starts: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fit(model(), batches(30, starts), run(tmp_path, 30), [Stop(12)], checkpoint_every=0.0)
    line = model()
    fit(line, batches(30, starts), run(tmp_path, 30), checkpoint_every=0.0)
    assert starts == [0, 12]
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)
    lines = [json.loads(text) for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in lines] == list(range(1, 31))
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(lines))
    # a finished training does nothing
    again = model()
    fit(again, batches(30, starts), run(tmp_path, 30), checkpoint_every=0.0)
    assert starts == [0, 12]
    assert float(again.w) == float(line.w)


def counted():
    line = Counted()
    line.compile(jit_compile=False)
    return line


def test_a_models_own_counter_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(counted(), batches(30), run(tmp_path, 30), [Stop(12)], checkpoint_every=0.0)
    line = counted()
    starts: list[int] = []
    fit(line, batches(30, starts), run(tmp_path, 30), checkpoint_every=0.0)
    assert (starts, int(line.step)) == ([12], 30)
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)


@pytest.mark.parametrize("first", [counted, model])
def test_checkpoints_of_earlier_versions_are_gone_on_from(tmp_path, first):
    """By TensorFlow's manager, with a counter of the model's own (up to this version) and without (0.2.0)."""
    line = first()
    fit(line, batches(12), run(tmp_path / "first", 12))
    step = tf.Variable(12, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(step=step, state=list(line.state()))
    folder = tmp_path / "old" / "checkpoints"
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(checkpoint_number=12)

    starts: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fit(counted(), batches(30, starts), run(tmp_path / "old", 30), [Stop(2)], checkpoint_every=0.0)
    assert sorted(path.name for path in folder.iterdir()) == ["step-0000013", "step-0000014"]  # no old ones are left
    line = counted()
    fit(line, batches(30, starts), run(tmp_path / "old", 30))
    assert (starts, int(line.step)) == ([12, 14], 30)
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)


def test_a_damaged_checkpoint_of_an_earlier_version_is_said(tmp_path, said):
    folder = tmp_path / "checkpoints"
    checkpoint = tf.train.Checkpoint(step=tf.Variable(12, dtype=tf.int64), state=list(model().state()))
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(checkpoint_number=12)
    (data,) = folder.glob("ckpt-12.data*")
    data.write_bytes(data.read_bytes()[:3])
    line = model()
    fit(line, batches(30), run(tmp_path, 30))
    assert "the checkpoint of step 12 is damaged" in said()
    assert "begins anew" in said()
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)


def test_losses_stay_on_the_device_until_their_line_is_due(tmp_path):
    seen = []

    class Look(TrainingCallback):
        def at_step(self, step, losses):
            seen.append((step, losses["loss"]))

    fit(model(), batches(400), run(tmp_path, 400), [Look()])
    assert [step for step, _ in seen] == list(range(1, 401))
    assert all(tf.is_tensor(loss) for _, loss in seen)  # Keras's own callbacks get floats, read in each step
    lines = [json.loads(text) for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(2, 401, 2))
    means = [np.mean([float(loss) for _, loss in seen[i : i + 2]]) for i in range(0, 400, 2)]
    assert [line["loss"] for line in lines] == pytest.approx(means, rel=1e-5)


def test_a_state_that_is_not_finite_never_becomes_a_checkpoint(tmp_path):
    def poisoned(start: int):
        return tf.data.Dataset.range(start, 900).map(
            lambda i: (tf.ones([1]), tf.fill([1], tf.where(i == 4, np.nan, 1.0)))
        )

    # a line is due after 4 and 8 steps, a checkpoint after each
    with pytest.raises(LesionganError, match="'loss' is not finite at step 5"):
        fit(model(), poisoned, run(tmp_path, 900), checkpoint_every=0.0)
    line = model()
    starts: list[int] = []
    fit(line, batches(30, starts), run(tmp_path, 30), checkpoint_every=0.0)
    assert starts == [4]


def test_a_training_that_diverges_says_so(tmp_path):
    def poisoned(start: int):
        return tf.data.Dataset.range(start, 9).map(
            lambda i: (tf.ones([1]), tf.fill([1], tf.where(i == 4, np.nan, 1.0)))
        )

    with pytest.raises(LesionganError, match="'loss' is not finite at step 5"):
        fit(model(), poisoned, run(tmp_path, 9))


def test_samples_are_saved_on_the_way_and_at_the_end(tmp_path):
    pictures = lambda: {"grid": np.zeros((8, 8, 3), np.uint8)}  # noqa: E731
    fit(model(), batches(10), run(tmp_path, 10), [SaveSamples(pictures, 4)])
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [f"grid-{i:07d}.png" for i in (4, 8, 10)]


def test_rates_are_recorded_with_the_losses(tmp_path):
    rates = iter(range(100))
    fit(model(), batches(3), run(tmp_path, 3), [RecordLosses(lambda: {"learning_rate": next(rates)})])
    lines = [json.loads(text) for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize(
    ("images", "group", "advice", "greedy"),
    [
        (
            8,
            "cyclegan",
            r"lower the batch \(--set cyclegan\.batch=4\) or the size of the images \(cyclegan\.size\)",
            True,
        ),
        (1, "cyclegan", r"lower the size of the images \(cyclegan\.size\), the batch is 1", False),
        (8, "", "lower the batch or the size of the images", False),
    ],
)
def test_out_of_memory_says_what_to_lower(tmp_path, images, group, advice, greedy):
    class Greedy(Line):
        def train_step(self, data):
            logs = super().train_step(data)
            if not greedy:  # what TensorFlow raises after trying for ten seconds
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return logs | {"sum": tf.reduce_sum(tf.fill([2**40 + tf.cast(self.w, tf.int64)], self.w))}

    line = Greedy()
    line.compile(jit_compile=False)
    with pytest.raises(MachineError, match=f"^line: out of memory; {advice}, then give the command again$"):
        fit(line, batches(9), Run("line", tmp_path, steps=9, images_per_step=images, group=group))


@pytest.mark.parametrize(("every", "took", "expected"), [(None, 0.1, 60), (None, 3.0, 150), (5.0, 3.0, 5), (0.0, 1, 0)])
def test_checkpoints_take_two_percent_of_the_time_unless_asked_for_more_often(every, took, expected):
    assert interval(every, took) == pytest.approx(expected)


def test_the_environment_says_how_often_and_nonsense_is_refused(monkeypatch):
    for text, expected in (("", None), ("2.5", 2.5), ("0", 0.0)):
        monkeypatch.setenv("LESIONGAN_CHECKPOINT_SECONDS", text)
        assert checkpoint_seconds() == expected
    for text in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv("LESIONGAN_CHECKPOINT_SECONDS", text)
        with pytest.raises(UsageError, match=f"{text}: give the seconds between two checkpoints"):
            checkpoint_seconds()
