"""Gradient accumulation: a batch in parts, one after the other, for the memory of one part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def in_parts(gradients_of: Callable, parts: int, batches: Sequence[tf.Tensor], seed: tf.Tensor) -> tuple:
    """`gradients_of(*batches, seed)`, computed on `parts` equal parts of the batches.

    Means per image over the parts are those over the whole batch; only what is drawn by the seed differs, since each
    part has a seed of its own.

    Args:
        gradients_of: gives losses and gradients, each a nest of means per image, and any nests of images after them.
        parts: how many, a divisor of the batch.
        batches: `[batch, ...]` each, batch static.
        seed: int64 `[2]`.

    Returns:
        What `gradients_of` gives for the whole batch: means over the parts, and all images in the batch's order.
    """
    if parts == 1:
        return gradients_of(*batches, seed)
    cut = [tf.reshape(batch, [parts, batch.shape[0] // parts, *batch.shape[1:]]) for batch in batches]

    def part(number):
        return gradients_of(*(batch[number] for batch in cut), tf.random.fold_in(seed, tf.cast(number, tf.int64)))

    def begin(images):
        return tf.TensorArray(images.dtype, parts, element_shape=images.shape).write(0, images)

    def add(number, sums, arrays):
        result = part(number)
        sums = tf.nest.map_structure(tf.add, sums, result[:2])
        arrays = tf.nest.map_structure(lambda array, images: array.write(number, images), arrays, result[2:])
        return number + 1, sums, arrays

    def whole(array):
        images = array.stack()
        return tf.reshape(images, [-1, *images.shape[2:]])

    # The first part comes before the loop: it gives the loop its structure. A loop, because the parts of an unrolled
    # graph would run side by side, in the memory of all.
    first = part(0)
    state = tf.constant(1), first[:2], tf.nest.map_structure(begin, first[2:])
    _, sums, arrays = tf.while_loop(lambda number, *_: number < parts, add, state, parallel_iterations=1)
    means = tf.nest.map_structure(lambda total: total / parts, sums)
    return *means, *tf.nest.map_structure(whole, arrays)
