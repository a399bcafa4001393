"""CycleGAN's options for a machine (parts, precision, XLA) do the plain step's mathematics; and how the
discriminators' options act within a step."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from cyclegan_steps import TINY, applied, assert_gradients_agree, batches

from lesiongan.models.cyclegan.model import CycleGAN

BATCH_OF_FOUR = dataclasses.replace(TINY, batch=4, identity=0.0)


def _step(config, data, **settings):
    model = CycleGAN(config, seed=1, **settings)
    return model, {name: float(loss) for name, loss in model.train_step(data).items()}


# The discriminators' options


def test_real_and_generated_images_are_augmented_by_the_same_draw():
    model = CycleGAN(dataclasses.replace(TINY, augment=True), seed=1)
    images, other = batches(1)[0]
    for number, weight in enumerate(model.discriminator_x.weights):
        weight.assign(np.random.default_rng(number).normal(0, 0.3, weight.shape))
    seed = tf.constant([1, 2], tf.int64)
    (real,), (fake,) = model._scores(model.discriminator_x, seed, images, images)
    np.testing.assert_allclose(real, fake, rtol=1e-5, atol=1e-5)
    for (scores,) in (
        model._scores(model.discriminator_x, tf.constant([1, 3], tf.int64), images),
        model._scores(model.discriminator_x, seed, other),
        [model.discriminator_x(images)],
    ):
        assert np.abs(scores - real).max() > 0.1


def test_spectral_norms_vectors_move_once_a_step_by_the_kernels_before_it():
    model = CycleGAN(dataclasses.replace(TINY, spectral_norm=True), seed=1)
    kernels = [block.weight.numpy() for block in model.discriminator_y.blocks]
    vectors = [vector.numpy() for vector in model.discriminator_y.vectors]
    np.testing.assert_allclose([np.linalg.norm(vector) for vector in vectors], 1, rtol=1e-6)
    model.train_step(batches(1)[0])
    for kernel, vector, after in zip(kernels, vectors, model.discriminator_y.vectors, strict=True):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        following = matrix.T @ matrix @ vector
        np.testing.assert_allclose(after, following / np.linalg.norm(following), rtol=1e-4, atol=1e-6)


# Parts of a batch


def test_parts_of_a_batch_give_the_gradients_of_the_whole():
    data = batches(1, batch=4)[0]
    whole, losses = _step(BATCH_OF_FOUR, data)
    parts, others = _step(dataclasses.replace(BATCH_OF_FOUR, accumulate=2), data)
    assert losses.keys() == others.keys()
    np.testing.assert_allclose(list(others.values()), list(losses.values()), rtol=1e-5)
    for name in ("generator_optimizer", "discriminator_optimizer"):
        assert_gradients_agree(applied(getattr(parts, name)), applied(getattr(whole, name)), 1e-5)
        assert int(getattr(parts, name).iterations) == 1


def test_parts_of_a_batch_go_through_the_pool_in_the_order_of_the_whole():
    x, y = batches(1, batch=4)[0]
    models = [_step(dataclasses.replace(BATCH_OF_FOUR, accumulate=parts), (x, y))[0] for parts in (1, 4)]
    for pool in ("pool_x", "pool_y"):
        whole, parts = (getattr(model, pool).buffer.numpy() for model in models)
        np.testing.assert_allclose(parts, whole, atol=1e-5)
        assert np.abs(whole[0] - whole[1]).max() > 1e-3


# Precision and XLA


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_gives_nearly_the_losses_of_float32_and_keeps_weights_in_float32(precision):
    data = batches(1)[0]
    model, losses = _step(dataclasses.replace(TINY, precision=precision), data)
    _, expected = _step(TINY, data)
    assert losses.keys() == expected.keys()
    for name, loss in expected.items():
        np.testing.assert_allclose(losses[name], loss, rtol=0.02, err_msg=name)
    assert losses["cycle_x"] != expected["cycle_x"]
    assert {variable.dtype for variable in model.generator_variables + model.discriminator_variables} == {"float32"}
    assert model.translate(data[0]).dtype == tf.float32


@pytest.mark.parametrize(("precision", "of_generators"), [("mixed_bfloat16", 0.9), ("mixed_float16", 0.98)])
def test_half_precision_gradients_point_where_float32s_do(precision, of_generators):
    """Rounding turns the signs of small numbers, in ReLUs and in L1: an angle with the root of the rounding."""
    data = batches(1)[0]

    def gradients(config, scale=1.0):
        model = CycleGAN(config, seed=1)
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            if config.precision == "mixed_float16":
                optimizer.dynamic_scale.assign(scale)
        _, generators, fakes = model.generator_gradients(*data)
        _, discriminators = model.discriminator_gradients(*data, *fakes)
        return [np.concatenate([g.numpy().ravel() for g in group]) for group in (generators, discriminators)]

    half, full = gradients(dataclasses.replace(TINY, precision=precision), 64.0), gradients(TINY)
    for ours, others, least in zip(half, full, (of_generators, 0.99), strict=True):
        scale = 64.0 if precision == "mixed_float16" else 1.0
        np.testing.assert_allclose(np.linalg.norm(ours), scale * np.linalg.norm(others), rtol=0.05)
        assert ours @ others / np.linalg.norm(ours) / np.linalg.norm(others) > least


@pytest.mark.slow
def test_float16_skips_steps_until_its_loss_scale_fits_and_then_moves_by_the_rate():
    data = batches(1)[0]
    model = CycleGAN(dataclasses.replace(TINY, precision="mixed_float16", identity=0.0), seed=1, steps=200)
    optimizer, before = model.generator_optimizer, [variable.numpy() for variable in model.generator_variables]
    step = tf.function(model.train_step, autograph=False)
    skipped = 0
    while True:
        step(data)
        if int(optimizer.iterations):
            break
        skipped += 1
        assert float(optimizer.dynamic_scale) == 2.0 ** (15 - skipped)
        for variable, value in zip(model.generator_variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)
    assert skipped  # the gradients of a new CycleGAN overflow at 2^15
    assert float(optimizer.dynamic_scale) == 2.0 ** (15 - skipped)
    assert int(model.step) == skipped + 1  # the skipped ones count
    moved = [np.abs(v.numpy() - b).ravel() for v, b in zip(model.generator_variables, before, strict=True)]
    np.testing.assert_allclose(np.median(np.concatenate(moved)), 2e-4, rtol=0.02)
    model.reset(1)
    assert (float(optimizer.dynamic_scale), int(optimizer.step_counter)) == (2.0**15, 0)


def test_steps_that_overflow_draw_anew():
    config = dataclasses.replace(TINY, precision="mixed_float16", identity=0.0, augment=True, pool=0)
    model, data = CycleGAN(config, seed=1, steps=200), batches(1)[0]
    losses = []
    for _ in range(2):
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
            optimizer.dynamic_scale.assign(2.0**60)
        losses.append({name: float(loss) for name, loss in model.train_step(data).items()})
    assert int(model.generator_optimizer.iterations) == int(model.discriminator_optimizer.iterations) == 0
    assert int(model.step) == 2
    for name, loss in losses[0].items():  # one model, one batch: what differs is the augmentation
        assert (losses[1][name] == loss) == name.startswith("cycle"), name


@pytest.mark.slow
def test_a_step_compiled_by_xla_gives_the_plain_steps_losses_and_gradients():
    data = batches(1)[0]
    config = dataclasses.replace(TINY, xla=True)
    model = CycleGAN(config, seed=1)
    assert (model.form, model.jit_compile) == ("subpixel", True)
    history = model.fit(tf.data.Dataset.from_tensors(data), shuffle=False, verbose=0).history
    plain, expected = _step(TINY, data)
    assert history.keys() == expected.keys()
    for name, loss in expected.items():
        np.testing.assert_allclose(history[name], [loss], rtol=1e-4, err_msg=name)
    for name in ("generator_optimizer", "discriminator_optimizer"):
        assert_gradients_agree(applied(getattr(model, name)), applied(getattr(plain, name)))
