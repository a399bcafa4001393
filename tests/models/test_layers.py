"""CycleGAN's layers against their definitions, written out in NumPy, and against tf.nn.moments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.cyclegan import layers


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _convolve(padded, kernel, stride=1):
    """Convolution by its definition, of an already padded `[n, h, w, c]`."""
    size = kernel.shape[0]
    height, width = ((n - size) // stride + 1 for n in padded.shape[1:3])
    out = np.zeros((len(padded), height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            patch = padded[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.einsum("nhwc,hwcf->nf", patch, kernel)
    return out


def _transposed_by_definition(x, kernel):
    """`out[2i] = x[i] w[1]`, `out[2i+1] = x[i] w[2] + x[i+1] w[0]`, along both axes."""

    def taps(o, n):
        return [(o // 2, 1)] if o % 2 == 0 else [(i, k) for i, k in ((o // 2, 2), (o // 2 + 1, 0)) if i < n]

    n, height, width, _ = x.shape
    out = np.zeros((n, 2 * height, 2 * width, kernel.shape[-1]))
    for row in range(2 * height):
        for column in range(2 * width):
            for i, k in taps(row, height):
                for j, m in taps(column, width):
                    out[:, row, column] += x[:, i, j] @ kernel[k, m]
    return out


def test_instance_norm_by_hand():
    # Channel 0 holds 1, 2, 3, 6 (mean 3, variance 3.5), channel 1 the same number everywhere.
    x = tf.constant([[[[1.0, 7.0], [2.0, 7.0]], [[3.0, 7.0], [6.0, 7.0]]]])
    expected = np.array([-2.0, -1.0, 0.0, 3.0]) / np.sqrt(3.5 + 1e-5)
    y = layers.instance_norm(x).numpy().reshape(4, 2)
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(y[:, 1], 0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 6, 5), (1, 8, 8, 2)])
def test_instance_norm_and_its_gradient_equal_the_formula_through_moments(shape):
    x, weights = tf.constant(3 + 2 * _random(*shape)), tf.constant(_random(*shape, seed=1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = layers.instance_norm(x)
        mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
        plain = (x - mean) / tf.sqrt(variance + 1e-5)
        loss, plain_loss = tf.reduce_sum(weights * ours), tf.reduce_sum(weights * plain)
    np.testing.assert_allclose(ours, plain, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, x), tape.gradient(plain_loss, x), atol=1e-5)


def test_instance_norm_of_an_image_does_not_depend_on_its_batch():
    x = tf.constant(_random(4, 5, 5, 3))
    np.testing.assert_allclose(layers.instance_norm(x)[2:3], layers.instance_norm(x[2:3]), atol=1e-6)


def test_instance_norm_of_half_precision_takes_its_statistics_in_float32():
    x = 200 + _random(1, 16, 16, 2)  # the sum of squares is far above float16's 65504
    y = layers.instance_norm(tf.constant(x, tf.float16))
    assert y.dtype == tf.float16
    x = x.astype(np.float16).astype(np.float64)
    np.testing.assert_allclose(y, (x - x.mean((1, 2))) / x.std((1, 2)), atol=5e-3)


def test_reflect_padding_does_not_repeat_the_border():
    row = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), (1, 1, 4, 1)) * tf.ones((1, 4, 1, 1))
    left = np.zeros((7, 7, 1, 1), np.float32)
    left[3, 0] = 1  # picks the pixel three to the left
    picked = layers.convolution(row, left, 1, 3, "reflect")
    np.testing.assert_array_equal(picked[0, 0, :, 0], [4, 3, 2, 1])


@pytest.mark.parametrize(
    ("size", "stride", "padding", "mode"),
    [(7, 1, 3, "reflect"), (3, 2, 1, "zero"), (4, 2, 1, "zero"), (4, 1, 1, "zero")],
)
@pytest.mark.parametrize("side", [8, 7])
def test_convolution_equals_its_definition(side, size, stride, padding, mode):
    x, kernel = _random(2, side, side, 3), _random(size, size, 3, 4, seed=1)
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(x, sides, mode="reflect" if mode == "reflect" else "constant")
    ours = layers.convolution(tf.constant(x), tf.constant(kernel), stride, padding, mode)
    np.testing.assert_allclose(ours, _convolve(padded, kernel, stride), atol=1e-4)


@pytest.mark.parametrize("operation", [layers.transposed_convolution, layers.subpixel_transposed_convolution])
def test_transposed_convolution_equals_its_definition(operation):
    x, kernel = _random(2, 3, 5, 4), _random(3, 3, 4, 2, seed=1)
    np.testing.assert_allclose(
        operation(tf.constant(x), tf.constant(kernel)), _transposed_by_definition(x, kernel), atol=1e-4
    )


def test_both_transposed_convolutions_have_the_same_gradients():
    x, kernel, weights = _random(2, 4, 4, 3), _random(3, 3, 3, 5, seed=1), _random(2, 8, 8, 5, seed=2)
    gradients = []
    for operation in (layers.transposed_convolution, layers.subpixel_transposed_convolution):
        inputs = [tf.constant(x), tf.constant(kernel)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(operation(*inputs) * weights)
        gradients.append(tape.gradient(loss, inputs))
    for ours, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-4)


def test_resize_convolution_equals_doubling_padding_and_convolving():
    x, kernel = _random(2, 4, 5, 3), _random(3, 3, 3, 4, seed=1)
    doubled = x.repeat(2, axis=1).repeat(2, axis=2)
    padded = np.pad(doubled, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    ours = layers.resize_convolution(tf.constant(x), tf.constant(kernel))
    np.testing.assert_allclose(ours, _convolve(padded, kernel), atol=1e-4)
    within = layers.resize_convolution(tf.constant(x), tf.constant(kernel), padding=0)
    np.testing.assert_allclose(within, _convolve(doubled, kernel), atol=1e-4)


def test_residual_block_with_zero_kernels_is_the_identity_without_a_relu_after_the_sum():
    block = layers.ResidualBlock()
    x = tf.constant(_random(1, 4, 4, 3))
    np.testing.assert_array_equal(block(x), x)
    assert (x.numpy() < 0).any()


def test_residual_block_equals_its_formula():
    block, x = layers.ResidualBlock(), _random(1, 4, 4, 3)
    block.build(x.shape)
    first, second = _random(3, 3, 3, 3, seed=1), _random(3, 3, 3, 3, seed=2)
    block.first.assign(first)
    block.second.assign(second)

    def norm(y):
        return (y - y.mean((1, 2), keepdims=True)) / np.sqrt(y.var((1, 2), keepdims=True) + 1e-5)

    def convolve(y, kernel):
        return _convolve(np.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect"), kernel)

    expected = x + norm(convolve(np.maximum(norm(convolve(x, first)), 0), second))
    np.testing.assert_allclose(block(x), expected, atol=1e-4)


@pytest.mark.parametrize(
    "block",
    [
        layers.ConvolutionBlock(4, 7, padding=3, mode="reflect"),
        layers.ConvolutionBlock(4, 4, stride=2, padding=1, norm=False, activation="leaky_relu"),
        layers.ConvolutionBlock(4, 4, padding=1, norm=False, activation="tanh"),
        layers.ResidualBlock(),
        layers.UpsamplingBlock(4),
        layers.UpsamplingBlock(4, upsampling="resize"),
        layers.SubpixelUpsamplingBlock(4),
    ],
    ids=lambda block: block.name,
)
def test_a_block_rebuilt_from_its_config_gives_the_same_output_in_a_graph_of_any_batch_size(block):
    x = tf.constant(_random(2, 8, 8, 3))
    block.build(x.shape)
    for number, weight in enumerate(block.weights):
        weight.assign(_random(*weight.shape, seed=number))
    y = block(x)
    assert y.shape == block.compute_output_shape(x.shape)
    other = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    other.set_weights(block.get_weights())
    np.testing.assert_array_equal(other(x), y)
    graph = tf.function(block, input_signature=[tf.TensorSpec((None, 8, 8, 3))])
    np.testing.assert_allclose(graph(x), y, atol=1e-5)
