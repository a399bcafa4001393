"""fastai's `fine_tune`: first the head on a frozen backbone, then everything at rates that grow from the first layers
to the last.

Source: fastai, callback/schedule.py (`fine_tune`, `fit_one_cycle`), learner.py (`freeze_to`), optimizer.py
(`set_hyper`); discriminative rates are from Howard and Ruder 2018 (ULMFiT, arXiv 1801.06146), section 3.2.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.optim.one_cycle import OneCycle, OneCycleCurve

#: The groups of variables that a schedule tells apart: the backbone's first and last stages, each with its kernels and
#: its batch norms, and the head.
GROUPS = ("early", "early norms", "late", "late norms", "head")


@keras.saving.register_keras_serializable("lesiongan")
class FineTune:
    """The schedule of both phases, as functions of the step.

        phase        steps               highest rate        warm-up  div   groups (early, late, head)
        frozen       the first ones      maximum             0.99     25    none (norms 1/10), none (norms 1/10), 1
        unfrozen     all others          maximum / 2         0.30     5     1/multiplier, 1/sqrt(multiplier), 1

    Momentum runs 0.95 -> 0.85 -> 0.95 in each phase. Batch norm's scales and offsets train in a frozen backbone too,
    as fastai's do, at a tenth of the rate.

    Args:
        maximum: fastai's `base_lr`.
        steps: of both phases.
        frozen: steps of the first one.
        multiplier: fastai's `lr_mult`, head's rate / first stages' rate.
    """

    def __init__(self, maximum: float, steps: int, frozen: int, *, multiplier: float = 100.0):
        self.multiplier = multiplier
        self.first = OneCycle(maximum, max(1, frozen), warm_up=0.99)
        self.second = OneCycle(maximum / 2, max(1, steps - frozen), warm_up=0.3, div=5.0)
        self._frozen = tf.Variable(0, dtype=tf.int64, trainable=False, name="fine_tune_frozen")
        self.set(maximum, steps, frozen)
        self.rate, self.momentum = OneCycleCurve(self, "rate"), OneCycleCurve(self, "momentum")

    def set(self, maximum: float, steps: int, frozen: int) -> None:
        """Another highest rate and length, for a training that starts from step 0 again."""
        if not 0 <= frozen < steps:
            raise ValueError(f"the frozen steps must be fewer than all, got {frozen} of {steps}")
        self._frozen.assign(frozen)
        self.first.set(maximum, max(1, frozen))
        self.second.set(maximum / 2, steps - frozen)

    def hold(self, rate: float, momentum: float = 0.9) -> None:
        """Keep rate and momentum at these values, see `OneCycle.hold`."""
        self.first.hold(rate, momentum)
        self.second.hold(rate, momentum)

    def release(self) -> None:
        self.first.release()
        self.second.release()

    def values(self, step) -> tuple[tf.Tensor, tf.Tensor]:
        """(rate of the head, momentum) of a step (0 is the first), float32 scalars."""
        step = tf.cast(step, tf.int64)
        frozen = step < self._frozen
        pairs = zip(self.first.values(step), self.second.values(tf.maximum(step - self._frozen, 0)), strict=True)
        return tuple(tf.where(frozen, one, two) for one, two in pairs)

    def groups(self, step) -> tuple[tf.Tensor, tf.Tensor]:
        """For each of `GROUPS` the factor on the rate (0: frozen), and the step that its training begins with; float32
        `[5]`."""
        low, middle = 1.0 / self.multiplier, self.multiplier**-0.5
        frozen = tf.cast(step, tf.int64) < self._frozen
        factors = tf.where(frozen, [0.0, 0.1, 0.0, 0.1, 1.0], [low, low, middle, middle, 1.0])
        return factors, tf.cast(self._frozen, tf.float32) * tf.constant([1.0, 0.0, 1.0, 0.0, 0.0])

    def get_config(self) -> dict:
        frozen = int(self._frozen.numpy())
        return {
            "maximum": 2 * float(self.second.get_config()["maximum"]),
            "steps": frozen + self.second.get_config()["steps"],
            "frozen": frozen,
            "multiplier": self.multiplier,
        }

    @classmethod
    def from_config(cls, config: dict) -> FineTune:
        return cls(**config)
