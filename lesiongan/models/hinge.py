"""The hinge loss of a GAN, of both GANs here."""

from __future__ import annotations

import tensorflow as tf


class Hinge:
    """Lim and Ye 2017, "Geometric GAN"; Miyato et al. 2018, equations 16 and 17. Methods as in
    `acgan.losses.CrossEntropy`; logits of any shape."""

    def real(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.relu(1.0 - logits))

    def generated(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.relu(1.0 + logits))

    def generator(self, logits: tf.Tensor) -> tf.Tensor:
        return -tf.reduce_mean(logits)
