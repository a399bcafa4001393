"""The learning-rate finder, as a Keras callback for any model, with fastai's three suggestions.

Source: Smith 2017 (arXiv 1506.01186), section 3.3; fastai, callback/schedule.py (`LRFinder`, `minimum`, `steep`,
`valley`).
"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import LesionganError
from lesiongan.optim.one_cycle import OneCycleCurve, Schedule


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

    Use it in a `fit` of at least `steps` batches; afterwards `curve` holds the result. The optimizer's rate must be a
    number (Keras then keeps it in a variable) or the curve of a `OneCycle`.

    Args:
        start, end: the first rate, and the one that `steps` steps would end before.
        steps: how many rates are tried.
        smoothing: beta of the debiased exponential average of the loss.
        divergence: stops when the smoothed loss passes this many times the lowest one (or is not finite).
    """

    def __init__(
        self, start: float = 1e-7, end: float = 10.0, steps: int = 100, smoothing: float = 0.98, divergence: float = 4.0
    ):
        super().__init__()
        self.start, self.end, self.steps = start, end, steps
        self.smoothing, self.divergence = smoothing, divergence
        self.curve: LearningRateCurve | None = None

    def rate(self, step: int) -> float:
        """The rate of a step (0 is the first)."""
        return self.start * (self.end / self.start) ** (step / self.steps)

    def on_train_begin(self, logs=None):
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self._variables = [*self.model.variables, *optimizer.variables]
        self._saved = [np.array(v) for v in self._variables]
        self._cycle = _cycle(optimizer)
        if self._cycle is None and not isinstance(optimizer.learning_rate, keras.Variable):
            raise TypeError(
                "the finder can move a learning rate that is a number or a OneCycle's, not another schedule"
            )
        self._rates, self._losses = [], []
        self._average, self._step = 0.0, 0

    def on_train_batch_begin(self, batch, logs=None):
        rate = self.rate(self._step)
        if self._cycle is not None:
            self._cycle.hold(rate)
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
        if not finite or smoothed > self.divergence * min(self._losses) or self._step >= self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._cycle is not None:
            self._cycle.release()
        for variable, value in zip(self._variables, self._saved, strict=True):
            variable.assign(value)
        del self._variables, self._saved
        rates, losses = np.array(self._rates), np.array(self._losses)
        self.curve = LearningRateCurve(rates, losses, suggest(rates, losses, self.steps))


def find_learning_rate(model: keras.Model, batches: tf.data.Dataset, **options) -> LearningRateCurve:
    """Runs the finder on a compiled model.

    Args:
        model: a compiled model; itself and its optimizer are as before afterwards.
        batches: what `model.fit` takes, at least as many batches as steps.
        options: those of `LearningRateFinder`.

    Raises:
        LesionganError: the loss was not finite from the start.
    """
    finder = LearningRateFinder(**options)
    model.fit(batches, epochs=1, steps_per_epoch=finder.steps, verbose=0, shuffle=False, callbacks=[finder])
    curve = finder.curve
    assert curve is not None  # `fit` has come to its end
    if not curve.suggestions:
        raise LesionganError(
            "the learning-rate finder saw no finite loss over enough steps: check the images, or set "
            "classifier.learning_rate and classifier.find_learning_rate=false"
        )
    return curve


def suggest(rates: np.ndarray, losses: np.ndarray, steps: int) -> dict[str, float]:
    """fastai's three suggestions from a curve, without its first tenth (of `steps`) and its last 5 points.

    `minimum`: a tenth of the rate at the lowest loss. `steep`: the rate where the loss falls fastest over log rate.
    `valley`: in the middle of the longest decreasing subsequence of the losses. Empty if fewer than two points remain.
    """
    rates, losses = rates[steps // 10 : -5], losses[steps // 10 : -5]
    if len(rates) < 2:
        return {}
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


def _cycle(optimizer) -> Schedule | None:
    """The `OneCycle` that drives an optimizer's rate, or None."""
    schedule = getattr(optimizer, "schedule", None)
    return schedule.cycle if isinstance(schedule, OneCycleCurve) else None
