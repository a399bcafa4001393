"""The classifier's head, fastai's."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from lesiongan.models.backbones.conv_stack import he_normal
from lesiongan.models.batch_norms import BatchNorms
from lesiongan.models.replicas import drawn


class Head(keras.layers.Layer):
    """fastai's: average and maximum over the picture -> norm -> dropout -> 512 -> ReLU -> norm -> dropout -> classes.

    No biases, since fastai has none where batch norm is (the norm before a dense layer gives it one).
    """

    def __init__(self, features: int, classes: int, hidden: int = 512, dropout: float = 0.5, name: str = "head"):
        super().__init__(name=name)
        self.dropout = dropout
        self.norms = BatchNorms({"pooled": 2 * features, "hidden": hidden})
        self.hidden = self.add_weight((2 * features, hidden), "zeros", name="hidden")
        self.classes = self.add_weight((hidden, classes), "zeros", name="classes")
        self.built = True

    def call(self, maps, seed=None, training=False):
        """Feature maps `[n, h, w, f]` -> (logits float32 `[n, classes]`, average-pooled features `[n, f]`).

        `seed`: int64 `[2]`, decides dropout.
        """
        average = tf.reduce_mean(maps, [1, 2])
        norms = self.norms.begin(training)

        def block(x, key, kernel, rate, index):
            x = norms(x[:, None, None, :], key)[:, 0, 0, :]
            if training:
                x *= _dropout(x, rate, seed + tf.constant([0, index], tf.int64))
            return tf.matmul(x, tf.convert_to_tensor(kernel))

        x = tf.concat([tf.reduce_max(maps, [1, 2]), average], 1)
        x = tf.nn.relu(block(x, "pooled", self.hidden, self.dropout / 2, 0))
        logits = block(x, "hidden", self.classes, self.dropout, 1)
        norms.finish()
        return tf.cast(logits, tf.float32), tf.cast(average, tf.float32)

    def reset(self, random: np.random.Generator) -> None:
        """Re-initialises all weights."""
        for kernel in (self.hidden, self.classes):
            kernel.assign(he_normal(random, kernel.shape, fan=kernel.shape[0]))
        self.norms.reset()


def _dropout(x, rate, seed):
    """Factors on `[n, f]`: 0, or 1 / (1 - rate)."""

    def factors(count):
        return tf.nn.experimental.stateless_dropout(tf.ones([count, x.shape[1]], x.dtype), rate, seed=seed)

    return drawn(factors, tf.shape(x)[0])
