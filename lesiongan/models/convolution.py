"""The convolution of a map with its border, NHWC."""

from __future__ import annotations

import tensorflow as tf


def convolution(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1, padding: int = 0, mode: str = "zero") -> tf.Tensor:
    """2-D convolution with `padding` pixels on every side, as PyTorch counts them.

    TensorFlow's `SAME` pads an even picture by one pixel less at the top and left when the stride is 2, which is
    another network than the reference's.

    Args:
        x: `[batch, height, width, channels]`.
        kernel: `[k, k, channels, filters]`.
        stride: of both axes.
        padding: pixels on each side.
        mode: what is beyond the border: `zero`; the map mirrored, `reflect` (the border itself is not repeated) or
            `symmetric` (it is). With zeros every layer knows where the border is, and generators of recipe `best` drew
            a line of one pixel along it, by which their pictures could be told from photographs.
    """
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    if mode == "zero":
        return tf.nn.conv2d(x, kernel, stride, sides)
    return tf.nn.conv2d(tf.pad(x, sides, mode), kernel, stride, "VALID")
