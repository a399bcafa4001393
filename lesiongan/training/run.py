"""One training, as its callbacks share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lesiongan.training.lines import Lines


class Run:
    """A training's name, place and length, and what is recorded of it.

    Args:
        name: what progress calls it.
        run_dir: gets `checkpoints/`, `stats.jsonl`, `tensorboard/`, and what callbacks write.
        steps: of the whole training.
        images_per_step: images seen in a step, for rates.

    Attributes:
        start: the step of the checkpoint that it goes on from.
        recorded: the files of lines that callbacks write, those of losses first.
        listeners: are told the numbers of a step as soon as they are recorded.
    """

    def __init__(self, name: str, run_dir: Path, *, steps: int, images_per_step: int):
        self.name, self.run_dir = name, Path(run_dir)
        self.steps, self.images_per_step = steps, images_per_step
        self.start = 0
        self.recorded: list[Lines] = []
        self.listeners: list[Callable[[int, Mapping[str, float]], None]] = []
        self._writer: tf.summary.SummaryWriter | None = None

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
        """Called once before the training, when `run.start` is known."""
        self.run = run

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self.at_step(self.run.start + batch + 1, logs or {})

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        """After each step, counted from 1."""

    def finished(self) -> bool:
        """Whether the training has ended before its last step, so that nothing is left to train."""
        return False

    @property
    def needs_checkpoint(self) -> bool:
        """Whether a training needs a checkpoint at its end, however short it is."""
        return False

    def before_checkpoint(self, step: int) -> None:
        """A checkpoint is about to be saved; raises where the state is not worth one."""

    def after_checkpoint(self) -> None:
        """A checkpoint was saved."""

    def summary(self) -> dict[str, float]:
        """What `fit` returns of it."""
        return {}
