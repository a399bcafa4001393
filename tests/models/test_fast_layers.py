"""The fast form's ops against the plain ones, forward and backward; the rule that chooses a form."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.cyclegan import layers
from lesiongan.models.cyclegan.fast import fast_layers, forms


@pytest.fixture(autouse=True)
def fast_at_every_size(monkeypatch):
    monkeypatch.setattr(fast_layers, "LEAST_TILES", 1)
    monkeypatch.setattr(fast_layers, "LARGE", 1)


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _assert_same_with_gradients(ours, plain, *inputs):
    found = []
    for operation in (ours, plain):
        tensors = [tf.constant(value) for value in inputs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = operation(*tensors)
            loss = tf.reduce_sum(y * _random(*y.shape, seed=9))
        found.append([y, *tape.gradient(loss, tensors)])
    for value, other in zip(*found, strict=True):
        assert value.shape == other.shape
        assert np.abs(value - other).max() < 1e-4 * np.abs(other).max()


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "mode"),
    [
        ((2, 12, 10, 3), (7, 7, 3, 8), 1, 3, "reflect"),  # the stem
        ((2, 12, 10, 8), (7, 7, 8, 3), 1, 3, "reflect"),  # the head
        ((2, 12, 10, 6), (3, 3, 6, 8), 2, 1, "zero"),  # down
        ((2, 9, 11, 6), (3, 3, 6, 8), 2, 1, "zero"),
        ((2, 8, 12, 6), (3, 3, 6, 7), 1, 1, "reflect"),  # residual
        ((2, 12, 12, 3), (4, 4, 3, 8), 2, 1, "zero"),  # the discriminator's
        ((2, 12, 12, 6), (4, 4, 6, 8), 2, 1, "zero"),
        ((2, 11, 13, 6), (4, 4, 6, 8), 2, 1, "zero"),
        ((2, 8, 9, 6), (4, 4, 6, 8), 1, 1, "zero"),
        ((2, 8, 9, 6), (4, 4, 6, 1), 1, 1, "zero"),
    ],
)
def test_convolution_and_its_gradients_are_the_plain_ones(shape, kernel, stride, padding, mode):
    settings = (stride, padding, mode)
    _assert_same_with_gradients(
        lambda x, w: fast_layers.fast_convolution(x, w, *settings),
        lambda x, w: layers.convolution(x, w, *settings),
        _random(*shape),
        _random(*kernel, seed=1),
    )


def test_transposed_convolution_and_its_gradients_are_the_plain_ones():
    _assert_same_with_gradients(
        fast_layers.fast_transposed_convolution,
        layers.transposed_convolution,
        _random(2, 5, 6, 7),
        _random(3, 3, 7, 6, seed=1),
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_and_its_gradient_are_the_plain_ones(batch):
    x = 3 + 2 * _random(batch, 7, 6, 4)
    _assert_same_with_gradients(fast_layers.fast_instance_norm, layers.instance_norm, x)


def test_half_precision_goes_the_plain_way():
    x, kernel = (tf.cast(value, tf.float16) for value in (_random(1, 8, 8, 6), 0.1 * _random(3, 3, 6, 6, seed=1)))
    y = fast_layers.fast_convolution(x, kernel, 1, 1, "reflect")
    assert y.dtype == fast_layers.fast_instance_norm(y).dtype == tf.float16
    np.testing.assert_array_equal(y, layers.convolution(x, kernel, 1, 1, "reflect"))


@pytest.mark.parametrize(
    "block",
    [
        fast_layers.FastConvolutionBlock(5, 7, padding=3, mode="reflect"),
        fast_layers.FastConvolutionBlock(6, 4, stride=2, padding=1, activation="leaky_relu"),
        fast_layers.FastResidualBlock(),
        fast_layers.FastUpsamplingBlock(6),
        fast_layers.FastUpsamplingBlock(6, upsampling="resize"),
    ],
    ids=lambda block: block.name,
)
def test_a_block_has_the_plain_ones_weights_and_output_whatever_the_batch(block):
    plain = {
        "FastConvolutionBlock": layers.ConvolutionBlock,
        "FastResidualBlock": layers.ResidualBlock,
        "FastUpsamplingBlock": layers.UpsamplingBlock,
    }[type(block).__name__](**block.settings)
    x = tf.constant(_random(2, 8, 8, 5))
    for each in (block, plain):
        each.build(x.shape)
    block.set_weights([_random(*weight.shape, seed=number) for number, weight in enumerate(plain.weights)])
    plain.set_weights(block.get_weights())
    expected = plain(x)
    graph = tf.function(block, input_signature=[tf.TensorSpec((None, 8, 8, 5))])
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    rebuilt.set_weights(block.get_weights())
    for y in (block(x), graph(x), rebuilt(x)):
        np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "settings", "form"),
    [
        (256, {}, "fast"),
        (64, {}, "fast"),
        (32, {}, "plain"),
        (256, {"gpu": True}, "plain"),
        (256, {"precision": "mixed_bfloat16"}, "plain"),
        (256, {"xla": True}, "subpixel"),
    ],
)
def test_the_rule(size, settings, form):
    assert forms.choose(size, **{"gpu": False, **settings}) == form
