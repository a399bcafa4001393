"""CycleGAN's learning-rate schedule (Zhu et al. 2017, section 7.1; the reference's `linear` policy)."""

from __future__ import annotations

import keras
import tensorflow as tf

_NO_END = 2**63 // 400  # steps of a training without an end: its first half lasts for ever
EPOCHS = 200  # of the reference, 100 at a constant rate and 100 towards 0; a step budget is cut into as many


@keras.saving.register_keras_serializable("lesiongan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate for the first half of a training, then a staircase towards 0 in the second.

    The training is cut into 200 equal parts e = 0, 1, ..., 199, the reference's epochs, whatever its length: the factor
    is `1 - max(0, e + 1 - 100) / 101`. After the last step the rate stays at its last value, 1/101.

    Args:
        learning_rate: of the first half, 2e-4 in Zhu et al.
        steps: of the whole training; None: not known, and the rate stays constant.
        decay: without it the rate stays constant.
    """

    def __init__(self, learning_rate: float, steps: int | None, decay: bool = True):
        self.learning_rate, self.decay = learning_rate, decay
        # A variable, so that a compiled step can serve a next training of another length.
        self.steps = tf.Variable(_NO_END if steps is None else steps, dtype=tf.int64, trainable=False)
        self.factor = tf.Variable(1.0, trainable=False)

    def rescale(self, steps: int) -> None:
        """Sets the length of the training, in place."""
        self.steps.assign(steps)

    def scale(self, factor: float) -> None:
        """Sets a factor on all rates, in place; at first it is 1."""
        self.factor.assign(factor)

    def epoch(self, step: tf.Tensor) -> tf.Tensor:
        """Which of the 200 parts a step falls in, int64."""
        return tf.minimum(tf.cast(step, tf.int64) * EPOCHS // self.steps, EPOCHS - 1)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        if not self.decay:
            return self.factor * self.learning_rate
        half = EPOCHS // 2
        decayed = tf.maximum(self.epoch(step) + 1 - half, 0)
        return self.factor * self.learning_rate * (1.0 - tf.cast(decayed, tf.float32) / (half + 1))

    def get_config(self) -> dict:
        steps = int(self.steps.numpy())
        return {"learning_rate": self.learning_rate, "steps": None if steps == _NO_END else steps, "decay": self.decay}
