"""When a training is saved: by the clock, when a signal asks it to stop, and at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import tensorflow as tf

from lesiongan.training.checkpoints import Checkpoints, not_finite
from lesiongan.training.run import TrainingCallback
from lesiongan.training.stopping import Stop

_SECONDS = 60.0
_SHARE = 0.02  # of the time goes into checkpoints at most, where nobody says how often


def interval(every: float | None, took: float) -> float:
    """Seconds from one checkpoint to the next.

    Args:
        every: as it was asked for, or None.
        took: seconds that the last one took.
    """
    return max(_SECONDS, took / _SHARE) if every is None else every


class SaveCheckpoints(TrainingCallback):
    """Saves the training. A state that is not finite is never saved.

    Args:
        checkpoints: where it is saved.
        state: the variables that are saved.
        every: seconds between two checkpoints; None: 60, or more where saving would take more than 2 % of the time.
        others: the callbacks that are told before and after each one.
        stop: what signals have asked for.

    Raises:
        Diverged: the state is not finite.
        Interrupted: a signal came; the training was saved.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        state: Sequence[tf.Variable],
        every: float | None,
        others: Sequence[TrainingCallback],
        stop: Stop,
    ):
        super().__init__()
        self.checkpoints, self.state, self.every, self.others, self.stop = checkpoints, state, every, others, stop
        self._took = 0.0

    def on_train_begin(self, logs=None) -> None:
        self._done, self._saved = self.run.start, time.monotonic()

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        self._done = step
        if step == self.run.steps or self.model.stop_training:
            return  # it is saved when all other callbacks have ended
        if self.stop.asked or time.monotonic() - self._saved > interval(self.every, self._took):
            self.save(step)
        self._leave_if_asked()

    def on_train_end(self, logs=None) -> None:
        self.save(self._done)
        self._leave_if_asked()

    def save(self, step: int) -> None:
        """Saves the training as it is after a step."""
        begin = time.monotonic()
        for callback in self.others:
            callback.before_checkpoint(step)
        if bad := not_finite(self.state):
            count = f"{len(bad)} of {len(self.state)} variables {'is' if len(bad) == 1 else 'are'}"
            raise self.run.diverged(f"{count} not finite after step {step:,}: {', '.join(bad[:3])}")
        for lines in self.run.recorded:
            lines.to_disk()
        self.checkpoints.save(step, self.state, {"rollbacks": self.run.rollbacks})
        kept = self.checkpoints.steps()
        for callback in self.others:
            callback.after_checkpoint(kept)
        self._saved = time.monotonic()
        self._took = self._saved - begin

    def _leave_if_asked(self) -> None:
        if self.stop.asked:
            raise self.stop.interrupted(f"{self.run.name} is saved at step {self._done:,} of {self.run.steps:,}")
