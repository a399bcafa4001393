"""CycleGAN's schedule against the factors of the reference's formula, worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.optim.schedules import LinearDecay

BY_HAND = {0: 1.0, 99: 1.0, 100: 100 / 101, 101: 99 / 101, 150: 50 / 101, 199: 1 / 101}


@pytest.mark.parametrize("epoch", BY_HAND)
@pytest.mark.parametrize("length", [1, 1334])
def test_factor_of_an_epoch_is_the_references(epoch, length):
    schedule = LinearDecay(2e-4, 200 * length)
    for step in (epoch * length, epoch * length + length - 1):  # a staircase: first and last step of the epoch
        np.testing.assert_allclose(schedule(tf.constant(step)), 2e-4 * BY_HAND[epoch], rtol=1e-6)


def test_a_budget_scales_both_halves():
    schedule = LinearDecay(1.0, 1000)  # five steps to an epoch of the reference
    assert float(schedule(499)) == 1.0
    np.testing.assert_allclose([schedule(500), schedule(504), schedule(505)], np.array([100, 100, 99]) / 101, rtol=1e-6)
    np.testing.assert_allclose(schedule(999), 1 / 101, rtol=1e-5)


def test_fewer_steps_than_200_still_go_from_all_to_nearly_nothing():
    schedule = LinearDecay(1.0, 10)
    factors = [float(schedule(step)) for step in range(10)]
    assert factors[:5] == [1.0] * 5
    # Step 5 of 10 stands at epoch 100, step 9 at epoch 180.
    np.testing.assert_allclose(factors[5:], np.array([100, 80, 60, 40, 20]) / 101, rtol=1e-6)


def test_after_the_end_the_rate_stays_positive():
    np.testing.assert_allclose(LinearDecay(1.0, 200)(100_000), 1 / 101, rtol=1e-5)


def test_a_long_training_does_not_overflow():
    np.testing.assert_allclose(LinearDecay(1.0, 30_000_000)(tf.constant(29_999_999)), 1 / 101, rtol=1e-5)


def test_rescale_reaches_a_traced_step_and_config_comes_back():
    schedule = LinearDecay(1.0, 1000)
    rate = tf.function(schedule)
    assert float(rate(tf.constant(600))) < 1
    schedule.rescale(2000)
    assert float(rate(tf.constant(600))) == 1
    assert schedule.get_config() == {"learning_rate": 1.0, "steps": 2000, "decay": True}
    assert float(LinearDecay.from_config(schedule.get_config())(1999)) == float(schedule(1999))
