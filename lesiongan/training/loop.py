"""`fit` with what long trainings need: saved and gone on with, records, progress, an end in order.

A training is a pure function of (data, configuration, seed): every batch depends on its step alone, so that an
interrupted and resumed training does the same as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from lesiongan.base.checkpoint_seconds import CHECKPOINTS, checkpoint_seconds
from lesiongan.base.errors import MachineError
from lesiongan.base.progress import say
from lesiongan.training.callbacks import RecordLosses, ShowProgress
from lesiongan.training.checkpoints import Checkpoints
from lesiongan.training.distribution import Agree, any_says, fit_steps, is_chief, of_chief, shared
from lesiongan.training.ordered_sums import keep_order_of_sums
from lesiongan.training.rollback import Rollback
from lesiongan.training.run import Diverged, Run, TrainingCallback
from lesiongan.training.saving import SaveCheckpoints
from lesiongan.training.stopping import noted_signals


def fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    run: Run,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    checkpoint_every: float | None = None,
    rollback: Rollback | None = None,
) -> dict[str, float]:
    """Trains a compiled model up to `run.steps` steps, going on from the last whole checkpoint in its folder where
    there is one. It is saved every so many seconds, at its end, and after the running step where SIGINT or SIGTERM
    comes.

    Args:
        model: a compiled model with `state() -> list[tf.Variable]`, everything that a resumed training needs; its
            `train_step` returns a dict of scalar losses. Where it has a counter of its steps, `model.step`, that is the
            last of the state.
        batches: gives the batches from a step on; they must depend on the step alone.
        run: the training; made for this call alone.
        callbacks: each does one thing: `RecordLosses` (there is one in any case), `measuring.Measure`,
            `failure_watch.WatchFailures` after it, `SaveSamples`. A `TrainingCallback` acts before a checkpoint of its
            step is saved, any other Keras callback after it.
        checkpoint_every: seconds between checkpoints; by default LESIONGAN_CHECKPOINT_SECONDS of the environment, else
            60, or more where they would take more than 2 % of the time.
        rollback: what is done where the training diverges; by default it ends.

    Returns:
        `steps` (those done), `seconds` (of all processes that took part), `images_per_second`, the last losses,
        `rollbacks` where there may be some, and what the callbacks add.

    Raises:
        Diverged: a loss or a weight is not finite.
        Interrupted: a signal came; what was trained is saved.
        MachineError: out of memory.
    """
    keep_order_of_sums()
    run.run_dir.mkdir(parents=True, exist_ok=True)
    every = checkpoint_seconds() if checkpoint_every is None else checkpoint_every
    checkpoints, state = Checkpoints(run.run_dir / CHECKPOINTS, run.name), list(model.state())
    step, facts = checkpoints.restore(state, getattr(model, "step", None))
    step = of_chief(state, step)
    if not is_chief():
        every = math.inf
    run.rollbacks = facts.get("rollbacks", [])

    own = [callback for callback in callbacks if isinstance(callback, TrainingCallback)]
    if not any(isinstance(callback, RecordLosses) for callback in own):
        own = [RecordLosses(), *own]
    progress, others = ShowProgress(), [each for each in callbacks if not isinstance(each, TrainingCallback)]

    def begin(step: int) -> None:
        if rollback is not None:
            rollback.apply(run)
        run.begin(step)
        for callback in own:
            callback.resume(run)

    with noted_signals(run.name) as stop:
        if step:
            say(f"{run.name}: goes on from step {step:,} of {run.steps:,}")
        saving = SaveCheckpoints(checkpoints, state, every, list(own), stop)
        own += [Agree(stop), saving, progress]
        begin(step)
        (finished,) = any_says(is_chief() and any(callback.finished() for callback in own))
        if run.start < run.steps and not finished:
            run.open()
            if not step and rollback is not None and rollback.times:
                saving.save(0)  # there is something to go back to
            while True:
                try:
                    _fit_once(model, shared(model, batches)(run.start), run, [*own, *others])
                    break
                except Diverged as error:
                    if rollback is None:
                        raise
                    progress.leave()
                    rollback.note(run, checkpoints, error)
                    begin(checkpoints.restore(state)[0])
                except BaseException:
                    progress.leave()
                    raise
            run.close()
        if stop.asked:  # before there was a step, or where none was left
            raise stop.interrupted(f"{run.name} is saved at step {run.start:,} of {run.steps:,}")
    summary = {key: value for callback in own for key, value in callback.summary().items()}
    return summary if rollback is None else {**summary, "rollbacks": len(run.rollbacks)}


def _fit_once(model: keras.Model, batches, run: Run, callbacks: list[keras.callbacks.Callback]):
    """From `run.start` to the end, or to the first failure."""
    try:
        steps = run.steps - run.start
        fit_steps(model, batches, steps, _Callbacks(callbacks, add_history=True, model=model))
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise MachineError(f"{run.name}: out of memory; {_less_memory(run)}, then give the command again") from error


def _less_memory(run: Run) -> str:
    """Which option to lower."""
    if not run.group:
        return "lower the batch or the size of the images"
    if run.images_per_step > 1:
        half = f"--set {run.group}.batch={run.images_per_step // 2}"
        return f"lower the batch ({half}) or the size of the images ({run.group}.size)"
    return f"lower the size of the images ({run.group}.size), the batch is 1"


class _Callbacks(keras.callbacks.CallbackList):
    """Hands the losses of a step on as tensors; Keras's own list reads them from the device in each step."""

    def on_train_batch_end(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)
