"""The convolution after nearest-neighbour doubling (Odena et al. 2016), NHWC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from lesiongan.models.convolution import padded, without_margin

#: The transposed convolution's taps, rows, from those of the convolution, columns.
_TAPS = ((0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0))


def resize_convolution(x: tf.Tensor, kernel: tf.Tensor, padding: int = 1) -> tf.Tensor:
    """Nearest-neighbour doubling, reflect padding, 3 x 3 convolution (Odena et al. 2016): leaves no checkerboard.

    Computed at the small size: a doubled picture holds each value twice along an axis, so that the three taps of an
    even pixel are `w[0] x[i-1] + (w[1] + w[2]) x[i]`, of an odd one `(w[0] + w[1]) x[i] + w[2] x[i+1]`. That is one
    transposed convolution of stride 2 with 4 x 4 taps: 16 products in place of 36, and a gradient that oneDNN and cuDNN
    have a quick form of. Reflection of the doubled picture repeats the border of the small one.

    Args:
        x: `[batch, height, width, channels]`.
        kernel: `[3, 3, channels, filters]`.
        padding: 1, or 0 for a result that is smaller by one pixel on each side.

    Returns:
        `[batch, 2 height, 2 width, filters]`, or `[batch, 2 height - 2, 2 width - 2, filters]`.
    """
    if padding:
        x = padded(x, 1, "symmetric")
    height, width = sides(x)
    kernel = along_both_axes(_TAPS, kernel)
    shape = tf.stack([tf.shape(x)[0], 2 * height, 2 * width, kernel.shape[3]])
    y = tf.nn.conv2d_transpose(x, tf.transpose(kernel, [0, 1, 3, 2]), shape, 2, "SAME")
    return without_margin(y, 1 + padding)


def along_both_axes(matrix: Sequence[Sequence[float]], kernel: tf.Tensor) -> tf.Tensor:
    """A kernel `[n, n, before, after]` whose taps a matrix `[m, n]` combines along height and along width: `[m, m,
    before, after]`. One product, since TensorFlow fills a whole kernel with zeros for the gradient of each slice."""
    both = tf.constant(np.kron(matrix, matrix), kernel.dtype)
    taps = tf.matmul(both, tf.reshape(kernel, [both.shape[1], -1]))
    return tf.reshape(taps, [len(matrix), len(matrix), *kernel.shape[2:]])


def sides(x: tf.Tensor) -> list:
    """Height and width of `[batch, height, width, channels]`, as tensors where the graph does not know them."""
    return [tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis] for axis in (1, 2)]
