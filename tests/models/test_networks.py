"""The options of CycleGAN's discriminators: several scales, spectral norm, half precision; and PatchGAN by hand."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.config.cyclegan import half_of
from lesiongan.models.cyclegan.networks import MultiScalePatchGAN, PatchGAN, ResNetGenerator, half_size
from lesiongan.models.spectral_norm import initial_vector


def _images(size=32, batch=2, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, 3)), tf.float32)


def _drawn(network, deviation=0.3):
    for number, weight in enumerate(network.trainable_weights):
        weight.assign(np.random.default_rng(number).normal(0, deviation, weight.shape))
    for number, vector in enumerate(network.vectors):
        vector.assign(initial_vector(0, number, vector.shape[0]))
    return network


def test_the_first_convolution_has_no_norm_and_leaks_a_fifth():
    first = PatchGAN(32, filters=1).blocks[0]
    first.weight.assign(tf.ones(first.weight.shape))  # 4 x 4 x 3 pixels in the middle of the picture
    for value in (0.5, -0.5):
        inside = first(tf.fill((1, 32, 32, 3), value))[0, 8, 8, 0]
        np.testing.assert_allclose(inside, 48 * value if value > 0 else 0.2 * 48 * value)


def test_scores_are_not_squashed():
    network = PatchGAN(32, filters=1)
    network.blocks[-1].bias.assign([-7.0])  # all kernels are 0
    np.testing.assert_array_equal(network(_images()), np.full((2, 2, 2, 1), -7.0))


def _pooled_by_definition(images):
    """3 x 3 means at every second pixel, over those of the nine that lie in the picture."""
    size = images.shape[1]
    out = np.zeros((len(images), half_of(size), half_of(size), images.shape[-1]))
    for i, row in enumerate(range(0, size, 2)):
        for j, column in enumerate(range(0, size, 2)):
            patch = images[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, i, j] = patch.mean((1, 2))
    return out


@pytest.mark.parametrize("size", [6, 7])
def test_half_size_is_the_mean_of_the_pixels_that_are_there(size):
    images = _images(size).numpy()
    result = half_size(tf.constant(images))
    np.testing.assert_allclose(result, _pooled_by_definition(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result[:, 0, 0], images[:, :2, :2].mean((1, 2)), rtol=1e-5, atol=1e-6)


def test_scales_are_networks_of_their_own_each_at_half_the_size():
    network = _drawn(MultiScalePatchGAN(64, scales=2, settings={"filters": 2}))
    images = _images(64)
    maps = network(images)
    assert [scores.shape for scores in maps] == [(2, 6, 6, 1), (2, 2, 2, 1)]
    assert [tuple(shape) for shape in network.compute_output_shape((2, 64, 64, 3))] == [(2, 6, 6, 1), (2, 2, 2, 1)]
    full, half = network.networks
    np.testing.assert_allclose(maps[0], full(images), rtol=1e-6)
    np.testing.assert_allclose(maps[1], half(tf.constant(_pooled_by_definition(images.numpy()), tf.float32)), atol=1e-4)
    assert network.count_params() == 2 * full.count_params()


def _with_singular_values(network, images):
    """The network written out, each kernel over its largest singular value; no norms."""
    x = images
    for number, block in enumerate(network.blocks):
        kernel = block.weight.numpy()
        sigma = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = tf.nn.conv2d(x, kernel / sigma, 2 if number < 3 else 1, "VALID") + block.bias.numpy()
        x = x if number == 4 else tf.maximum(x, 0.2 * x)
    return x


def test_spectral_norm_divides_every_kernel_and_replaces_the_norms():
    network, images = _drawn(PatchGAN(32, filters=2, spectral_norm=True)), _images()
    kernels = 16 * (3 * 2 + 2 * 4 + 4 * 8 + 8 * 16 + 16 * 1)
    assert sum(int(np.prod(w.shape)) for w in network.trainable_weights) == kernels + (2 + 4 + 8 + 16 + 1)
    advance = tf.function(network.advance)
    for _ in range(200):
        advance()
    result = network(images)
    assert np.abs(result).max() > 0.1
    np.testing.assert_allclose(result, _with_singular_values(network, images), rtol=1e-3, atol=1e-4)
    for block in network.blocks:
        block.weight.assign(7.0 * block.weight)
    np.testing.assert_allclose(network(images), result, rtol=1e-4, atol=1e-5)


def test_a_pass_leaves_the_vectors_of_spectral_norm_where_they_are():
    network = _drawn(MultiScalePatchGAN(64, scales=2, settings={"filters": 2, "spectral_norm": True}))
    before = [vector.numpy() for vector in network.vectors]
    network(_images(64))
    for vector, old in zip(network.vectors, before, strict=True):
        np.testing.assert_array_equal(vector, old)
    network.advance()
    assert len(before) == 10
    moved = [not np.array_equal(vector, old) for vector, old in zip(network.vectors, before, strict=True)]
    assert moved == 2 * [True, True, True, True, False]  # one filter has one direction only


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_half_precision_is_inside_only(precision, spectral_norm):
    images = _images()
    for make in (
        lambda dtype: ResNetGenerator(32, filters=4, blocks=1, dtype=dtype),
        lambda dtype: PatchGAN(32, filters=4, spectral_norm=spectral_norm, dtype=dtype),
    ):
        plain, half = make(None), make(precision)
        for weight, other in zip(plain.weights, half.weights, strict=True):
            assert other.dtype == "float32"
            value = np.random.default_rng(len(weight.shape)).normal(0, 0.2, weight.shape)
            weight.assign(value)
            other.assign(value)
        result = half(images)
        assert result.dtype == tf.float32
        difference = np.abs(result - plain(images))
        assert difference.max() > 0  # it was another precision
        assert difference.mean() < 0.02 * np.abs(plain(images)).mean()


def test_networks_with_options_come_back_from_their_config():
    for network in (
        PatchGAN(32, filters=2, spectral_norm=True, dtype="mixed_bfloat16"),
        MultiScalePatchGAN(64, scales=2, settings={"filters": 2, "spectral_norm": True}),
    ):
        other = type(network).from_config(network.get_config())
        assert [w.shape for w in other.weights] == [w.shape for w in network.weights]
        assert other.get_config() == network.get_config()
