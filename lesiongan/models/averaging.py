"""The moving average of a generator's weights, which gives better images than the weights of any one step."""

from __future__ import annotations

import keras
import tensorflow as tf


def move_average(averaged: keras.layers.Layer, trained: keras.layers.Layer, decay: float, step: tf.Tensor) -> None:
    """Moves the average a step towards the trained network, its batch statistics too.

    The decay grows from 0.1 with the steps, so that the random start is forgotten however short the training.

    Args:
        averaged, trained: the same network twice.
        decay: share of the average that a late step keeps.
        step: counted from 1.
    """
    step = tf.cast(step, tf.float32)
    share = 1.0 - tf.minimum(decay, step / (step + 9.0))
    for average, variable in zip(averaged.variables, trained.variables, strict=True):
        average.value.assign_add(share * (variable.value - average.value))
