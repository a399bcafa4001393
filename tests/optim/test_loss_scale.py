"""Loss scaling: what float16 would lose arrives, and a step that overflows changes the scale alone."""

import keras
import numpy as np
import tensorflow as tf

from lesiongan.optim.loss_scale import LossScale


def _optimizer(value=1.0, **settings):
    variable = keras.Variable(np.array([value], np.float32))
    optimizer = LossScale(keras.optimizers.SGD(1.0), **settings)
    optimizer.build([variable])
    return optimizer, variable


def test_a_gradient_too_small_for_float16_arrives():
    tiny = 2.0**-26  # the smallest float16 above 0 is 2^-24
    optimizer, variable = _optimizer(0.0)
    for scaled in (False, True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(tf.cast(variable.value, tf.float16), tf.float32)) * tiny
            total = optimizer.scale_loss(loss) if scaled else loss
        gradient = tape.gradient(total, variable.value)
        assert (float(gradient[0]) != 0) == scaled
    optimizer.apply([gradient], [variable])
    np.testing.assert_array_equal(variable.numpy(), [-tiny])


def test_a_step_that_overflows_halves_the_scale_and_changes_nothing_else():
    optimizer, variable = _optimizer()
    for value in (np.inf, np.nan):
        before = float(optimizer.dynamic_scale)
        optimizer.apply([tf.constant([value])], [variable])
        assert float(optimizer.dynamic_scale) == before / 2
    assert variable.numpy() == [1.0]
    assert int(optimizer.iterations) == 0
    optimizer.apply([tf.constant([2.0**13])], [variable])  # the scale is 2^15 / 4: a gradient of 1
    assert variable.numpy() == [0.0]
    assert int(optimizer.iterations) == 1


def test_after_many_finite_steps_the_scale_doubles_and_restart_forgets_it():
    optimizer, variable = _optimizer(initial_scale=8.0, dynamic_growth_steps=3)
    scales = []
    for _ in range(7):
        optimizer.apply([tf.constant([0.0])], [variable])
        scales.append(float(optimizer.dynamic_scale))
    assert scales == [8, 8, 16, 16, 16, 32, 32]
    optimizer.restart()
    assert (float(optimizer.dynamic_scale), int(optimizer.step_counter)) == (8.0, 0)
