"""Winograd's convolution against TensorFlow's, and its transforms against the identity that they rest on."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.cyclegan.fast import winograd
from lesiongan.models.cyclegan.fast.pixels import gather_pixels, reflect_padded, reflected, scatter_pixels


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _with_gradients(convolution, x, kernel):
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = convolution(x, kernel)
        loss = tf.reduce_sum(y * _random(*y.shape, seed=9))
    return y, *tape.gradient(loss, [x, kernel])


def _assert_close(ours, expected):
    for value, other in zip(ours, expected, strict=True):
        assert value.shape == other.shape
        assert np.abs(value - other).max() < 1e-4 * np.abs(other).max()


# 3 x 3: four tiles; tiles that reach over both borders; a picture smaller than a tile; as many channels as in the
# generator. 4 x 4: whole tiles, and tiles that reach over.
@pytest.mark.parametrize(
    ("shape", "size", "padding"),
    [
        ((2, 8, 8, 5, 7), 3, 1),
        ((3, 10, 13, 4, 6), 3, 1),
        ((1, 3, 2, 3, 3), 3, 1),
        ((1, 16, 16, 256, 256), 3, 1),
        ((2, 9, 11, 5, 6), 3, 0),
        ((2, 9, 12, 5, 7), 4, 0),
        ((1, 11, 10, 4, 6), 4, 0),
    ],
)
def test_outputs_and_gradients_are_those_of_the_direct_convolution(shape, size, padding):
    n, height, width, channels, filters = shape
    tiling = winograd.Tiling(height, width, size, padding)
    graph = tf.function(lambda x, kernel: winograd.winograd_convolution(x, kernel, tiling))

    def direct(x, kernel):
        sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
        return tf.nn.conv2d(tf.pad(x, sides, "REFLECT"), kernel, 1, "VALID")

    for seed, batch in enumerate((n, n + 1)):
        x, kernel = _random(batch, height, width, channels, seed=seed), _random(size, size, channels, filters, seed=7)
        _assert_close(_with_gradients(graph, x, kernel), _with_gradients(direct, x, kernel))


def test_one_graph_serves_any_batch_size_forward_and_backward():
    kernel, tiling = tf.constant(_random(3, 3, 4, 6)), winograd.Tiling(9, 8, 3, 1)

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = winograd.winograd_convolution(x, kernel, tiling)
            loss = tf.reduce_sum(y**2)
        return y, tape.gradient(loss, x)

    graph = tf.function(both, input_signature=[tf.TensorSpec((None, 9, 8, 4))])
    for batch in (1, 3):
        x = tf.constant(_random(batch, 9, 8, 4, seed=batch))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"), kernel, 1, "VALID")
            loss = tf.reduce_sum(y**2)
        _assert_close(graph(x), [y, tape.gradient(loss, x)])


def test_filters_transformed_beforehand_give_the_same():
    x, kernel, tiling = _random(2, 8, 8, 4), tf.constant(_random(3, 3, 4, 6)), winograd.Tiling(8, 8, 3, 1)
    filters = winograd.transformed_filters(kernel)
    assert filters.shape == (36, 4, 6)
    expected = winograd.winograd_convolution(x, kernel, tiling)
    np.testing.assert_array_equal(winograd.winograd_convolution(x, filters, tiling), expected)


def test_reflected_numbers_by_hand():
    numbers = reflected(3, 4, np.array([-1, 0, 2, 3]), np.array([-2, 3, 4]))
    np.testing.assert_array_equal(numbers, [[6, 7, 6], [2, 3, 2], [10, 11, 10], [6, 7, 6]])


@pytest.mark.parametrize("padding", [1, 3])
def test_reflect_padding_and_its_gradient_are_tensorflows(padding):
    x = tf.constant(_random(2, 5, 7, 3))
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    found = []
    for pad in (lambda x: reflect_padded(x, padding), lambda x: tf.pad(x, sides, "REFLECT")):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = pad(x)
            loss = tf.reduce_sum(y * _random(*y.shape, seed=1))
        found.append([y, tape.gradient(loss, x)])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)


def test_scatter_is_the_transpose_of_gather():
    numbers = np.array([[0, 5, 5, 1], [3, 2, 4, 0]])
    x, dy = _random(3, 2, 3, 2), _random(2, 3, 4, 2, seed=1)
    there = float(tf.reduce_sum(gather_pixels(tf.constant(x), numbers) * dy))
    back = float(tf.reduce_sum(x * scatter_pixels(tf.constant(dy), numbers, (2, 3))))
    assert there == pytest.approx(back, rel=1e-5)
