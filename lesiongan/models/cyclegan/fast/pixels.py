"""Pixels by number: gathering them is one op of memory copies, its gradient one op of sums.

TensorFlow's `tf.pad` with reflection and the gradient of `tf.gather` take two to three times as long on a CPU.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def gather_pixels(x: tf.Tensor, numbers: np.ndarray) -> tf.Tensor:
    """The pixels of those numbers, of each image.

    Args:
        x: `[n, height, width, channels]`, n may be unknown.
        numbers: int `[a, b]`, row by row: `width * y + x`.

    Returns:
        `[a, n, b, channels]`; see `scatter_pixels` for its gradient.
    """
    _, height, width, channels = x.shape
    pixels = numbers[:, None] + height * width * _images(x)[:, None]
    return tf.gather(tf.reshape(x, (-1, channels)), tf.constant(pixels) if x.shape[0] else pixels)


def scatter_pixels(dy: tf.Tensor, numbers: np.ndarray, size: tuple[int, int]) -> tf.Tensor:
    """The gradient of `gather_pixels`: the sum of all that was gathered from a pixel.

    Args:
        dy: `[a, n, b, channels]`.
        numbers: int `[a, b]`; every pixel is among them.
        size: height and width of the images.

    Returns:
        `[n, height, width, channels]`.
    """
    (_, _, b, channels), pixels = dy.shape, numbers.ravel()
    order = np.argsort(pixels, kind="stable").astype(np.int32)
    images = _images(dy, axis=1)[:, None]
    count = dy.shape[1] or tf.shape(dy)[1]
    sources = order // b * (b * count) + order % b + b * images
    summed = tf.raw_ops.SparseSegmentSum(
        data=tf.reshape(dy, (-1, channels)),
        indices=tf.reshape(sources, [-1]),
        segment_ids=tf.reshape(pixels[order] + size[0] * size[1] * images, [-1]),
    )
    return tf.reshape(summed, (-1, *size, channels))


def reflected(height: int, width: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Numbers of the pixels in those rows and columns of a picture with reflected borders, int32 `[*rows, *columns]`.

    Args:
        height, width: of the picture.
        rows, columns: from -(size - 1); the border itself is not repeated. What lies further below or to the right
            than the reflection reaches is an arbitrary pixel.
    """

    def inside(positions, size):
        positions = np.abs(positions)
        return np.clip(np.where(positions < size, positions, 2 * (size - 1) - positions), 0, size - 1)

    return np.add.outer(width * inside(rows, height), inside(columns, width)).astype(np.int32)


def reflect_padded(x: tf.Tensor, padding: int) -> tf.Tensor:
    """`tf.pad(..., "REFLECT")` by so many pixels on every side; `[n, height, width, channels]`."""
    _, height, width, channels = x.shape
    rows, columns = np.arange(-padding, height + padding), np.arange(-padding, width + padding)
    numbers = reflected(height, width, rows, columns).reshape(1, -1)

    @tf.custom_gradient
    def padded(x):
        def gradient(dy):
            return scatter_pixels(tf.reshape(dy, (1, -1, numbers.size, channels)), numbers, (height, width))

        return tf.reshape(gather_pixels(x, numbers), (-1, len(rows), len(columns), channels)), gradient

    return padded(x)


def _images(x: tf.Tensor, axis: int = 0):
    """The images' numbers, in NumPy where they are known."""
    return np.arange(x.shape[axis], dtype=np.int32) if x.shape[axis] else tf.range(tf.shape(x)[axis])
