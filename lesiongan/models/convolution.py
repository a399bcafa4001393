"""Convolutions of maps and their borders, NHWC."""

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
            `symmetric` (it is). Either way a layer can know where the border is; see `without_margin`.
    """
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    if mode == "zero":
        return tf.nn.conv2d(x, kernel, stride, sides)
    return tf.nn.conv2d(tf.pad(x, sides, mode), kernel, stride, "VALID")


def without_margin(x: tf.Tensor, margin: int) -> tf.Tensor:
    """`[batch, height, width, channels]` less so many pixels on each side; the gradient of a slice takes four times as
    long on a CPU as padding.

    A generator that sees zeros or its own mirror image beyond the border leaves a mark there: those of recipe `best`
    drew a line of one pixel, by which a reader told their pictures from photographs. So they draw more than the picture
    and cut off what lies around it (Karras et al. 2021, section 2).
    """
    sides = [[0, 0], [margin, margin], [margin, margin], [0, 0]]

    if not margin:
        return x

    @tf.custom_gradient
    def cut(x):
        return x[:, margin:-margin, margin:-margin], lambda dy: tf.pad(dy, sides)

    return cut(x)
