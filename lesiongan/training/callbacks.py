"""The callbacks of every training but the one that saves it: recorded losses, progress, sample grids."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from PIL import Image

from lesiongan.base.progress import Progress, say
from lesiongan.training.lines import Lines
from lesiongan.training.run import Run, TrainingCallback

STATS = "stats.jsonl"
_POINTS = 200  # how many points a training curve has


class RecordLosses(TrainingCallback):
    """Means of the losses over a two-hundredth of the training, as lines of `stats.jsonl`.

    Losses stay on the device until their line is due: reading them in each step would wait for the device each time.

    Args:
        rates: learning rates by name, recorded with the losses.

    Raises:
        Diverged: a loss is not finite; that is seen when a line is due, and before a checkpoint.
    """

    def __init__(self, rates: Callable[[], Mapping[str, float]] | None = None):
        super().__init__()
        self.rates = rates

    def resume(self, run: Run) -> None:
        super().resume(run)
        self.lines = Lines(run.run_dir / STATS, run.start)
        run.recorded.append(self.lines)
        self._period = max(1, run.steps // _POINTS)
        self._pending: list[Mapping[str, tf.Tensor]] = []
        self._done, self._read = run.start, run.start
        self._before = self.lines.lines[-1]["seconds"] if self.lines.lines else 0.0
        self._begin = time.monotonic()
        self._sums: dict[str, float] = {}
        self._counted = 0

    def on_train_begin(self, logs=None) -> None:
        self.lines.begin()

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        self._done = step
        self._pending.append(losses)
        if step % self._period == 0 or step == self.run.steps:
            self._record()

    def before_checkpoint(self, step: int) -> None:
        self._read_pending()

    def summary(self) -> dict[str, float]:
        line = self.lines.lines[-1] if self.lines.lines else {}
        seconds = line.get("seconds", 0.0)
        rate = self._done * self.run.images_per_step / seconds if seconds else 0.0
        last = {k: v for k, v in line.items() if k not in ("step", "images", "seconds")}
        return {"steps": self._done, "seconds": round(seconds, 2), "images_per_second": round(rate, 2), **last}

    def _record(self) -> None:
        self._read_pending()
        means = {key: value / self._counted for key, value in self._sums.items()}
        means |= self.rates() if self.rates else {}
        seconds = self._before + time.monotonic() - self._begin
        line = {"step": self._done, "images": self._done * self.run.images_per_step, "seconds": round(seconds, 2)}
        values = {key: float(f"{value:.6g}") for key, value in means.items()}
        self.lines.append(line | values)
        self.run.tell(self.run.name, self._done, values)
        self._sums, self._counted = {}, 0

    def _read_pending(self) -> None:
        """Takes the losses from the device, all at once, and adds them up in the order of the steps."""
        pending, self._pending = self._pending, []
        for key in sorted(pending[0]) if pending else ():
            for number, value in enumerate(tf.stack([losses[key] for losses in pending]).numpy().tolist(), 1):
                if not math.isfinite(value):
                    raise self.run.diverged(f"the loss {key!r} is not finite at step {self._read + number:,}")
                self._sums[key] = self._sums.get(key, 0.0) + value
        self._counted += len(pending)
        self._read += len(pending)


class ShowProgress(TrainingCallback):
    """Rate and time left, for a person, and the last numbers that were recorded."""

    _SHOWN = ("loss", "g_loss", "d_loss", "accuracy", "kid", "balanced_accuracy", "validation_balanced_accuracy")

    _progress: Progress | None = None

    def on_train_begin(self, logs=None) -> None:
        run = self.run
        self._done = run.start
        self._last: dict[str, float] = {}
        run.listeners.append(lambda step, values: self._last.update(values))
        self._progress = Progress(run.name, run.steps, "steps", run.start, run.images_per_step, "images")

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        self._done = step
        assert self._progress is not None
        self._progress.update(step, lambda: ", ".join(self._numbers()))

    def on_train_end(self, logs=None) -> None:
        assert self._progress is not None
        self._progress.close(self._done)

    def leave(self) -> None:
        """The training ends before its end: what is said next begins on a line of its own."""
        if self._progress is not None:  # it may not have begun
            self._progress.leave()

    def _numbers(self) -> list[str]:
        return [f"{key.replace('_', ' ')} {self._last[key]:.3g}" for key in self._SHOWN if key in self._last]


class SaveSamples(TrainingCallback):
    """Pictures for people, on the way and at the end: `samples/<name>-<step>.png`.

    Args:
        pictures: gives them by name, uint8 `[height, width, 3]`.
        every: steps between two of them; 0: at the end only.
    """

    def __init__(self, pictures: Callable[[], Mapping[str, np.ndarray]], every: int = 0):
        super().__init__()
        self.pictures, self.every = pictures, every

    def on_train_begin(self, logs=None) -> None:
        place = self.run.run_dir.resolve()
        say(f"{self.run.name}: pictures on the way: {place / 'samples'}; tensorboard --logdir {place / 'tensorboard'}")

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        self._done = step
        if self.every and step % self.every == 0 and step < self.run.steps:
            self._save()

    def on_train_end(self, logs=None) -> None:
        self._save()

    def _save(self) -> None:
        folder = self.run.run_dir / "samples"
        folder.mkdir(exist_ok=True)
        for key, picture in self.pictures().items():
            Image.fromarray(picture).save(folder / f"{key}-{self._done:07d}.png")
            self.run.show(key, self._done, picture)
