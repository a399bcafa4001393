"""Random numbers as a hash of (seed, stream, example): splitmix64 (Steele, Lea, Flood 2014).

TensorFlow's stateless generators take one seed per call, which would mean one call per image.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def _mix(z: tf.Tensor) -> tf.Tensor:
    shift = tf.bitwise.right_shift
    z += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    z = tf.bitwise.bitwise_xor(z, shift(z, tf.constant(30, tf.uint64))) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    z = tf.bitwise.bitwise_xor(z, shift(z, tf.constant(27, tf.uint64))) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return tf.bitwise.bitwise_xor(z, shift(z, tf.constant(31, tf.uint64)))


def _bits(seed: int, stream: int, examples: tf.Tensor) -> tf.Tensor:
    """Random uint64 for each example: a function of the seed, the stream and the example's number."""
    key = _mix(_mix(tf.constant(seed % 2**64, tf.uint64)) + tf.constant(stream, tf.uint64))
    return _mix(key + _mix(tf.cast(examples, tf.uint64)))


def uniform(seed: int, stream: int, examples: tf.Tensor) -> tf.Tensor:
    """Float64 in [0, 1), one for each example."""
    return (
        tf.cast(tf.bitwise.right_shift(_bits(seed, stream, examples), tf.constant(11, tf.uint64)), tf.float64) / 2**53
    )


def integers(seed: int, stream: int, examples: tf.Tensor, below) -> tf.Tensor:
    """Int64 in [0, below), one for each example; `below` is a number or one for each example."""
    return tf.cast(tf.floor(uniform(seed, stream, examples) * tf.cast(below, tf.float64)), tf.int64)


def in_range(seed: int, stream: int, examples: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Float32 in [low, high), shaped `[n, 1, 1, 1]` to be applied to images."""
    return tf.cast(low + (high - low) * uniform(seed, stream, examples), tf.float32)[:, None, None, None]


def derive(seed: int, part: int) -> int:
    """A seed for a part of a pipeline."""
    return int(np.random.SeedSequence([seed % 2**64, part]).generate_state(1, np.uint64)[0])


def permutation(position: tf.Tensor, epoch: tf.Tensor, n: int, seed: int, stream: int) -> tf.Tensor:
    """Where `position` goes in the epoch's permutation of range(n); position and epoch are int64 `[batch]`."""
    bits = _bits(seed, stream, epoch)
    low, high = tf.cast(bits, tf.uint32), tf.cast(tf.bitwise.right_shift(bits, tf.constant(32, tf.uint64)), tf.uint32)
    keys = tf.stack([low, high, tf.cast(epoch, tf.uint32)], axis=1)
    # The op itself: `tf.random.experimental.index_shuffle` cannot take a key for each index (it pads the wrong axis).
    return tf.raw_ops.RandomIndexShuffle(index=position, seed=keys, max_index=tf.constant(n - 1, tf.int64), rounds=4)
