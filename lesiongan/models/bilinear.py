"""Maps enlarged bilinearly, NHWC."""

from __future__ import annotations

import tensorflow as tf


def doubled(x: tf.Tensor) -> tf.Tensor:
    """Bilinear doubling of `[batch, n, n, channels]`."""
    return enlarged(x, 2 * x.shape[1])


def enlarged(x: tf.Tensor, size: int) -> tf.Tensor:
    """`[batch, n, n, channels]` -> `[batch, size, size, channels]`, bilinear, pixels by their centres, the border
    repeated; computed in float32, given back as it came."""
    return x if size == x.shape[1] else tf.cast(tf.image.resize(x, (size, size), "bilinear"), x.dtype)
