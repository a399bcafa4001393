"""A picture of any size through a generator that takes any: whole where it is small enough, else in tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

#: Sides of what a generator is given, in pixels: from the first on its convolutions have borders to reflect, up to the
#: second the maps of the published network (256 filters at a quarter) take half a gigabyte.
LEAST, TILE = 8, 512
_OVERLAP = 0.25  # of a tile's side


def translated_at_full_size(
    translate: Callable[[tf.Tensor], tf.Tensor], picture: tf.Tensor, tile: int = TILE
) -> tf.Tensor:
    """One picture at its own size.

    Height and width are filled up to multiples of 4 by the border's pixels, which are cut off again. A picture larger
    than a tile is covered by overlapping ones, whose results are blended by weights that fall off towards their edges:
    instance norm sees each tile alone, and so their colours differ a little.

    Args:
        translate: float32 `[1, h, w, 3]` -> the same, in [-1, 1], for any h and w that are multiples of 4.
        picture: float32 `[height, width, 3]` in [-1, 1].
        tile: pixels of a tile's side, a multiple of 4.

    Returns:
        float32 `[height, width, 3]`.
    """
    shape = tf.shape(picture)
    height, width = shape[0], shape[1]
    filled = [tf.maximum(LEAST, (side + 3) // 4 * 4) for side in (height, width)]
    for axis, side in enumerate(filled):
        picture = tf.gather(picture, tf.minimum(tf.range(side), shape[axis] - 1), axis=axis)
    rows, columns = (_places(side, tile) for side in filled)
    extent = [tf.minimum(side, tile) for side in filled]
    weight = _weight(extent[0], tile)[:, None, None] * _weight(extent[1], tile)[None, :, None]
    places = tf.reshape(tf.stack(tf.meshgrid(rows, columns, indexing="ij"), -1), [-1, 2])

    def add(number: tf.Tensor, total: tf.Tensor, weights: tf.Tensor) -> tuple:
        top, left = places[number, 0], places[number, 1]
        part = picture[top : top + extent[0], left : left + extent[1]]
        ends = [[top, filled[0] - top - extent[0]], [left, filled[1] - left - extent[1]], [0, 0]]
        made = translate(part[None])[0]
        return number + 1, total + tf.pad(made * weight, ends), weights + tf.pad(weight, ends)

    count, shapes = tf.shape(places)[0], [tf.TensorShape([None, None, channels]) for channels in (3, 1)]
    total, weights = (tf.zeros([filled[0], filled[1], channels]) for channels in (3, 1))
    _, total, weights = tf.while_loop(
        lambda number, *_: number < count,
        add,
        (tf.constant(0), total, weights),
        shape_invariants=(tf.TensorShape([]), *shapes),
        parallel_iterations=1,
    )
    return (total / weights)[:height, :width]


def _places(side: tf.Tensor, tile: int) -> tf.Tensor:
    """Where tiles begin along one axis: the first at 0, the last at the end, overlapping by a quarter at least."""
    last = tf.maximum(0, side - tile)
    step = int(tile * (1 - _OVERLAP))
    count = (last + step - 1) // step
    return last * tf.range(count + 1) // tf.maximum(1, count)


def _weight(extent: tf.Tensor, tile: int) -> tf.Tensor:
    """Along one axis of a tile: 1 in its middle, falling linearly within the overlap towards both edges, never 0."""
    ramp = np.float32(tile * _OVERLAP)
    place = tf.range(tf.cast(extent, tf.float32)) + 0.5
    return tf.minimum(1.0, tf.minimum(place, tf.cast(extent, tf.float32) - place) / ramp)
