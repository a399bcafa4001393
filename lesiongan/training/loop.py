"""`fit` with what long trainings need: resume from the last checkpoint, records, progress.

A training is a pure function of (data, configuration, seed): every batch depends on its step alone, so that an
interrupted and resumed training does the same as an uninterrupted one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from lesiongan.base.progress import say
from lesiongan.training.callbacks import Checkpoints, RecordLosses, ShowProgress
from lesiongan.training.run import Run, TrainingCallback


def fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    run: Run,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    checkpoint_every: float | None = None,
) -> dict[str, float]:
    """Trains a compiled model up to `run.steps` steps, going on from the last checkpoint in its folder where there is
    one.

    Args:
        model: a compiled model with `state() -> list[tf.Variable]`, everything that a resumed training needs; its
            `train_step` returns a dict of scalar losses. Where it has a counter of its steps, `model.step`, that is the
            last of the state.
        batches: gives the batches from a step on; they must depend on the step alone.
        run: the training; made for this call alone.
        callbacks: each does one thing: `RecordLosses` (there is one in any case), `measuring.Measure`,
            `failure_watch.WatchFailures` after it, `SaveSamples`. A `TrainingCallback` acts before a checkpoint of its
            step is saved, any other Keras callback after it.
        checkpoint_every: seconds between checkpoints; by default LESIONGAN_CHECKPOINT_SECONDS of the environment,
            else 60.

    Returns:
        `steps` (those done), `seconds` (of all processes that took part), `images_per_second`, the last losses, and
        what the callbacks add.

    Raises:
        LesionganError: a loss is not finite.
    """
    run.run_dir.mkdir(parents=True, exist_ok=True)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    state = list(model.state())
    checkpoint = tf.train.Checkpoint(step=step, state=state)
    manager = tf.train.CheckpointManager(checkpoint, str(run.run_dir / "checkpoints"), max_to_keep=1)
    if manager.latest_checkpoint:
        if _lacks_counter(manager.latest_checkpoint, model, state):
            tf.train.Checkpoint(step=step, state=state[:-1]).restore(manager.latest_checkpoint).assert_consumed()
            model.step.assign(step)
        else:
            checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        say(f"{run.name}: goes on from step {int(step):,} of {run.steps:,}")
    run.start = int(step)
    if checkpoint_every is None:
        checkpoint_every = float(os.environ.get("LESIONGAN_CHECKPOINT_SECONDS", "60"))

    own = [callback for callback in callbacks if isinstance(callback, TrainingCallback)]
    if not any(isinstance(callback, RecordLosses) for callback in own):
        own = [RecordLosses(), *own]
    own += [Checkpoints(step, manager, checkpoint_every, list(own)), ShowProgress()]
    for callback in own:
        callback.resume(run)
    if run.start < run.steps and not any(callback.finished() for callback in own):
        run.open()
        others = [callback for callback in callbacks if not isinstance(callback, TrainingCallback)]
        model.fit(
            batches(run.start).prefetch(2),
            epochs=1,
            steps_per_epoch=run.steps - run.start,
            verbose=0,
            shuffle=False,
            callbacks=_Callbacks([*own, *others], add_history=True, model=model),
        )
        run.close()
    return {key: value for callback in own for key, value in callback.summary().items()}


def drop_checkpoints(run_dir: Path) -> None:
    """Removes the checkpoints of a finished training, whose weights have been exported."""
    shutil.rmtree(Path(run_dir) / "checkpoints", ignore_errors=True)


def _lacks_counter(path: str, model: keras.Model, state: Sequence[tf.Variable]) -> bool:
    """Whether a checkpoint is of a time (0.2.0) when the model had no counter of its own, the last of its state."""
    saved = {name.split("/")[1] for name, _ in tf.train.list_variables(path) if name.startswith("state/")}
    return hasattr(model, "step") and saved == {str(i) for i in range(len(state) - 1)}


class _Callbacks(keras.callbacks.CallbackList):
    """Hands the losses of a step on as tensors; Keras's own list reads them from the device in each step."""

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)
