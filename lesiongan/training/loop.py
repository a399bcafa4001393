"""`fit` with what long trainings need: resume from the last checkpoint, progress, TensorBoard, sample grids.

A training is a pure function of (data, configuration, seed): every batch depends on its step alone, so that an
interrupted and resumed training does the same as an uninterrupted one.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from lesiongan.errors import LesionganError
from lesiongan.progress import Progress, say
from lesiongan.training.measuring import Lines, Measurements, Warnings, Watch

STATS = "stats.jsonl"
_POINTS = 200  # how many points a training curve has


def fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    *,
    steps: int,
    images_per_step: int,
    run_dir: Path,
    name: str,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_every: float | None = None,
    samples: Callable[[], dict[str, np.ndarray]] | None = None,
    samples_every: int = 0,
    rates: Callable[[], Mapping[str, float]] | None = None,
    measure: Callable[[], Mapping[str, float]] | None = None,
    measure_every: int = 0,
    select: str = "",
    exported: Callable[[], Sequence[tf.Variable]] | None = None,
    watch: Watch | None = None,
    patience: int = 0,
) -> dict[str, float]:
    """Trains a compiled model up to `steps` steps, going on from the last checkpoint in `run_dir` where there is one.

    Args:
        model: a compiled model with `state() -> list[tf.Variable]`, everything that a resumed training needs; its
            `train_step` returns a dict of scalar losses.
        batches: gives the batches from a step on; they must depend on the step alone.
        steps: the steps of the whole training.
        images_per_step: images seen in a step, for rates.
        run_dir: gets `checkpoints/`, `stats.jsonl`, `tensorboard/`, `samples/`; with `measure` `measurements.jsonl`,
            `best/` and `last/`; with `watch` `warnings.jsonl`.
        name: what progress calls this training.
        callbacks: more Keras callbacks.
        checkpoint_every: seconds between checkpoints; by default LESIONGAN_CHECKPOINT_SECONDS of the environment,
            else 60.
        samples: gives pictures by name, uint8 `[height, width, 3]`.
        samples_every: steps between two of them; 0: at the end only.
        rates: learning rates by name, recorded with the losses.
        measure: measurements of the model by name; one that is not finite is recorded as missing.
        measure_every: steps between two calls of it; the end is measured too. 0: only the end.
        select: the measurement whose lowest value chooses the best state; "": none is kept.
        exported: the variables that are kept of the best state and of the last one; see `measuring.best_state`.
        watch: is told each recorded line of losses and of measurements, in order, and on a resume those before the
            checkpoint again; its warnings are said once each. Made for this call alone.
        patience: end the training when `select` has not improved for so many measurements; 0: never.

    Returns:
        `steps` (those done), `seconds` (of all processes that took part), `images_per_second`, the last losses, and
        `best_step` and `best_<select>` where a best state was kept.

    Raises:
        LesionganError: a loss is not finite.
    """
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(step=step, state=list(model.state()))
    manager = tf.train.CheckpointManager(checkpoint, str(run_dir / "checkpoints"), max_to_keep=1)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        say(f"{name}: goes on from step {int(step):,} of {steps:,}")
    start = int(step)
    if checkpoint_every is None:
        checkpoint_every = float(os.environ.get("LESIONGAN_CHECKPOINT_SECONDS", "60"))
    stats = Lines(run_dir / STATS, start)
    measurements = Measurements(
        run_dir,
        start,
        steps,
        measure=measure,
        every=measure_every,
        select=select,
        exported=exported,
        patience=patience,
    )
    # at one step the losses are recorded before the measurements
    before = sorted([*stats.lines, *measurements.file.lines], key=lambda line: line["step"])
    recorder = _Recorder(
        run_dir,
        name,
        start,
        steps,
        images_per_step,
        save=_Saver(step, manager, checkpoint_every, measurements),
        stats=stats,
        measurements=measurements,
        warnings=Warnings(watch, run_dir, name, before),
        samples=samples,
        samples_every=samples_every,
        rates=rates,
    )
    if start < steps and not measurements.exhausted():
        model.fit(
            batches(start).prefetch(2),
            epochs=1,
            steps_per_epoch=steps - start,
            verbose=0,
            shuffle=False,
            callbacks=[recorder, *callbacks],
        )
    return recorder.summary()


def drop_checkpoints(run_dir: Path) -> None:
    """Removes the checkpoints of a finished training, whose weights have been exported."""
    shutil.rmtree(Path(run_dir) / "checkpoints", ignore_errors=True)


class _Saver:
    """Saves checkpoints, by the clock."""

    def __init__(
        self, step: tf.Variable, manager: tf.train.CheckpointManager, every: float, measurements: Measurements
    ):
        self.step, self.manager, self.every, self.measurements = step, manager, every, measurements
        self.begin = self.saved = time.monotonic()

    def if_due(self, done: int) -> None:
        if time.monotonic() - self.saved > self.every:
            self.now(done)

    def at_end(self, done: int) -> None:
        """A training shorter than the time between two checkpoints needs none, unless states depend on it."""
        if time.monotonic() - self.begin > self.every or self.measurements.keeps_states:
            self.now(done)

    def now(self, done: int) -> None:
        self.step.assign(done)
        self.manager.save(checkpoint_number=done)
        self.measurements.checkpointed()
        self.saved = time.monotonic()


class _Recorder(keras.callbacks.Callback):
    """Counts steps; writes statistics, measurements, warnings, checkpoints and samples when they are due."""

    def __init__(
        self,
        run_dir: Path,
        name: str,
        start: int,
        steps: int,
        images_per_step: int,
        *,
        save: _Saver,
        stats: Lines,
        measurements: Measurements,
        warnings: Warnings,
        samples: Callable[[], dict[str, np.ndarray]] | None,
        samples_every: int,
        rates: Callable[[], Mapping[str, float]] | None,
    ):
        super().__init__()
        self.run_dir, self.name, self.steps, self.images_per_step = run_dir, name, steps, images_per_step
        self.save, self.stats, self.measurements, self.warnings = save, stats, measurements, warnings
        self.samples, self.samples_every, self.rates = samples, samples_every, rates
        self.period = max(1, steps // _POINTS)
        self.done = start
        self.sums: dict[str, float] = {}
        self.counted = 0
        self.before = stats.lines[-1]["seconds"] if stats.lines else 0.0
        self.begin = time.monotonic()
        self.progress = Progress(name, steps, "steps", start, images_per_step, "images")
        self.writer = None

    def on_train_begin(self, logs=None):
        for kept in (self.stats, self.measurements, self.warnings):
            kept.begin()
        self.writer = tf.summary.create_file_writer(str(self.run_dir / "tensorboard"))

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        self._count(logs or {})
        if self.done % self.period == 0 or self.done == self.steps:
            self._record()
        if self.measurements.due(self.done):
            self._measure()
        self.save.if_due(self.done)
        if (
            self.samples is not None
            and self.samples_every
            and self.done % self.samples_every == 0
            and self.done < self.steps
        ):
            self._sample()
        self.progress.update(self.done)

    def on_train_end(self, logs=None):
        self.measurements.end(self.done)
        self.save.at_end(self.done)
        if self.samples is not None:
            self._sample()
        self.writer.close()
        self.progress.close(self.done)

    def summary(self) -> dict[str, float]:
        line = self.stats.lines[-1] if self.stats.lines else {}
        seconds = line.get("seconds", 0.0)
        rate = self.done * self.images_per_step / seconds if seconds else 0.0
        last = {k: v for k, v in line.items() if k not in ("step", "images", "seconds")}
        found = {"steps": self.done, "seconds": round(seconds, 2), "images_per_second": round(rate, 2), **last}
        best = self.measurements.best() if self.measurements.keeps_states else None
        if best:
            found |= {"best_step": best["step"], f"best_{self.measurements.select}": best[self.measurements.select]}
        return found

    def _count(self, losses: Mapping[str, float]):
        for key, value in losses.items():
            value = float(value)
            if not math.isfinite(value):
                raise LesionganError(
                    f"{self.name}: the loss {key!r} is not finite at step {self.done:,}: the training diverged. "
                    "Lower the learning rate (--set ...learning_rate) and give the command again."
                )
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.counted += 1

    def _record(self):
        means = {key: value / self.counted for key, value in self.sums.items()}
        means |= self.rates() if self.rates else {}
        seconds = self.before + time.monotonic() - self.begin
        line = {"step": self.done, "images": self.done * self.images_per_step, "seconds": round(seconds, 2)}
        line |= {key: float(f"{value:.6g}") for key, value in means.items()}
        self.stats.append(line)
        self._scalars(self.name, means)
        self.warnings.notice(self.done, line)
        self.sums, self.counted = {}, 0

    def _measure(self):
        values = self.measurements.take(self.done, self.done * self.images_per_step)
        self._scalars(f"{self.name}/measured", values)
        self.warnings.notice(self.done, values)
        if self.measurements.exhausted():
            say(f"{self.name}: ends at step {self.done:,} of {self.steps:,}: {self.measurements.verdict()}")
            self.model.stop_training = True

    def _scalars(self, group: str, values: Mapping[str, float]):
        with self.writer.as_default(step=self.done):
            for key, value in values.items():
                tf.summary.scalar(f"{group}/{key}", value)

    def _sample(self):
        folder = self.run_dir / "samples"
        folder.mkdir(exist_ok=True)
        with self.writer.as_default(step=self.done):
            for key, picture in self.samples().items():
                Image.fromarray(picture).save(folder / f"{key}-{self.done:07d}.png")
                tf.summary.image(f"{self.name}/{key}", picture[None])
