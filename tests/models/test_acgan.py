"""The ACGAN's training step, its options, and itself after a resume, a reload and an export."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN, with_label
from lesiongan.serving import saved_models

SMALL = ACGANConfig(size=32, batch=4, width=1 / 16)
#: Every option that changes the step at once.
ALL = {
    "networks": "residual",
    "loss": "hinge",
    "spectral_norm": True,
    "r1": 1.0,
    "r1_every": 2,
    "augment": True,
    "ada_target": 0.6,
    "ada_images": 100,
    "discriminator_rate": 4e-4,
    "ema": 0.9,
    "aux_on_fake": True,
}


def batch(seed: int, size: int = 32, count: int = 4, classes: int = 8):
    generator = np.random.default_rng(seed)
    images = generator.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)
    return tf.constant(images), tf.constant(generator.integers(0, classes, count), tf.int32)


def made(config: ACGANConfig = SMALL, **options) -> ACGAN:
    model = ACGAN(dataclasses.replace(config, **options), 8, seed=5)
    model.compile()
    return model


def trained(config: ACGANConfig = SMALL, steps: int = 1) -> ACGAN:
    model = made(config)
    for index in range(steps):  # eager: a step of these small networks takes less time than its tracing
        model.train_step(batch(index))
    return model


def losses_of(model: ACGAN, seed: int = 0) -> dict[str, float]:
    return {key: float(value) for key, value in model.train_step(batch(seed)).items()}


def gradients_of(model: ACGAN, network: str) -> np.ndarray:
    """What the first step applied: after it Adam's first moment is (1 - beta1) x gradient."""
    optimizer = getattr(model, f"{network}_optimizer")
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return 2 * np.concatenate([moment.numpy().ravel() for moment in optimizer._averages])


def test_options_that_do_not_go_together_are_the_users_mistake():
    with pytest.raises(UsageError, match=r"acgan\.size': 48 is none of 32, 64, 128, 256"):
        made(size=48)
    with pytest.raises(UsageError, match="too short"):
        made(latent=8)
    with pytest.raises(UsageError, match=r"acgan\.augment=true"):
        made(ada_target=0.6)
    with pytest.raises(UsageError, match=r"1\.5 is not 0 or more and less than 1"):
        made(augment=True, ada_target=1.5)


def test_the_label_overwrites_the_first_numbers_of_the_noise():
    noise = tf.random.stateless_normal([3, 110], [1, 2])
    labelled = with_label(noise, tf.constant([0, 7, 3]), 8).numpy()
    np.testing.assert_array_equal(labelled[:, :8], np.eye(8)[[0, 7, 3]])
    np.testing.assert_array_equal(labelled[:, 8:], noise.numpy()[:, 8:])


def test_the_steps_draw_depends_on_seed_and_step_and_its_labels_are_uniform():
    model = made()
    noise, labels, seeds = model.draw(tf.zeros([8000], tf.int32))
    np.testing.assert_array_equal(noise[:, :8], np.eye(8)[labels.numpy()])
    counts = np.bincount(labels, minlength=8)
    assert np.abs(counts - 1000).max() < 4.5 * math.sqrt(8000 * 7 / 64)
    rest = noise.numpy()[:, 8:]
    assert abs(rest.mean()) < 4.5 / math.sqrt(rest.size)
    assert rest.std() == pytest.approx(1, abs=0.01)
    assert len({tuple(seed.numpy()) for seed in seeds.values()}) == len(seeds) == 6
    np.testing.assert_array_equal(made().draw(tf.zeros([8000], tf.int32))[0], noise)
    model.step.assign(1)
    assert np.abs(model.draw(tf.zeros([8000], tf.int32))[0] - noise).max() > 1
    assert np.abs(ACGAN(SMALL, 8, seed=6).draw(tf.zeros([8000], tf.int32))[0] - noise).max() > 1


def test_a_training_step_reports_its_losses_and_moves_both_networks_by_their_learning_rates():
    model = made(discriminator_rate=5e-4)
    networks = (model.generator, model.discriminator)
    before = [[v.numpy() for v in network.trainable_variables] for network in networks]
    losses = losses_of(model)
    assert losses["d_loss"] == pytest.approx(losses["d_real"] + losses["d_fake"] + losses["d_class"], rel=1e-5)
    assert losses["g_loss"] == pytest.approx(losses["g_adversarial"] + losses["g_class"], rel=1e-5)
    # Logits start near 0: each source loss is near ln 2, each class loss near ln 8.
    assert losses["d_real"] == pytest.approx(math.log(2), abs=0.1)
    assert losses["d_class"] == pytest.approx(math.log(8), abs=0.2)
    for network, old, rate in zip(networks, before, (2e-4, 5e-4), strict=True):
        moves = np.concatenate(
            [np.abs(v.numpy() - o).ravel() for v, o in zip(network.trainable_variables, old, strict=True)]
        )
        # Adam's first step is the learning rate times the gradient's sign.
        assert moves.max() == pytest.approx(rate, rel=1e-2)
        assert np.median(moves) == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize(
    ("decay", "steps", "shares"),
    [(True, 200, (1.0, 1.0, 100 / 101, 1 / 101)), (False, 200, (1.0,) * 4), (True, None, (1.0,) * 4)],
)
def test_both_rates_go_towards_0_in_the_second_half_where_asked(decay, steps, shares):
    """Of 200 steps the first 100 have the whole rate, the k-th of the others 1 - k / 101."""
    config = dataclasses.replace(SMALL, decay=decay, learning_rate=1e-3, discriminator_rate=4e-3)
    model = ACGAN(config, 8, steps=steps)
    model.compile()
    again = ACGAN.from_config(model.get_config())
    again.compile()
    for each in (model, again):
        for optimizer, rate in ((each.generator_optimizer, 1e-3), (each.discriminator_optimizer, 4e-3)):
            rates = []
            for step in (0, 99, 100, 199):
                optimizer.iterations.assign(step)
                rates.append(float(optimizer.learning_rate))
            np.testing.assert_allclose(rates, np.multiply(rate, shares), rtol=1e-5)


def test_the_class_head_learns_from_generated_images_only_where_asked():
    losses = [losses_of(made(aux_on_fake=aux_on_fake)) for aux_on_fake in (False, True)]
    assert losses[1]["d_class"] - losses[0]["d_class"] == pytest.approx(math.log(8), abs=0.2)
    assert losses[1]["d_real"] == pytest.approx(losses[0]["d_real"], rel=1e-5)


def test_label_smoothing_changes_the_loss_of_real_images_alone():
    plain, smooth = losses_of(made(dropout=0.0)), losses_of(made(dropout=0.0, label_smoothing=0.3))
    assert smooth["d_real"] != pytest.approx(plain["d_real"], rel=1e-5)
    for key in ("d_fake", "d_class"):
        assert smooth[key] == pytest.approx(plain[key], rel=1e-6)


def test_r1_joins_the_discriminators_gradient():
    plain, with_r1 = made(dropout=0.0), made(dropout=0.0, r1=2.0, r1_every=1)
    losses_of(plain)
    losses = losses_of(with_r1)
    model, (real, _) = made(dropout=0.0), batch(0)  # the penalty written out
    variables = [v.value for v in model.discriminator.trainable_variables]
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(real)
            source = model.discriminator(real, training=True)[0]
        penalty = tf.reduce_sum(inner.gradient(source, real) ** 2) / 4
    expected = tape.gradient(penalty, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert losses["r1"] == pytest.approx(float(penalty), rel=1e-4)
    added = gradients_of(with_r1, "discriminator") - gradients_of(plain, "discriminator")
    expected = np.concatenate([value.numpy().ravel() for value in expected])
    np.testing.assert_allclose(added, expected, atol=1e-4 * np.abs(gradients_of(with_r1, "discriminator")).max())
    assert np.abs(expected).max() > 1e-3 * np.abs(gradients_of(with_r1, "discriminator")).max()


def test_the_augmentations_probability_follows_the_discriminators_signs():
    model = made(augment=True, ada_target=0.5, ada_images=100)
    real_sources, discriminator = [], model.discriminator

    def sure(images, labels, update=True, **options):  # the pass of real images is the one that updates
        source, classes = discriminator(images, labels, update=update, **options)
        if update:
            real_sources.append([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0][len(real_sources)])
            source = 0 * source + real_sources[-1]
        return source, classes

    sure.trainable_variables, sure.look = discriminator.trainable_variables, discriminator.look
    model.discriminator = sure
    found = [losses_of(model, seed)["augmentation_probability"] for seed in range(8)]
    # four steps of four images above the target: p + 16 / 100; then four below it: back
    assert found == pytest.approx([0, 0, 0, 0, 0.16, 0.16, 0.16, 0.16])
    assert float(model.ada.p) == pytest.approx(0.0)


@pytest.mark.parametrize("options", [{}, ALL], ids=["paper", "all"])
def test_resumed_training_equals_the_uninterrupted_one(options):
    config = dataclasses.replace(SMALL, **options)
    whole = trained(config, steps=2)
    values = [variable.numpy() for variable in whole.state()]
    resumed = made(config)
    for variable, value in zip(resumed.state(), values, strict=True):
        variable.assign(value)
    for index in (2, 3):
        whole.train_step(batch(index))
        resumed.train_step(batch(index))
    for a, b in zip(whole.state(), resumed.state(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert all(isinstance(variable, tf.Variable) for variable in whole.state())
    still = {a.name for a, b in zip(whole.state(), values, strict=True) if a.shape.rank and (a.numpy() == b).all()}
    # The vector of a head with one output is 1, and within the hinge's margin its bias has no gradient (+1 - 1).
    allowed = ("signs", "source_vector", "source_bias") if options else ()
    assert [name for name in still if not any(part in name for part in allowed)] == []
    if options:
        assert 0 < float(whole.ada.p) <= 1


def test_fit_trains_through_keras():
    model = made()
    history = model.fit(tf.data.Dataset.from_tensors(batch(0)).repeat(3), epochs=1, verbose=0, shuffle=False)
    assert {"d_loss", "g_loss", "d_real", "d_fake", "d_class", "g_adversarial", "g_class"} <= set(history.history)
    stepped = made()
    step = tf.function(stepped.train_step)
    for _ in range(3):
        step(batch(0))
    for a, b in zip(model.generator.variables, stepped.generator.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


# Precision and XLA


def _same_direction(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize("networks", ["paper", "residual"])
def test_half_precision_is_near_float32_and_weights_and_losses_stay_float32(networks):
    options = {"networks": networks, "dropout": 0.0, "width": 1 / 8}
    exact, half = made(**options), made(**options, precision="mixed_bfloat16")
    expected, found = losses_of(exact), losses_of(half)
    for key in ("d_real", "d_fake", "d_class", "g_adversarial", "g_class"):
        assert found[key] == pytest.approx(expected[key], abs=0.05 * max(1, abs(expected[key]))), key
    assert any(found[key] != expected[key] for key in found)
    for network in ("generator", "discriminator"):
        assert _same_direction(gradients_of(exact, network), gradients_of(half, network)) > 0.95
    assert {variable.dtype for variable in half.state() if variable.dtype.is_floating} == {tf.float32}
    assert half.sample(tf.constant([1]), tf.constant([2], tf.int64)).dtype == tf.float32


def test_float16_scales_its_losses_and_a_step_that_overflows_moves_nothing_but_the_scale():
    exact, model = made(dropout=0.0, width=1 / 8), made(dropout=0.0, width=1 / 8, precision="mixed_float16")
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        optimizer.dynamic_scale.assign(2.0**8)
    losses_of(exact)
    losses_of(model)
    for network in ("generator", "discriminator"):
        one, other = gradients_of(exact, network), gradients_of(model, network)
        assert _same_direction(one, other) > 0.9
        assert np.linalg.norm(other) == pytest.approx(np.linalg.norm(one), rel=0.1)  # scaled back
    optimizer = model.generator_optimizer
    optimizer.dynamic_scale.assign(2.0**40)
    before = [variable.numpy() for variable in model.generator.trainable_variables]
    losses_of(model, 1)
    for variable, value in zip(model.generator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert float(optimizer.dynamic_scale) == 2.0**39
    assert int(model.step) == 2  # the next step draws anew all the same


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, pytest.param(ALL, marks=pytest.mark.long)], ids=["paper", "all"])
def test_xla_computes_the_same_step(options):
    plain, compiled = made(**options), made(**options, xla=True)
    assert (plain.jit_compile, compiled.jit_compile) == (False, True)
    drawn = plain.draw(tf.zeros([4], tf.int32))  # XLA has normal numbers of its own for a seed
    plain.draw = compiled.draw = lambda count: drawn
    expected = losses_of(plain)
    step = tf.function(compiled.train_step, autograph=False, jit_compile=True)
    found = {key: float(value) for key, value in step(batch(0)).items()}
    for key in ("d_real", "d_fake", "d_class"):
        assert found[key] == pytest.approx(expected[key], rel=1e-4), key
    assert _same_direction(gradients_of(plain, "discriminator"), gradients_of(compiled, "discriminator")) > 0.999
    # the generator's step follows Adam's first one, where the sign of a gradient near 0 may differ
    assert _same_direction(gradients_of(plain, "generator"), gradients_of(compiled, "generator")) > 0.9


# The average and the samples


def test_the_average_follows_its_formula():
    model = made(ema=0.3)
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


@pytest.mark.parametrize("networks", ["paper", "residual"])
def test_saved_and_exported_models_give_the_same_images_bit_for_bit(tmp_path, networks):
    model = trained(dataclasses.replace(SMALL, ema=0.9, networks=networks), steps=2)
    labels, seeds = tf.constant([0, 1, 7, 1], tf.int32), tf.constant([4, 5, 2**40, 4], tf.int64)
    expected = tf.function(model.sample, autograph=False)(labels, seeds).numpy()
    model.save(tmp_path / "acgan.keras")
    loaded = keras.saving.load_model(tmp_path / "acgan.keras", compile=False)
    np.testing.assert_array_equal(tf.function(loaded.sample, autograph=False)(labels, seeds), expected)
    np.testing.assert_array_equal(loaded.sample(labels, seeds), model.sample(labels, seeds))
    saved_models.export(model, tmp_path / "acgan", kind="acgan", size=32, taxonomy=ISIC_2019, details={})
    exported = tf.saved_model.load(str(tmp_path / "acgan" / "saved_model"))
    np.testing.assert_array_equal(exported.sample(labels, seeds), expected)
    pixels = np.clip(np.round((expected + 1) * 127.5), 0, 255).astype(np.uint8)
    served = saved_models.load(tmp_path / "acgan").sample(labels.numpy(), seeds.numpy())
    np.testing.assert_array_equal(served, pixels)
    assert len({image.tobytes() for image in pixels}) == 4
