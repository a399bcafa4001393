"""A training that diverges: it ends, or goes back to a checkpoint and on at a lower rate."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from line import Line, Stop

from lesiongan.training.callbacks import RecordLosses
from lesiongan.training.loop import fit
from lesiongan.training.measuring import exported_state
from lesiongan.training.rollback import Rollback
from lesiongan.training.run import Diverged, Run

STEPS = 400


class Rated(Line):
    """w moves by the rate times the error; where the rate is 2 or more it flees to infinity (y = w x, x = 1)."""

    def __init__(self):
        super().__init__()
        self.rate = tf.Variable(0.0, trainable=False)

    def train_step(self, data):
        x, y = data
        error = tf.reduce_mean(y - self.w * x)
        self.w.assign_add(self.rate * error)
        return {"loss": error}


def ones(start: int) -> tf.data.Dataset:
    return tf.data.Dataset.range(start, STEPS).map(lambda i: (tf.ones([1]), tf.ones([1])))


def train(folder, rate: float, times: int, *callbacks, factor: float = 0.5, **more):
    line = Rated()
    line.compile(jit_compile=False)
    rates: list[float] = []

    def set_rate(factor: float) -> None:
        rates.append(rate * factor)
        line.rate.assign(rate * factor)

    run = Run("line", folder, steps=STEPS, images_per_step=1, group="acgan")
    summary = fit(line, ones, run, callbacks, rollback=Rollback(times, factor, set_rate), **more)
    return line, summary, rates


def test_without_rollbacks_it_ends_and_says_what_to_do(tmp_path):
    with pytest.raises(Diverged) as caught:
        train(tmp_path, 4.0, 0)
    said = str(caught.value)
    assert "line: the loss 'loss' is not finite at step" in said
    assert "--set acgan.learning_rate=..." in said
    assert "--set acgan.rollbacks=3" in said


def test_it_goes_back_and_on_at_a_lower_rate(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")
    line, summary, rates = train(tmp_path, 6.0, 3)
    assert rates == [6.0, 3.0, 1.5]  # the error is multiplied by 1 - rate in each step
    assert summary["rollbacks"] == 2
    assert summary["steps"] == STEPS
    assert float(line.w) == pytest.approx(1.0)
    said = [text for text in capsys.readouterr().out.splitlines() if "back to the checkpoint" in text]
    assert len(said) == 2
    assert "line: the loss 'loss' is not finite at step" in said[0]
    assert "back to the checkpoint of step 0, on at 0.5 of the rate (rollback 1 of 3)" in said[0]
    recorded = exported_state(tmp_path, "last")["rollbacks"]
    assert [(row["to_step"], row["rate_factor"]) for row in recorded] == [(0, 0.5), (0, 0.25)]
    lines = [json.loads(text) for text in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [row["step"] for row in lines] == list(range(2, STEPS + 1, 2))  # each step once
    assert all(np.isfinite(row["loss"]) for row in lines)


def test_the_number_of_rollbacks_is_limited(tmp_path):
    with pytest.raises(Diverged):
        train(tmp_path, 64.0, 2)


def test_a_resumed_training_knows_its_rollbacks(tmp_path):
    class StopAt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.rate == 1.5 and batch == 200:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 6.0, 3, StopAt(), checkpoint_every=0.0)
    line, summary, rates = train(tmp_path, 6.0, 3)
    assert rates == [1.5]
    assert summary["rollbacks"] == 2
    assert float(line.w) == pytest.approx(1.0)


def test_weights_that_are_not_finite_are_never_saved_though_the_losses_are(tmp_path):
    class Poison(Line):
        def train_step(self, data):
            logs = super().train_step(data)
            self.w.assign(tf.where(self.w > 0.0, np.nan, self.w))
            return {"loss": tf.where(tf.math.is_finite(logs["loss"]), logs["loss"], 0.0)}

    line = Poison()
    line.compile(jit_compile=False)
    run = Run("line", tmp_path, steps=STEPS, images_per_step=1)
    with pytest.raises(Diverged, match="1 of 1 variables is not finite after step 1: poison/w"):
        fit(line, ones, run, checkpoint_every=0.0)
    assert not list((tmp_path / "checkpoints").glob("step-*"))


def test_an_older_checkpoint_is_taken_where_the_last_one_was_too_late(tmp_path):
    """Saved at each step until the loss is about to overflow: the last ones are finite, and lost at any rate."""
    line = Rated()
    line.compile(jit_compile=False)

    def fleeing(folder, steps, stop=0):
        line.rate.assign(4.0)
        run = Run("line", folder, steps=STEPS, images_per_step=1)
        fit(line, ones, run, [RecordLosses(), Stop(steps)], checkpoint_every=0.0)

    with pytest.raises(KeyboardInterrupt):
        fleeing(tmp_path, 70)
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert before == ["step-0000069", "step-0000070"]
    with pytest.raises(Diverged):
        train(tmp_path, 1e30, 2, factor=1.0)
    assert [json.loads(text)["to_step"] for text in (tmp_path / "rollbacks.jsonl").read_text().splitlines()] == [70, 69]
