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
    if padding and mode == "zero" and stride == 1 and kernel.shape[0] == kernel.shape[1] == 2 * padding + 1:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    # Not by `conv2d`'s explicit paddings, whose gradients oneDNN does not have: in float32 they take 1.4 times as long
    # on a CPU, in bfloat16 thirty times.
    return tf.nn.conv2d(padded(x, padding, mode) if padding else x, kernel, stride, "VALID")


def padded(x: tf.Tensor, padding: int, mode: str = "zero") -> tf.Tensor:
    """`[batch, height, width, channels]` with so many pixels more on each side; see `convolution`."""
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    return tf.pad(x, sides, "CONSTANT" if mode == "zero" else mode)


def without_margin(x: tf.Tensor, margin: int) -> tf.Tensor:
    """`[batch, height, width, channels]` less so many pixels on each side; the gradient of a slice takes four times as
    long on a CPU as padding.

    A generator that sees zeros or its own mirror image beyond the border leaves a mark there: those of recipe `best`
    drew a line of one pixel, by which a reader told their pictures from photographs. So they draw more than the picture
    and cut off what lies around it (Karras et al. 2021, section 2).
    """
    if not margin:
        return x
    sides = [[0, 0], [margin, margin], [margin, margin], [0, 0]]

    @tf.custom_gradient
    def cut(x):
        return x[:, margin:-margin, margin:-margin], lambda dy: tf.pad(dy, sides)

    return cut(x)
