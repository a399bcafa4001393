"""One training, as its callbacks share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import LesionganError
from lesiongan.training.lines import Lines


class Diverged(LesionganError):
    """A loss or a weight is not finite.

    Args:
        what: was seen.
        advice: what to do.
    """

    def __init__(self, what: str, advice: str):
        super().__init__(f"{what}: the training diverged. {advice}")
        self.what = what


class Run:
    """A training's name, place and length, and what is recorded of it.

    Args:
        name: what progress calls it.
        run_dir: gets `checkpoints/`, `stats.jsonl`, `tensorboard/`, and what callbacks write.
        steps: of the whole training.
        images_per_step: images seen in a step, for rates.
        group: of the options that it goes by (`acgan`), for messages that name one; "": none is named.

    Attributes:
        start: the step of the checkpoint that it goes on from.
        recorded: the files of lines that callbacks write, those of losses first.
        listeners: are told the numbers of a step as soon as they are recorded.
        rollbacks: how often it went back to a checkpoint and on at a lower rate, each with its steps and the rate.
    """

    def __init__(self, name: str, run_dir: Path, *, steps: int, images_per_step: int, group: str = ""):
        self.name, self.run_dir, self.group = name, Path(run_dir), group
        self.steps, self.images_per_step = steps, images_per_step
        self.rollbacks: list[dict] = []
        self.begin(0)
        self._writer: tf.summary.SummaryWriter | None = None

    def begin(self, start: int) -> None:
        """The training begins at the step of a checkpoint; callbacks are to `resume`."""
        self.start = start
        self.recorded: list[Lines] = []
        self.listeners: list[Callable[[int, Mapping[str, float]], None]] = []

    def diverged(self, what: str) -> Diverged:
        """The error of a training that diverged: `what` was seen, and what to do."""
        group = self.group or "..."
        advice = f"Lower the rate (--set {group}.learning_rate=...)"
        if self.group:
            advice += f", or let it go back to a checkpoint and on at a lower one (--set {group}.rollbacks=3)"
        return Diverged(f"{self.name}: {what}", f"{advice}, and give the command again.")

    def open(self) -> None:
        """Begins TensorBoard's events."""
        self._writer = tf.summary.create_file_writer(str(self.run_dir / "tensorboard"))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def tell(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step, to TensorBoard (under the group's name) and to the listeners."""
        if self._writer is not None:
            with self._writer.as_default(step=step):
                for key, value in values.items():
                    tf.summary.scalar(f"{group}/{key}", value)
        for listener in self.listeners:
            listener(step, values)

    def show(self, key: str, step: int, picture: np.ndarray) -> None:
        """A picture, uint8 `[height, width, 3]`, to TensorBoard."""
        if self._writer is not None:
            with self._writer.as_default(step=step):
                tf.summary.image(f"{self.name}/{key}", picture[None])


class TrainingCallback(keras.callbacks.Callback):
    """A Keras callback of a `Run`, which `loop.fit` hands it. Its losses come as tensors, still on the device."""

    run: Run

    def resume(self, run: Run) -> None:
        """Called before the training, when `run.start` is known, and again where it goes back to a checkpoint."""
        self.run = run

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self.at_step(self.run.start + batch + 1, logs or {})

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        """After each step, counted from 1."""

    def finished(self) -> bool:
        """Whether the training has ended before its last step, so that nothing is left to train."""
        return False

    def before_checkpoint(self, step: int) -> None:
        """A checkpoint is about to be saved; raises where the state is not worth one."""

    def after_checkpoint(self, kept: Sequence[int]) -> None:
        """A checkpoint was saved; those of the steps `kept` are there now, and a resume may begin at any of them."""

    def summary(self) -> dict[str, float]:
        """What `fit` returns of it."""
        return {}
