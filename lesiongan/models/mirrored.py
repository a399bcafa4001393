"""Convolutions that see a map mirrored beyond its border (Zhu et al. 2017 for CycleGAN's generators).

With zeros there instead, every layer knows where the border is, and generators drew a frame of one pixel, by which
their pictures could be told from photographs at once.
"""

from __future__ import annotations

import tensorflow as tf


def mirrored_convolution(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """A 3 x 3 convolution, or a 4 x 4 one of stride 2.

    Args:
        x: `[batch, height, width, channels]`, sides of 2 or more.
        kernel: `[3, 3, channels, filters]` or `[4, 4, channels, filters]`.
        stride: 1, or 2 where the sides are even.

    Returns:
        `[batch, height / stride, width / stride, filters]`.
    """
    return tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"), kernel, stride, "VALID")
