"""`fit` with what long trainings need: resume from the last checkpoint, progress, TensorBoard, sample grids.

A training is a pure function of (data, configuration, seed): every batch depends on its step alone, so that an
interrupted and resumed training does the same as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from lesiongan.errors import LesionganError
from lesiongan.files import write_text
from lesiongan.progress import Progress, say

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
) -> dict[str, float]:
    """Trains a compiled model up to `steps` steps, going on from the last checkpoint in `run_dir` where there is one.

    Args:
        model: a compiled model with `state() -> list[tf.Variable]`, everything that a resumed training needs; its
            `train_step` returns a dict of scalar losses.
        batches: gives the batches from a step on; they must depend on the step alone.
        steps: the steps of the whole training.
        images_per_step: images seen in a step, for rates.
        run_dir: gets `checkpoints/`, `stats.jsonl`, `tensorboard/`, `samples/`.
        name: what progress calls this training.
        callbacks: more Keras callbacks.
        checkpoint_every: seconds between checkpoints; by default LESIONGAN_CHECKPOINT_SECONDS of the environment,
            else 60.
        samples: gives pictures by name, uint8 `[height, width, 3]`.
        samples_every: steps between two of them; 0: at the end only.

    Returns:
        `steps`, `seconds` (of all processes that took part), `images_per_second`, and the last losses.

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
    recorder = _Recorder(
        run_dir, name, start, steps, images_per_step, step, manager, checkpoint_every, samples, samples_every
    )
    if start < steps:
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


class _Recorder(keras.callbacks.Callback):
    """Counts steps; writes statistics, checkpoints and samples."""

    def __init__(self, run_dir, name, start, steps, images_per_step, step, manager, every, samples, samples_every):
        super().__init__()
        self.run_dir, self.name, self.steps, self.images_per_step = run_dir, name, steps, images_per_step
        self.step, self.manager, self.every = step, manager, every
        self.samples, self.samples_every = samples, samples_every
        self.period = max(1, steps // _POINTS)
        self.done = start
        self.sums: dict[str, float] = {}
        self.counted = 0
        self.lines = _kept_lines(run_dir / "stats.jsonl", start)
        self.before = self.lines[-1]["seconds"] if self.lines else 0.0
        self.begin = self.saved = time.monotonic()
        self.progress = Progress(name, steps, "steps", start, images_per_step, "images")
        self.writer = None

    def on_train_begin(self, logs=None):
        write_text(self.run_dir / "stats.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))
        self.writer = tf.summary.create_file_writer(str(self.run_dir / "tensorboard"))

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        for key, value in (logs or {}).items():
            value = float(value)
            if not math.isfinite(value):
                raise LesionganError(
                    f"{self.name}: the loss {key!r} is not finite at step {self.done:,}: the training diverged. "
                    "Lower the learning rate (--set ...learning_rate) and give the command again."
                )
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.counted += 1
        if self.done % self.period == 0 or self.done == self.steps:
            self._record()
        now = time.monotonic()
        if now - self.saved > self.every:
            self._save()
        if (
            self.samples is not None
            and self.samples_every
            and self.done % self.samples_every == 0
            and self.done < self.steps
        ):
            self._sample()
        self.progress.update(self.done)

    def on_train_end(self, logs=None):
        if time.monotonic() - self.begin > self.every:
            self._save()
        if self.samples is not None:
            self._sample()
        self.writer.close()
        self.progress.close(self.done)

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.begin

    def summary(self) -> dict[str, float]:
        seconds = self.lines[-1]["seconds"] if self.lines else 0.0
        last = {
            k: v for k, v in (self.lines[-1] if self.lines else {}).items() if k not in ("step", "images", "seconds")
        }
        rate = self.done * self.images_per_step / seconds if seconds else 0.0
        return {"steps": self.done, "seconds": round(seconds, 2), "images_per_second": round(rate, 2), **last}

    def _record(self):
        means = {key: value / self.counted for key, value in self.sums.items()}
        line = {"step": self.done, "images": self.done * self.images_per_step, "seconds": round(self.seconds(), 2)}
        line |= {key: float(f"{value:.6g}") for key, value in means.items()}
        self.lines.append(line)
        with (self.run_dir / "stats.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with self.writer.as_default(step=self.done):
            for key, value in means.items():
                tf.summary.scalar(f"{self.name}/{key}", value)
        self.sums, self.counted = {}, 0

    def _save(self):
        self.step.assign(self.done)
        self.manager.save(checkpoint_number=self.done)
        self.saved = time.monotonic()

    def _sample(self):
        folder = self.run_dir / "samples"
        folder.mkdir(exist_ok=True)
        with self.writer.as_default(step=self.done):
            for key, picture in self.samples().items():
                Image.fromarray(picture).save(folder / f"{key}-{self.done:07d}.png")
                tf.summary.image(f"{self.name}/{key}", picture[None])


def _kept_lines(path: Path, step: int) -> list[dict]:
    """The statistics up to the checkpoint's step: what came after it is trained again."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # cut off by a kill
            break
        if line["step"] > step:
            break
        lines.append(line)
    return lines
