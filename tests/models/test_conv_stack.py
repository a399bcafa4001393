"""Convolutions with a gradient of their own, against TensorFlow's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.backbones.conv_stack import depthwise_5x5, pointwise_conv


def gradients(function, x, kernel):
    weights = tf.random.stateless_normal(function(x, kernel).shape, [0, 7])
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        result = function(x, kernel)
    return result, *tape.gradient(result, [x, kernel], output_gradients=weights)


@pytest.mark.parametrize(("height", "width", "stride"), [(3, 3, 1), (6, 6, 2), (7, 12, 2), (12, 5, 1), (1, 2, 1)])
def test_a_depthwise_convolution_and_its_gradients_are_tensorflows(height, width, stride):
    x = tf.random.stateless_normal([2, height, width, 6], [0, 1])
    kernel = tf.random.stateless_normal([5, 5, 6, 1], [0, 2])

    def theirs(x, kernel):
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")

    for own, other in zip(
        gradients(tf.function(lambda x, k: depthwise_5x5(x, k, stride)), x, kernel),
        gradients(theirs, x, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(own, other, atol=1e-5 * float(tf.reduce_max(tf.abs(other))))


def test_a_pointwise_convolution_and_its_gradients_are_tensorflows():
    x = tf.random.stateless_normal([2, 5, 5, 6], [0, 1])
    kernel = tf.random.stateless_normal([1, 1, 6, 4], [0, 2])
    expected = gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x, kernel)
    for own, other in zip(gradients(pointwise_conv, x, kernel), expected, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5 * float(tf.reduce_max(tf.abs(other))))
