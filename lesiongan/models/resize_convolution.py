"""The convolution after nearest-neighbour doubling (Odena et al. 2016), NHWC."""

from __future__ import annotations

import tensorflow as tf


def resize_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Nearest-neighbour doubling, reflect padding 1, 3 x 3 convolution (Odena et al. 2016): leaves no checkerboard.

    Computed at the small size: a doubled picture holds each value twice along an axis, so that the three taps of an
    even pixel are `w[0] x[i-1] + (w[1] + w[2]) x[i]`, of an odd one `(w[0] + w[1]) x[i] + w[2] x[i+1]`: four 2 x 2
    convolutions with 16 instead of 36 products. Reflection of the doubled picture repeats the border of the small one.

    Args:
        x: `[batch, height, width, channels]`.
        kernel: `[3, 3, channels, filters]`.

    Returns:
        `[batch, 2 height, 2 width, filters]`.
    """
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")

    def merged(w, parity):  # along axis 0
        return tf.stack([w[0], w[1] + w[2]] if parity == 0 else [w[0] + w[1], w[2]])

    phases = []
    for row in (0, 1):
        rows = tf.transpose(merged(kernel, row), [1, 0, 2, 3])
        for column in (0, 1):
            small = tf.transpose(merged(rows, column), [1, 0, 2, 3])
            y = tf.nn.conv2d(x[:, row:, column:], small, 1, "VALID")
            phases.append(y[:, : x.shape[1] - 2, : x.shape[2] - 2])
    return interleave(phases)


def interleave(phases: list[tf.Tensor]) -> tf.Tensor:
    """Four pictures, of even and odd rows times even and odd columns, to one of twice the size."""
    return tf.nn.depth_to_space(tf.concat(phases, -1), 2)
