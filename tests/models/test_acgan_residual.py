"""The residual networks: shapes, parameters by hand, the class in the norms, and merged convolutions."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.acgan import residual
from lesiongan.models.acgan.residual import ResidualDiscriminator, ResidualGenerator


def parameters(network) -> int:
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_maps_double_and_halve(size):
    generator, discriminator = (
        ResidualGenerator(size, 110, 8, width=1 / 16),
        ResidualDiscriminator(size, 8, width=1 / 16),
    )
    noise, images = tf.TensorSpec([2, 110], tf.float32), tf.TensorSpec([2, size, size, 3], tf.float32)
    maps = tf.function(generator.maps, autograph=False).get_concrete_function(noise).structured_outputs
    sides = [4 * 2**n for n in range(int(math.log2(size // 4)) + 1)]
    assert [m.shape[1] for m in maps] == [m.shape[2] for m in maps] == [*(side + 4 for side in sides), size]
    assert tuple(maps[-1].shape) == (2, size, size, 3)
    maps = tf.function(discriminator.maps, autograph=False).get_concrete_function(images).structured_outputs
    assert [m.shape[1] for m in maps] == sides[-2::-1]
    source, classes = tf.function(discriminator, autograph=False).get_concrete_function(images).structured_outputs
    assert (tuple(source.shape), tuple(classes.shape)) == ((2, 1), (2, 8))


def test_parameter_counts_by_hand_at_64():
    pairs = [(256, 256), (256, 128), (128, 64), (64, 32)]
    blocks = sum(9 * a * b + 9 * b * b + a * b + 2 * b for a, b in pairs)
    norms = 110 * 2 * (sum(a + b for a, b in pairs) + 32)
    dense = 111 * 64 * 256
    assert parameters(ResidualGenerator(64, 110, 8)) == blocks + norms + dense + 9 * 32 * 3 + 3 == 3_956_771
    pairs = [(3, 32), (32, 64), (64, 128), (128, 256)]
    blocks = sum(9 * a * b + 9 * b * b + a * b + 2 * b for a, b in pairs)
    assert parameters(ResidualDiscriminator(64, 8)) == blocks + 257 * 9 == 1_217_673


def test_the_class_reaches_the_images_through_the_norms():
    generator = ResidualGenerator(32, 110, 8, width=1 / 8)
    dense = generator.kernels["dense"].numpy()
    dense[:8] = 0  # nothing of the class in the first map
    generator.kernels["dense"].assign(dense)
    noise = tf.random.stateless_normal([1, 102], [1, 2])
    one = tf.concat([tf.one_hot([1], 8), noise], 1)
    two = tf.concat([tf.one_hot([2], 8), noise], 1)
    np.testing.assert_array_equal(generator(one), generator(two))  # all classes start alike
    offsets = generator.norms.offset.numpy()
    offsets[2] += 1.0
    generator.norms.offset.assign(offsets)
    assert np.abs(generator(one) - generator(two)).max() > 1e-3


def test_a_block_of_the_generator_is_its_plain_form():
    """Doubling, two convolutions without a border, and the convolved doubled input, as one writes it."""
    generator = ResidualGenerator(32, 110, 8, width=1 / 16, seed=3)
    noise = tf.concat([tf.one_hot([1, 5], 8), tf.random.stateless_normal([2, 102], [1, 2])], 1)
    x, expected = generator.maps(noise)[:2]

    scales = iter(tf.split(noise @ generator.norms.scale, list(generator.norms.widths.values()), 1))
    offsets = iter(tf.split(noise @ generator.norms.offset, list(generator.norms.widths.values()), 1))

    def norm(x):
        x = x / math.sqrt(1 + 1e-5)  # moving mean 0 and variance 1
        return x * next(scales)[:, None, None] + next(offsets)[:, None, None]

    kernels = {key: tf.convert_to_tensor(value) for key, value in generator.kernels.items()}
    y = tf.nn.relu(norm(x))
    y = tf.nn.conv2d(tf.repeat(tf.repeat(y, 2, 1), 2, 2), kernels["first_1"], 1, "VALID")
    y = tf.nn.conv2d(tf.nn.relu(norm(y)), kernels["second_1"], 1, "VALID")
    y += tf.nn.conv2d(keras.layers.UpSampling2D(interpolation="bilinear")(x), kernels["shortcut_1"], 1, "SAME")[
        :, 2:-2, 2:-2
    ]
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_a_halving_convolution_is_a_convolution_and_means():
    x, kernel = tf.random.stateless_normal([2, 6, 6, 3], [1, 2]), tf.random.stateless_normal([3, 3, 3, 5], [3, 4])
    expected = tf.nn.conv2d(x, kernel, 1, "SAME").numpy().reshape(2, 3, 2, 3, 2, 5).mean((2, 4))
    np.testing.assert_allclose(residual.halving_convolution(x, kernel), expected, atol=1e-5)


def test_a_step_at_64_px_takes_two_and_a_half_times_the_multiplications_of_the_papers():
    """Three times a generator's, eight times a discriminator's: forward, and one or two gradients, in their passes."""
    residual = 3 * _multiplications(ResidualGenerator(64, 110, 8)) + 8 * _multiplications(ResidualDiscriminator(64, 8))
    generator = 16 * (16 * 384 * 256 + 64 * 256 * 192 + 256 * 192 * 64 + 1024 * 64 * 3)
    sides = (32, 30, 15, 13, 7, 5)
    widths = (3, 16, 32, 64, 128, 256, 512)
    discriminator = sum(s * s * 9 * a * b for s, a, b in zip(sides, widths[:-1], widths[1:], strict=True))
    assert residual / (3 * generator + 8 * discriminator) == pytest.approx(2.5, abs=0.1)


def _multiplications(network) -> int:
    """Of the convolutions, in the merged forms: 16 products for 36 where a map is doubled or halved."""
    generator, total = isinstance(network, ResidualGenerator), 0
    for index in network.blocks:
        large, margin = (4 * 2**index, 4) if generator else (64 // 2 ** (index - 1), 0)
        of_block = ((large + margin) ** 2,) * 2
        for kind, places in zip(("first", "second", "shortcut"), (*of_block, (large // 2 + margin) ** 2), strict=True):
            merged = kind == ("first" if generator else "second")
            total += places * math.prod(network.kernels[f"{kind}_{index}"].shape) * (4 / 9 if merged else 1)
    return total + (64 * 64 * 9 * 32 * 3 if generator else 0)


def test_other_sizes_are_the_users_mistake():
    for make in (lambda: ResidualGenerator(48, 110, 8), lambda: ResidualDiscriminator(48, 8)):
        with pytest.raises(UsageError, match=r"acgan\.size=48"):
            make()
