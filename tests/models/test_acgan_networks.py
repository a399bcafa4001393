"""The paper's networks: shapes at each layer, numbers of parameters by hand, initial weights, and their operations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.acgan import networks
from lesiongan.models.acgan.networks import Discriminator, Generator


def parameters(network) -> int:
    return sum(math.prod(variable.shape) for variable in network.variables)


@pytest.mark.parametrize(
    ("size", "maps"),
    [
        (32, [(4, 384), (8, 256), (16, 192), (32, 3)]),
        (64, [(4, 384), (8, 256), (16, 192), (32, 64), (64, 3)]),
        (128, [(1, 768), (5, 384), (13, 256), (29, 192), (61, 64), (128, 3)]),
        (256, [(4, 768), (8, 384), (16, 256), (32, 192), (64, 96), (128, 64), (256, 3)]),
    ],
)
def test_generators_maps(size, maps):
    generator = Generator(size, 110, 8)
    found = tf.function(generator.maps, autograph=False).get_concrete_function(tf.TensorSpec([2, 110], tf.float32))
    assert [tuple(map_.shape) for map_ in found.structured_outputs] == [(2, side, side, width) for side, width in maps]


@pytest.mark.parametrize(
    ("size", "sides"),
    [(32, (16, 14, 7, 5, 3, 1)), (64, (32, 30, 15, 13, 7, 5)), (128, (64, 62, 31, 29, 15, 13))],
)
def test_discriminators_maps(size, sides):
    discriminator = Discriminator(size, 8)
    images = tf.TensorSpec([2, size, size, 3], tf.float32)
    found = tf.function(discriminator.maps, autograph=False).get_concrete_function(images).structured_outputs
    widths = (16, 32, 64, 128, 256, 512)
    assert [tuple(map_.shape) for map_ in found] == [(2, n, n, width) for n, width in zip(sides, widths, strict=True)]
    source, classes = tf.function(discriminator, autograph=False).get_concrete_function(images).structured_outputs
    assert (tuple(source.shape), tuple(classes.shape)) == ((2, 1), (2, 8))


def test_parameter_counts_by_hand():
    norms = 4 * (384 + 256 + 192 + 64)  # scale, shift and both moving statistics
    generator = 110 * 768 + 768 + 25 * (768 * 384 + 384 * 256 + 256 * 192 + 192 * 64) + 64 * 64 * 3 + norms
    assert parameters(Generator(128, 110, 8)) == generator == 11_467_520
    doubling = 110 * 6144 + 6144 + 16 * (384 * 256 + 256 * 192 + 192 * 64 + 64 * 3) + norms
    assert parameters(Generator(64, 110, 8)) == doubling == 3_244_544
    convolutions = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    norms = 4 * (32 + 64 + 128 + 256 + 512)
    heads = (13 * 13 * 512 + 1) * 9
    assert parameters(Discriminator(128, 8)) == convolutions + norms + heads == 2_354_489


def test_initial_weights_and_batch_norm():
    generator = Generator(64, 110, 8, seed=1)
    for kernel in generator.kernels.values():
        values = kernel.numpy()
        assert abs(values.mean()) < 5e-3 / math.sqrt(values.size / 100)
        assert values.std() == pytest.approx(0.02, rel=0.1)
    kernels = [kernel.numpy().ravel()[:64] for kernel in generator.kernels.values()]
    assert len({k.tobytes() for k in kernels}) == 5  # no two layers start alike
    scale = generator.norms.scale.numpy()
    assert abs(scale.mean() - 1) < 0.005
    assert scale.std() == pytest.approx(0.02, rel=0.15)
    assert (generator.norms.epsilon, generator.norms.momentum) == (1e-5, 0.9)
    assert not np.array_equal(generator.kernels["dense"], Generator(64, 110, 8, seed=2).kernels["dense"])
    np.testing.assert_array_equal(generator.kernels["up_2"], Generator(64, 110, 8, seed=1).kernels["up_2"])


def test_images_are_float32_between_minus_1_and_1_and_the_last_activation_is_tanh():
    generator = Generator(32, 110, 8, width=1 / 16)
    generator.kernels["up_3"].assign(50 * generator.kernels["up_3"])
    images = generator(tf.random.stateless_normal([2, 110], [1, 2]), training=True)
    assert images.dtype == tf.float32
    assert 0.9 < float(tf.reduce_max(tf.abs(images))) <= 1


def test_other_sizes_are_the_users_mistake():
    with pytest.raises(UsageError, match=r"acgan\.size=48"):
        Generator(48, 110, 8)


def test_a_spectral_norm_in_the_discriminator_moves_in_updating_passes_alone():
    discriminator = Discriminator(32, 8, width=1 / 8, spectral_norm=True)
    images = tf.random.stateless_uniform([2, 32, 32, 3], [1, 2], -1, 1)
    assert set(discriminator.vectors) == set(discriminator.kernels)
    before = {key: vector.numpy() for key, vector in discriminator.vectors.items()}
    means = discriminator.norms.moving_mean.numpy()
    discriminator(images)
    discriminator(images, training=True, update=False)
    for key, vector in discriminator.vectors.items():
        np.testing.assert_array_equal(vector, before[key])
    np.testing.assert_array_equal(discriminator.norms.moving_mean, means)
    for _ in range(200):  # the power iteration alone, from here on the same kernels
        for key in discriminator.kernels:
            discriminator.kernel(key, update=True)
    for key, kernel in discriminator.kernels.items():
        singular = np.linalg.svd(kernel.numpy().reshape(-1, kernel.shape[-1]), compute_uv=False)
        np.testing.assert_allclose(discriminator.kernel(key), kernel / singular[0], rtol=1e-3, atol=1e-5)
    discriminator(images, training=True)
    assert (discriminator.norms.moving_mean.numpy() != means).any()


# Operations


@pytest.mark.parametrize("filters", [3, 9])
@pytest.mark.parametrize(("k", "padding", "cut"), [(5, "VALID", 0), (8, "VALID", 0), (4, "SAME", 1)])
def test_transposed_convolution_and_its_gradient_against_the_formula(filters, k, padding, cut):
    x = tf.random.stateless_normal([2, 4, 4, 2], [1, 2])
    kernel = tf.random.stateless_normal([k, k, filters, 2], [3, 4])
    full = np.zeros((2, 6 + k, 6 + k, filters))
    for i in range(4):
        for j in range(4):
            full[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k] += np.einsum("bc,hwfc->bhwf", x[:, i, j], kernel)
    expected = full[:, cut : full.shape[1] - cut, cut : full.shape[2] - cut]
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = networks.transposed_convolution(x, kernel, padding)
        weights = tf.random.stateless_normal(y.shape, [5, 6])
        total = tf.reduce_sum(y * weights)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    # linear in each: the gradient times the argument is the value
    for gradient, value in zip(tape.gradient(total, [x, kernel]), [x, kernel], strict=True):
        np.testing.assert_allclose(tf.reduce_sum(gradient * value), total, rtol=1e-4)
    dx = np.zeros(x.shape)
    padded = np.pad(weights, [(0, 0), (cut, cut), (cut, cut), (0, 0)])
    for i in range(4):
        for j in range(4):
            dx[:, i, j] = np.einsum("bhwf,hwfc->bc", padded[:, 2 * i : 2 * i + k, 2 * j : 2 * j + k], kernel)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(networks.transposed_convolution(x, kernel, padding) * weights)
    np.testing.assert_allclose(tape.gradient(total, x), dx, atol=1e-4)


def test_dropout_drops_half_doubles_the_rest_and_repeats():
    shapes, seed = [(50, 7, 9), (50, 11)], tf.constant([1, 2])
    units = [math.prod(shape[1:]) for shape in shapes]
    masks = networks.dropout_masks(tf.constant(50), units, 0.5, seed)
    again = networks.dropout_masks(tf.constant(50), units, 0.5, seed)
    other = networks.dropout_masks(tf.constant(50), units, 0.5, tf.constant([1, 3]))
    for shape, mask, same, different in zip(shapes, masks, again, other, strict=True):
        dropped = networks.dropped(tf.ones(shape), mask, 0.5).numpy()
        assert set(np.unique(dropped)) == {0.0, 2.0}
        assert abs(dropped.mean() - 1) < 4.5 / math.sqrt(dropped.size)
        np.testing.assert_array_equal(mask, same)
        assert (mask.numpy() != different.numpy()).mean() > 0.4
    (mask,) = networks.dropout_masks(tf.constant(50), [99], 0.25, seed)
    assert networks.dropped(tf.ones([50, 99]), mask, 0.25).numpy().max() == pytest.approx(4 / 3)
    assert np.mean(mask) == pytest.approx(0.75, abs=4.5 * 0.44 / math.sqrt(4950))
