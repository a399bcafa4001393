"""The ACGAN against ALGORITHMS' table, numbers worked out by hand, and itself after a resume."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.config import ACGANConfig
from lesiongan.errors import UsageError
from lesiongan.models import acgan
from lesiongan.models.acgan import ACGAN, Discriminator, Generator

SMALL = ACGANConfig(size=32, batch=4, width=1 / 16)


def batch(seed: int, size: int = 32, count: int = 4, classes: int = 8):
    generator = np.random.default_rng(seed)
    images = generator.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)
    return tf.constant(images), tf.constant(generator.integers(0, classes, count), tf.int32)


def trained(config: ACGANConfig = SMALL, steps: int = 1) -> ACGAN:
    model = ACGAN(config, 8, seed=5)
    model.compile()
    for index in range(steps):  # eager: a step of these small networks takes less time than its tracing
        model.train_step(batch(index))
    return model


# Networks


@pytest.mark.parametrize(
    ("size", "sides"),
    [(32, (8, 16, 32)), (64, (8, 16, 32, 64)), (128, (5, 13, 29, 61, 128)), (256, (8, 16, 32, 64, 128, 256))],
)
def test_generator_doubles_or_follows_the_papers_sides(size, sides):
    generator = Generator(size, 110, width=1 / 16)
    x = generator.reshape(generator.dense(tf.zeros([2, 110])))
    found = []
    for convolution in generator.convolutions:
        x = convolution(x)
        found.append(x.shape[1])
    assert tuple(found) == sides
    images = generator(tf.random.stateless_normal([2, 110], [1, 2]))
    assert images.shape == (2, size, size, 3)
    assert float(tf.reduce_max(tf.abs(images))) <= 1


def test_discriminator_sides_at_128():
    discriminator = Discriminator(128, 8, width=1 / 16)
    x, found = tf.zeros([2, 128, 128, 3]), []
    for index, convolution in enumerate(discriminator.convolutions):
        x = convolution(discriminator.pad(x) if index % 2 == 0 else x)
        found.append(x.shape[1])
    assert found == [64, 62, 31, 29, 15, 13]
    source, classes = discriminator(tf.zeros([2, 128, 128, 3]))
    assert source.shape == (2, 1)
    assert classes.shape == (2, 8)


def test_parameter_counts_by_hand():
    norms = 4 * (384 + 256 + 192 + 64)  # scale, shift and both moving statistics
    generator = 110 * 768 + 768 + 25 * (768 * 384 + 384 * 256 + 256 * 192 + 192 * 64) + 64 * 64 * 3 + norms
    assert Generator(128, 110).count_params() == generator == 11_467_520
    doubling = 110 * 6144 + 6144 + 16 * (384 * 256 + 256 * 192 + 192 * 64 + 64 * 3) + norms
    assert Generator(64, 110).count_params() == doubling == 3_244_544
    convolutions = 9 * (3 * 16 + 16 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    norms = 4 * (32 + 64 + 128 + 256 + 512)
    heads = (13 * 13 * 512 + 1) * 9
    assert Discriminator(128, 8).count_params() == convolutions + norms + heads == 2_354_489


def test_initial_weights_and_batch_norm():
    generator = Generator(64, 110, seed=1)
    kernel = generator.convolutions[0].kernel.numpy()
    assert abs(kernel.mean()) < 1e-4
    assert abs(kernel.std() - 0.02) < 1e-4
    kernels = [layer.kernel.numpy().ravel()[:64] for layer in [generator.dense, *generator.convolutions]]
    assert len({k.tobytes() for k in kernels}) == 5  # no two layers start alike
    gammas = np.concatenate([norm.gamma.numpy() for norm in generator.norms])
    assert abs(gammas.mean() - 1) < 0.005
    assert abs(gammas.std() - 0.02) < 0.005
    assert {(norm.epsilon, norm.momentum) for norm in generator.norms} == {(1e-5, 0.9)}


def test_other_sizes_are_the_users_mistake():
    with pytest.raises(UsageError, match=r"acgan\.size=48"):
        ACGAN(dataclasses.replace(SMALL, size=48), 8)
    with pytest.raises(UsageError, match="too short"):
        ACGAN(dataclasses.replace(SMALL, latent=8), 8)


# Losses and the training step


def test_losses_by_hand():
    # sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4
    logits = tf.constant([[0.0], [math.log(3)]])
    assert float(acgan.source_loss(logits, real=True)) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2, rel=1e-6)
    assert float(acgan.source_loss(logits, real=False)) == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)
    # softmax(0, ln 2, 0) = (1/4, 1/2, 1/4)
    logits = tf.constant([[0.0, math.log(2), 0.0]] * 2)
    found = float(acgan.class_loss(logits, tf.constant([1, 2])))
    assert found == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


def test_the_label_overwrites_the_first_numbers_of_the_noise():
    noise = tf.random.stateless_normal([3, 110], [1, 2])
    labelled = acgan.with_label(noise, tf.constant([0, 7, 3]), 8).numpy()
    np.testing.assert_array_equal(labelled[:, :8], np.eye(8)[[0, 7, 3]])
    np.testing.assert_array_equal(labelled[:, 8:], noise.numpy()[:, 8:])


def test_dropout_drops_half_doubles_the_rest_and_repeats():
    x = tf.ones([50, 7, 9])
    dropped = acgan.dropout(x, 0.5, tf.constant([1, 2])).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert abs(dropped.mean() - 1) < 4.5 / math.sqrt(dropped.size)
    np.testing.assert_array_equal(dropped, acgan.dropout(x, 0.5, tf.constant([1, 2])).numpy())
    assert (dropped != acgan.dropout(x, 0.5, tf.constant([1, 3])).numpy()).mean() > 0.4
    assert acgan.dropout(x, 0.25, tf.constant([1, 2])).numpy().max() == pytest.approx(4 / 3)


def test_a_training_step_reports_its_losses_and_moves_both_networks_by_the_learning_rate():
    model = ACGAN(SMALL, 8, seed=5)
    model.compile()
    networks = (model.generator, model.discriminator)
    before = [[v.numpy() for v in network.trainable_variables] for network in networks]
    images, labels = batch(0)
    losses = {k: float(v) for k, v in model.train_step((images, labels)).items()}
    assert losses["d_loss"] == pytest.approx(losses["d_real"] + losses["d_fake"] + losses["d_class"], rel=1e-5)
    assert losses["g_loss"] == pytest.approx(losses["g_adversarial"] + losses["g_class"], rel=1e-5)
    # Logits start near 0: each source loss is near ln 2, each class loss near ln 8.
    assert losses["d_real"] == pytest.approx(math.log(2), abs=0.1)
    assert losses["d_class"] == pytest.approx(math.log(8), abs=0.2)
    for network, old in zip(networks, before, strict=True):
        moves = np.concatenate(
            [np.abs(v.numpy() - o).ravel() for v, o in zip(network.trainable_variables, old, strict=True)]
        )
        # Adam's first step is the learning rate times the gradient's sign.
        assert moves.max() == pytest.approx(2e-4, rel=1e-2)
        assert np.median(moves) == pytest.approx(2e-4, rel=1e-2)


def test_the_class_head_learns_from_generated_images_only_where_asked():
    losses = []
    for aux_on_fake in (False, True):
        model = ACGAN(dataclasses.replace(SMALL, aux_on_fake=aux_on_fake), 8, seed=5)
        model.compile()
        losses.append({k: float(v) for k, v in model.train_step(batch(0)).items()})
    assert losses[1]["d_class"] - losses[0]["d_class"] == pytest.approx(math.log(8), abs=0.2)
    assert losses[1]["d_real"] == pytest.approx(losses[0]["d_real"], rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"augment": True, "ema": 0.9, "aux_on_fake": True}], ids=["paper", "all"])
def test_resumed_training_equals_the_uninterrupted_one(options):
    config = dataclasses.replace(SMALL, **options)
    whole = trained(config, steps=2)
    values = [variable.numpy() for variable in whole.state()]
    resumed = ACGAN(config, 8, seed=5)
    resumed.compile()
    for variable, value in zip(resumed.state(), values, strict=True):
        variable.assign(value)
    for index in (2, 3):
        whole.train_step(batch(index))
        resumed.train_step(batch(index))
    for a, b in zip(whole.state(), resumed.state(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert all(isinstance(variable, tf.Variable) for variable in whole.state())
    assert all((a.numpy() != b).any() for a, b in zip(whole.state(), values, strict=True) if a.shape.rank > 0)


def test_fit_trains_through_keras():
    model = ACGAN(SMALL, 8, seed=5)
    model.compile()
    history = model.fit(tf.data.Dataset.from_tensors(batch(0)).repeat(3), epochs=1, verbose=0, shuffle=False)
    assert {"d_loss", "g_loss", "d_real", "d_fake", "d_class", "g_adversarial", "g_class"} <= set(history.history)
    stepped = ACGAN(SMALL, 8, seed=5)
    stepped.compile()
    step = tf.function(stepped.train_step)
    for _ in range(3):
        step(batch(0))
    for a, b in zip(model.generator.variables, stepped.generator.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


# The average and the samples


def test_the_average_follows_its_formula():
    model = ACGAN(dataclasses.replace(SMALL, ema=0.3), 8, seed=5)
    model.compile()
    expected = [v.numpy() for v in model.generator.variables]
    for index in range(5):
        model.train_step(batch(index))
        decay = min(0.3, (index + 1) / (index + 10))
        current = [v.numpy() for v in model.generator.variables]
        expected = [decay * a + (1 - decay) * v for a, v in zip(expected, current, strict=True)]
    for a, b in zip(model.averaged.variables, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, atol=1e-6)
    images = model.sample(tf.constant([1]), tf.constant([3], tf.int64)).numpy()
    for variable, value in zip(model.averaged.variables, model.generator.variables, strict=True):
        variable.assign(value)
    assert np.abs(images - model.sample(tf.constant([1]), tf.constant([3], tf.int64)).numpy()).max() > 1e-4


def test_a_sample_depends_on_its_label_and_seed_alone():
    model = trained(steps=2)
    labels, seeds = tf.constant([0, 1, 2, 1], tf.int32), tf.constant([4, 2**40, 6, 4], tf.int64)
    images = model.sample(labels, seeds).numpy()
    assert images.dtype == np.float32
    assert images.shape == (4, 32, 32, 3)
    for index in range(4):
        alone = model.sample(labels[index : index + 1], seeds[index : index + 1]).numpy()[0]
        np.testing.assert_allclose(alone, images[index], atol=1e-5)
    graph = tf.function(model.sample)(labels[::-1], seeds[::-1]).numpy()[::-1]
    np.testing.assert_allclose(graph, images, atol=1e-5)
    assert len({image.tobytes() for image in images}) == 4


def test_a_saved_model_gives_the_same_images(tmp_path):
    model = trained(dataclasses.replace(SMALL, ema=0.9), steps=2)
    model.save(tmp_path / "acgan.keras")
    loaded = keras.saving.load_model(tmp_path / "acgan.keras", compile=False)
    labels, seeds = tf.constant([0, 1], tf.int32), tf.constant([4, 5], tf.int64)
    np.testing.assert_array_equal(model.sample(labels, seeds).numpy(), loaded.sample(labels, seeds).numpy())
