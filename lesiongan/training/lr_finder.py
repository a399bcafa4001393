"""The learning-rate finder, as a Keras callback for any model, with fastai's three suggestions.

Source: Smith 2017 (arXiv 1506.01186), section 3.3; fastai, callback/schedule.py (`LRFinder`, `minimum`, `steep`,
`valley`).
"""

from __future__ import annotations

import dataclasses
import math
import warnings

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import LesionganError, UsageError
from lesiongan.optim.one_cycle import OneCycleCurve, Schedule
from lesiongan.training.distribution import fit_steps

_CUT = 5  # points at the end of a curve that suggestions do not look at
_LEAST = 7  # steps with which there are any


@dataclasses.dataclass(frozen=True)
class LearningRateCurve:
    """What the finder saw.

    Attributes:
        rates: the rate of each step, growing, `[n]`.
        losses: the smoothed loss after each step, finite, `[n]`.
        suggestions: by name (`minimum`, `steep`, `valley`).
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestions: dict[str, float]

    def to_dict(self) -> dict:
        return {"rates": self.rates.tolist(), "losses": self.losses.tolist(), "suggestions": self.suggestions}


class LearningRateFinder(keras.callbacks.Callback):
    """Trains with an exponentially growing rate, records the smoothed loss, and puts model and optimizer back.

    Use it in a `fit` of at least `steps` batches, of a model compiled with `steps_per_execution=1` (each step has a
    rate of its own); afterwards `curve` holds the result. The optimizer's rate may be a number or any schedule: the
    search takes its place meanwhile, with the momentum of a `OneCycle` held too. `find_learning_rate` does all that.

    Args:
        start, end: the first rate, and the one that `steps` steps would end before.
        steps: how many rates are tried, 7 at least.
        smoothing: beta of the debiased exponential average of the loss.
        divergence: stops when the smoothed loss passes this many times the lowest one (or is not finite).
    """

    def __init__(
        self, start: float = 1e-7, end: float = 10.0, steps: int = 100, smoothing: float = 0.98, divergence: float = 4.0
    ):
        super().__init__()
        if steps < _LEAST:
            raise ValueError(f"the finder needs at least {_LEAST} steps to suggest a rate, got {steps}")
        self.start, self.end, self.steps = start, end, steps
        self.smoothing, self.divergence = smoothing, divergence
        self.curve: LearningRateCurve | None = None
        self._saved: list[np.ndarray] = []

    def rate(self, step: int) -> float:
        """The rate of a step (0 is the first)."""
        return self.start * (self.end / self.start) ** (step / self.steps)

    def on_train_begin(self, logs=None):
        if self.model.steps_per_execution != 1:
            raise ValueError(
                f"the model runs {self.model.steps_per_execution} steps at a time, at one rate: compile it with "
                "steps_per_execution=1, or use find_learning_rate"
            )
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        # A model's own counter of its steps, by which it draws, is none of its Keras variables.
        counter = [self.model.step] if hasattr(self.model, "step") else []
        self._variables = [*(v.value for v in (*self.model.variables, *optimizer.variables)), *counter]
        self._saved = [np.array(v.numpy()) for v in self._variables]
        self._rates, self._losses = [], []
        self._average, self._step = 0.0, 0
        # `learning_rate` itself gives the rate of this step; what it comes from stands in the attribute behind it
        source = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
        self._cycle, self._replaced, self._held = _cycle(source), None, None
        if self._cycle is None and not isinstance(source, keras.Variable):
            self._replaced, self._held = source, _HeldRate(self.rate(0))
            self._swap(self._held)

    def on_train_batch_begin(self, batch, logs=None):
        rate = self.rate(self._step)
        if self._cycle is not None:
            self._cycle.hold(rate)
        elif self._held is not None:
            self._held.rate.assign(rate)
        else:
            self.model.optimizer.learning_rate = rate
        # The loss that Keras reports is a mean since the last reset.
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        self._average = self.smoothing * self._average + (1.0 - self.smoothing) * loss
        smoothed = self._average / (1.0 - self.smoothing ** (self._step + 1))
        finite = math.isfinite(smoothed)
        if finite:
            self._rates.append(self.rate(self._step))
            self._losses.append(smoothed)
        self._step += 1
        if not finite or self._has_diverged() or self._step >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.restore()
        rates, losses = np.array(self._rates), np.array(self._losses)
        self.curve = LearningRateCurve(rates, losses, suggest(rates, losses, self.steps))

    def restore(self) -> None:
        """Puts model and optimizer back; Keras does not call `on_train_end` where a training ends with an error."""
        if not self._saved:
            return
        if self._cycle is not None:
            self._cycle.release()
        if self._replaced is not None:
            self._swap(self._replaced)
        for variable, value in zip(self._variables, self._saved, strict=True):
            variable.assign(value)
        self._variables, self._saved, self._replaced = [], [], None

    def problem(self) -> LesionganError | None:
        """Why the curve has no suggestions, or none that can be trusted; for after the training."""
        n, seen = len(self._losses), self._step
        last = f"step {seen} of the learning-rate finder, at a rate of {self.rate(seen - 1):.2g}"
        is_finite = seen == n  # a loss that is not finite ends the search and is not kept
        if is_finite and seen < self.steps and not self._has_diverged():
            return UsageError(
                f"the learning-rate finder was given {seen} batches and tries {self.steps} rates, one in each: give at "
                f"least {self.steps} batches (repeat the data), or fewer steps"
            )
        if n >= _points(self.steps):
            return None
        if is_finite:
            return LesionganError(
                f"the loss grew to {self.divergence:g} times its lowest by {last}, but {_points(self.steps)} steps are "
                "needed for a suggestion: start at a lower rate, or give larger batches"
            )
        return LesionganError(
            f"the loss was not finite at {last}: check the images, or set classifier.learning_rate and "
            "classifier.find_learning_rate=false"
        )

    def _has_diverged(self) -> bool:
        return bool(self._losses) and self._losses[-1] > self.divergence * min(self._losses)

    def _swap(self, schedule) -> None:
        self.model.optimizer.learning_rate = schedule
        self.model.make_train_function(force=True)  # a compiled step keeps the schedule that it was traced with


def find_learning_rate(model: keras.Model, batches: tf.data.Dataset, **options) -> LearningRateCurve:
    """Runs the finder on a compiled model.

    Args:
        model: a compiled model; itself and its optimizer are as before afterwards, also after an error. It runs one
            step at a time meanwhile, whatever its `steps_per_execution`.
        batches: what `model.fit` takes, at least as many batches as steps.
        options: those of `LearningRateFinder`.

    Raises:
        UsageError: fewer batches than rates, before the loss diverged.
        LesionganError: the loss was not finite, or diverged, before there were enough steps for a suggestion.
    """
    finder = LearningRateFinder(**options)
    at_a_time = model.steps_per_execution
    if at_a_time != 1:
        model.steps_per_execution, model.train_function = 1, None
    try:
        with warnings.catch_warnings():
            # too few batches are told of below
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            fit_steps(model, batches, finder.steps, [finder])
    finally:
        finder.restore()
        if at_a_time != 1:
            model.steps_per_execution, model.train_function = at_a_time, None
    curve, problem = finder.curve, finder.problem()
    assert curve is not None  # `fit` has come to its end
    if problem is not None:
        raise problem
    return curve


def suggest(rates: np.ndarray, losses: np.ndarray, steps: int) -> dict[str, float]:
    """fastai's three suggestions from a curve, without its first tenth (of `steps`) and its last 5 points.

    `minimum`: a tenth of the rate at the lowest loss. `steep`: the rate where the loss falls fastest over log rate.
    `valley`: in the middle of the longest decreasing subsequence of the losses. Empty if fewer than two points remain.
    """
    if len(rates) < _points(steps):
        return {}
    rates, losses = rates[steps // 10 : -_CUT], losses[steps // 10 : -_CUT]
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return {
        "minimum": float(rates[np.argmin(losses)]) / 10.0,
        "steep": float(rates[np.argmin(slopes)]),
        "valley": float(rates[_valley(losses)]),
    }


def _valley(losses: np.ndarray) -> int:
    """Half way down the longest decreasing subsequence, as fastai counts it: its length goes back from its end."""
    lengths = np.ones(len(losses), np.int64)  # of the longest decreasing subsequence that ends here
    for i in range(1, len(losses)):
        above = lengths[:i][losses[:i] > losses[i]]
        if len(above):
            lengths[i] = above.max() + 1
    end = int(np.argmax(lengths))  # the first of equals
    start = end - int(lengths[end])
    third = (end - start) / 3
    return max(start + int(third) + int(third / 2), 0)


def _cycle(schedule) -> Schedule | None:
    """The `OneCycle` that a rate comes from, or None."""
    return schedule.cycle if isinstance(schedule, OneCycleCurve) else None


def _points(steps: int) -> int:
    """How many points of a curve of `steps` steps `suggest` needs."""
    return steps // 10 + _CUT + 2


class _HeldRate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that gives the same rate in every step, until `rate` is assigned another."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = tf.Variable(rate, trainable=False, dtype=tf.float32, name="held_rate")

    def __call__(self, step):
        return self.rate.value()
