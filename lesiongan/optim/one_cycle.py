"""The 1cycle policy for rate and momentum, as functions of the step.

Source: Smith 2018 (arXiv 1803.09820), section 5, in the two forms that fastai gave it: version 2 (callback/schedule.py,
`fit_one_cycle`) and version 1 (callbacks/one_cycle.py, `OneCycleScheduler`).
"""

from __future__ import annotations

import math
from typing import Protocol

import keras
import tensorflow as tf


class Schedule(Protocol):
    """What a `OneCycleCurve` asks of the schedule that it is a curve of; see `OneCycle`."""

    def values(self, step) -> tuple[tf.Tensor, tf.Tensor]: ...

    def hold(self, rate: float, momentum: float = 0.9) -> None: ...

    def release(self) -> None: ...

    def get_config(self) -> dict: ...


@keras.saving.register_keras_serializable(package="lesiongan")
class OneCycle:
    """Rate and momentum of each step in two cosine phases, up and down.

    With the position p = step / steps and the warm-up's share w:

        rate      maximum / div      -> maximum  (p from 0 to w)   -> maximum / div_final  (p from w to 1)
        momentum  high               -> low                        -> high

    each by `start + (end - start) * (1 - cos(pi * q)) / 2`, q the position within the phase.

    `maximum`, `steps`, and a held rate live in variables: a compiled training step that uses the schedule follows
    them without being traced anew. Give `schedule.rate` to an optimizer as its learning rate, and `schedule.momentum`
    to `Adam` as `beta_1`.

    Args:
        maximum: the highest rate.
        steps: the length of the schedule in steps; steps after it keep the last values.
        warm_up: w, the share of the steps in which the rate grows.
        div: maximum / first rate.
        div_final: maximum / last rate.
        momentum: high and low.
    """

    def __init__(
        self,
        maximum: float,
        steps: int,
        *,
        warm_up: float = 0.25,
        div: float = 25.0,
        div_final: float = 1e5,
        momentum: tuple[float, float] = (0.95, 0.85),
    ):
        if not 0.0 < warm_up < 1.0:
            raise ValueError(f"warm_up must lie between 0 and 1, got {warm_up}")
        self.warm_up = warm_up
        self.div = div
        self.div_final = div_final
        self.momentum_range = tuple(momentum)
        self._maximum = tf.Variable(0.0, trainable=False, name="one_cycle_maximum")
        self._steps = tf.Variable(1.0, trainable=False, name="one_cycle_steps")
        # A held rate of -1 stands for none.
        self._held = tf.Variable([-1.0, 0.0], trainable=False, name="one_cycle_held")
        self.set(maximum, steps)
        self.rate = OneCycleCurve(self, "rate")
        self.momentum = OneCycleCurve(self, "momentum")

    def set(self, maximum: float, steps: int) -> None:
        """Another highest rate and length, for a training that starts from step 0 again."""
        if steps < 1:
            raise ValueError(f"a schedule needs at least one step, got {steps}")
        self._maximum.assign(float(maximum))
        self._steps.assign(float(steps))

    def hold(self, rate: float, momentum: float = 0.9) -> None:
        """Keep rate and momentum at these values, whatever the step, until `release` (as the rate finder needs)."""
        self._held.assign([float(rate), float(momentum)])

    def release(self) -> None:
        self._held.assign([-1.0, 0.0])

    def values(self, step) -> tuple[tf.Tensor, tf.Tensor]:
        """(rate, momentum) of a step (0 is the first), float32 scalars."""
        step = tf.convert_to_tensor(step)
        position = tf.minimum(tf.cast(step, tf.float32) / self._steps, 1.0)
        falling = position >= self.warm_up
        within = tf.where(falling, (position - self.warm_up) / (1.0 - self.warm_up), position / self.warm_up)
        rise = (1.0 - tf.cos(math.pi * within)) / 2.0  # 0 -> 1 in each phase
        high, low = self.momentum_range
        end = tf.where(falling, 1.0 / self.div_final, 1.0 / self.div)
        # Written from the peak in both phases: `height` is 0 at the ends and 1 at the peak.
        height = tf.where(falling, 1.0 - rise, rise)
        rate = self._maximum * (end + (1.0 - end) * height)
        momentum = high + (low - high) * height
        held = self._held[0] >= 0.0
        return tf.where(held, self._held[0], rate), tf.where(held, self._held[1], momentum)

    def get_config(self) -> dict:
        return {
            "maximum": float(self._maximum.numpy()),
            "steps": int(self._steps.numpy()),
            "warm_up": self.warm_up,
            "div": self.div,
            "div_final": self.div_final,
            "momentum": self.momentum_range,
        }

    @classmethod
    def from_config(cls, config: dict) -> OneCycle:
        return cls(**config)


@keras.saving.register_keras_serializable(package="lesiongan")
class OneCycleCurve(keras.optimizers.schedules.LearningRateSchedule):
    """One of the two curves of a `OneCycle` or another `Schedule` ("rate" or "momentum"), in the form that Keras's
    optimizers take."""

    def __init__(self, cycle: Schedule, curve: str):
        super().__init__()
        self.cycle, self.curve = cycle, curve

    def __call__(self, step):
        rate, momentum = self.cycle.values(step)
        return rate if self.curve == "rate" else momentum

    def get_config(self):
        return {"cycle": keras.saving.serialize_keras_object(self.cycle), "curve": self.curve}

    @classmethod
    def from_config(cls, config):
        cycle = config["cycle"]
        # files of version 0.2 have the arguments of a `OneCycle`
        known = "class_name" in cycle
        return cls(keras.saving.deserialize_keras_object(cycle) if known else OneCycle(**cycle), config["curve"])
