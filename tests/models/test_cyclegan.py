"""CycleGAN: networks by formula, losses by hand, and a whole training step against one written out independently."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from cyclegan_steps import TINY, applied, assert_gradients_agree, batches, l1, step_written_out

from lesiongan.base.errors import UsageError
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.models.cyclegan import losses
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.networks import PatchGAN, ResNetGenerator

# What a resumed training must not lose, all at once.
OPTIONS = {
    "size": 64,
    "spectral_norm": True,
    "augment": True,
    "discriminator_scales": 2,
    "discriminator_rate": 4e-4,
}


def _values(variables):
    return [variable.numpy() for variable in variables]


def _assert_equal(ours, others, **tolerance):
    assert len(ours) == len(others)
    for one, other in zip(ours, others, strict=True):
        np.testing.assert_allclose(one, other, **({"rtol": 0, "atol": 0} | tolerance))


# Networks


def test_parameter_counts_are_those_of_the_published_networks_without_biases_before_norms():
    # junyanz's code prints 11.378 M for a 9-block generator and 2.765 M for a discriminator; exactly:
    stem, down_1, down_2, up_1, up_2 = 64, 128, 256, 128, 64
    useless_biases = stem + down_1 + down_2 + 18 * 256 + up_1 + up_2
    assert ResNetGenerator(256).count_params() == 11_378_179 - useless_biases
    assert PatchGAN(256).count_params() == 2_764_737 - (128 + 256 + 512)


@pytest.mark.parametrize(("n", "blocks"), [(4, 6), (8, 2)])
def test_generator_parameters_by_formula(n, blocks):
    head = 49 * n * 3 + 3
    down = up = 9 * n * 2 * n + 9 * 2 * n * 4 * n
    expected = 49 * 3 * n + down + blocks * 2 * 9 * (4 * n) ** 2 + up + head
    assert ResNetGenerator(32, filters=n, blocks=blocks).count_params() == expected


@pytest.mark.parametrize(("size", "map_size"), [(256, 30), (128, 14), (64, 6), (32, 2)])
def test_patchgan_gives_a_map_of_scores(size, map_size):
    network = PatchGAN(size, filters=1)
    shape = network(tf.zeros((2, size, size, 3))).shape
    assert shape == (2, map_size, map_size, 1) == network.compute_output_shape((2, size, size, 3))


def test_a_patchgan_score_sees_70_pixels():
    network = PatchGAN(256, filters=1)
    for number, weight in enumerate(network.weights):  # without norms, which let every pixel see every other
        weight.assign(np.random.default_rng(number).uniform(0.1, 1, weight.shape))
    for block in network.blocks:
        block.norm, block.bias = False, getattr(block, "bias", tf.zeros(block.filters))
    image = tf.zeros((1, 256, 256, 3))
    with tf.GradientTape() as tape:
        tape.watch(image)
        score = network(image)[0, 15, 15, 0]
    seen = np.flatnonzero(np.abs(tape.gradient(score, image).numpy()[0]).sum((1, 2)))
    assert seen[-1] - seen[0] + 1 == 70


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_generator_gives_an_image_in_range_whatever_its_form(upsampling):
    image = batches(1)[0][0]
    outputs = []
    for form in ("plain", "subpixel"):
        network = ResNetGenerator(32, filters=4, blocks=1, upsampling=upsampling, form=form)
        for number, weight in enumerate(network.weights):
            weight.assign(np.random.default_rng(number).normal(0, 0.2, weight.shape))
        outputs.append(network(image))
    assert outputs[0].shape == image.shape
    assert 0.1 < np.abs(outputs[0]).max() <= 1
    np.testing.assert_allclose(*outputs, atol=1e-4)


def test_networks_come_back_from_their_config():
    for network in (ResNetGenerator(32, filters=2, blocks=2, upsampling="resize"), PatchGAN(32, filters=2)):
        other = type(network).from_config(network.get_config())
        assert [w.shape for w in other.weights] == [w.shape for w in network.weights]
        assert other.get_config() == network.get_config()


# Losses


def test_losses_by_hand():
    real, fake = tf.constant([[1.0, 0.5], [0.0, 2.0]]), tf.constant([[0.0, 1.0], [-1.0, 0.5]])
    np.testing.assert_allclose(losses.least_squares(fake, 1.0), (1 + 0 + 4 + 0.25) / 4)
    # real towards 1: (0 + 0.25 + 1 + 1) / 4 = 0.5625; fake towards 0: (0 + 1 + 1 + 0.25) / 4 = 0.5625
    np.testing.assert_allclose(losses.discriminator_loss(real, fake), 0.5 * (0.5625 + 0.5625))
    np.testing.assert_allclose(losses.l1(real, fake), (1 + 0.5 + 1 + 1.5) / 4)


# The model


def test_initial_weights_are_normal_with_standard_deviation_002_and_biases_0():
    model = CycleGAN(dataclasses.replace(TINY, filters=16), seed=1)
    kernels = np.concatenate([v.numpy().ravel() for v in model.generator_variables if len(v.shape) == 4])
    assert len(kernels) > 100_000
    assert abs(kernels.std() - 0.02) < 2e-4
    assert abs(kernels.mean()) < 3e-4
    assert np.abs(kernels).max() > 0.07  # 3.5 standard deviations: not truncated
    biases = [v.numpy() for v in model.generator_variables + model.discriminator_variables if len(v.shape) == 1]
    assert len(biases) == 2 + 2 * 2
    assert not np.concatenate(biases).any()
    first, second = (network.weights[0].numpy() for network in (model.generator_xy, model.generator_yx))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"identity": 0.0},
        {"augment": True},
        {"spectral_norm": True},
        {"size": 64, "discriminator_scales": 2},
        {"size": 64, "discriminator_scales": 2, "augment": True, "spectral_norm": True, "upsampling": "resize"},
    ],
    ids=lambda options: ",".join(options) or "paper,identity",
)
def test_losses_and_gradients_of_a_step_equal_those_written_out(options):
    config = dataclasses.replace(TINY, **options)
    model = CycleGAN(config, seed=1)
    x, y = batches(1, size=config.size)[0]
    terms, of_generators, of_discriminators = step_written_out(model, x, y)
    logs = model.train_step((x, y))
    if not config.identity:
        terms = {name: term for name, term in terms.items() if not name.startswith("identity")}
    assert logs.keys() == terms.keys()
    for name, term in terms.items():
        np.testing.assert_allclose(logs[name], term, rtol=1e-4, err_msg=name)
    # Rounding alone, which differs between processors, makes 0.4 % of some gradients of the larger networks.
    tolerance = 1e-2 if config.size > TINY.size else 1e-3
    assert_gradients_agree(applied(model.generator_optimizer), of_generators, tolerance)
    assert_gradients_agree(applied(model.discriminator_optimizer), of_discriminators, tolerance)


def test_defaults_are_the_papers_numbers():
    config = CycleGANConfig()
    assert (config.size, config.blocks, config.filters, config.discriminator_filters) == (256, 9, 64, 64)
    assert (config.batch, config.cycle, config.identity, config.pool, config.ema) == (1, 10.0, 0.0, 50, 0.0)
    assert (config.learning_rate, config.beta_1, config.epochs, config.max_steps) == (2e-4, 0.5, 200, 267_000)
    assert (config.upsampling, config.crop, config.flip) == ("transposed", False, True)
    options = (config.spectral_norm, config.augment, config.discriminator_scales, config.discriminator_rate)
    assert (*options, config.accumulate, config.precision, config.xla) == (False, False, 1, 0.0, 1, "float32", False)
    for optimizer in (CycleGAN(TINY).generator_optimizer, CycleGAN(TINY).discriminator_optimizer):
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.999, 1e-8)


@pytest.mark.parametrize(("own", "expected"), [(0.0, 2e-4), (4e-4, 4e-4)])
def test_both_rates_follow_the_schedule_the_discriminators_perhaps_with_a_rate_of_their_own(own, expected):
    model = CycleGAN(dataclasses.replace(TINY, discriminator_rate=own), steps=400)
    for optimizer, rate in ((model.generator_optimizer, 2e-4), (model.discriminator_optimizer, expected)):
        for step, factor in ((0, 1.0), (199, 1.0), (200, 100 / 101), (399, 1 / 101)):
            optimizer.iterations.assign(step)
            np.testing.assert_allclose(optimizer.learning_rate, rate * factor, rtol=1e-5)
    model.reset(1, steps=800)
    model.discriminator_optimizer.iterations.assign(399)
    np.testing.assert_allclose(model.discriminator_optimizer.learning_rate, expected, rtol=1e-6)


def test_two_rates_reach_the_weights():
    model = CycleGAN(dataclasses.replace(TINY, discriminator_rate=8e-4), seed=1, steps=200)
    groups = model.generator_variables, model.discriminator_variables
    before = [_values(variables) for variables in groups]
    model.train_step(batches(1)[0])
    for variables, old, rate in zip(groups, before, (2e-4, 8e-4), strict=True):
        moved = np.concatenate([np.abs(v.numpy() - b).ravel() for v, b in zip(variables, old, strict=True)])
        np.testing.assert_allclose(np.median(moved), rate, rtol=0.05)  # Adam's first step


def test_adams_first_step_is_the_learning_rate_times_the_gradients_sign():
    model = CycleGAN(TINY, seed=1, steps=200)
    before = _values(model.generator_variables + model.discriminator_variables)
    model.train_step(batches(1)[0])
    after = _values(model.generator_variables + model.discriminator_variables)
    moved = np.concatenate([(b - a).ravel() for a, b in zip(before, after, strict=True)])
    assert np.abs(moved).max() < 2.001e-4
    assert np.median(np.abs(moved)) > 1.9e-4


def test_discriminators_are_shown_the_pools_images():
    model = CycleGAN(TINY, seed=1)
    for pool, value in ((model.pool_x, 0.3), (model.pool_y, -0.6)):
        pool.count.assign(3)
        pool.buffer.assign(tf.fill(pool.buffer.shape, value))
    steps = iter(range(100))
    while True:  # to a step whose coins swap both images of both domains
        step = next(steps)
        seeds = tf.random.split(tf.constant([1, step], tf.int64), 2)
        if all(model.pool_x.draw(2, seed)[0].numpy().all() for seed in tf.unstack(seeds)):
            break
    model.step.assign(step)
    x, y = batches(1)[0]
    terms, *_, of_discriminators = step_written_out(model, x, y, tf.fill(x.shape, 0.3), tf.fill(x.shape, -0.6))
    logs = model.train_step((x, y))
    np.testing.assert_allclose(logs["discriminator_x"], terms["discriminator_x"], rtol=1e-5)
    np.testing.assert_allclose(logs["discriminator_y"], terms["discriminator_y"], rtol=1e-5)
    assert_gradients_agree(applied(model.discriminator_optimizer), of_discriminators)


def test_both_cycle_terms_reach_both_generators():
    model = CycleGAN(TINY, seed=1)
    x, y = batches(1)[0]
    for cycle in (
        lambda: l1(model.generator_yx(model.generator_xy(x)), x),
        lambda: l1(model.generator_xy(model.generator_yx(y)), y),
    ):
        with tf.GradientTape() as tape:
            loss = cycle()
        assert all(g is not None and np.abs(g).max() > 0 for g in tape.gradient(loss, model.generator_variables))


def test_a_batch_means_the_mean_over_its_images():
    config = dataclasses.replace(TINY, pool=0)
    x, y = batches(1)[0]
    whole = CycleGAN(config, seed=1).train_step((x, y))
    halves = [CycleGAN(config, seed=1).train_step((x[i : i + 1], y[i : i + 1])) for i in (0, 1)]
    for name, loss in whole.items():
        np.testing.assert_allclose(loss, (halves[0][name] + halves[1][name]) / 2, rtol=1e-4, err_msg=name)


@pytest.fixture(scope="module", params=[{}, pytest.param(OPTIONS, marks=pytest.mark.slow)], ids=["paper", "options"])
def uninterrupted(request):
    """A model trained for six steps, its batches, its compiled step, and losses and state after each."""
    config = dataclasses.replace(TINY, ema=0.9, **request.param)
    model, data = CycleGAN(config, seed=3, steps=6), batches(6, size=config.size)
    step = tf.function(lambda x, y: model.train_step((x, y)), autograph=False)
    history = []
    for x, y in data:
        logs = step(x, y)
        history.append(({name: float(loss) for name, loss in logs.items()}, _values(model.state())))
    return model, data, step, history


def test_a_resumed_training_equals_an_uninterrupted_one(uninterrupted):
    model, data, step, history = uninterrupted
    model.reset(99, steps=6)  # another model, as far as its values go
    for variable, value in zip(model.state(), history[2][1], strict=True):
        variable.assign(value)
    for (x, y), (expected, _) in zip(data[3:], history[3:], strict=True):
        logs = step(x, y)
        for name, loss in expected.items():
            np.testing.assert_allclose(logs[name], loss, rtol=1e-4)
    _assert_equal(_values(model.state()), history[-1][1], rtol=1e-3, atol=1e-4)
    assert step.experimental_get_tracing_count() == 1


def test_reset_makes_a_fresh_model_in_place(uninterrupted):
    model, data, step, history = uninterrupted
    model.reset(3, steps=6)
    fresh = CycleGAN(model.config, seed=3, steps=6)
    _assert_equal(_values(model.state()), _values(fresh.state()))
    for (x, y), (expected, _) in zip(data[:2], history, strict=False):
        logs = step(x, y)
        for name, loss in expected.items():
            np.testing.assert_allclose(logs[name], loss, rtol=1e-4)
    model.reset(4, steps=12)
    assert int(model.schedule.steps) == 12
    assert not np.array_equal(model.generator_variables[0].numpy(), fresh.generator_variables[0].numpy())
    assert step.experimental_get_tracing_count() == 1


def test_state_holds_every_variable_that_a_step_changes(uninterrupted):
    model, data, step, _ = uninterrupted
    model.reset(3)
    tracked = {id(v) for v in model.state()}
    used = step.get_concrete_function(*data[0]).graph.variables
    schedules = (model.schedule, model.discriminator_schedule)
    # which follow from the budget and from a training's roll-backs
    given = {id(variable) for schedule in schedules for variable in (schedule.steps, schedule.factor)}
    assert {id(v) for v in used} - tracked == given
    assert len(tracked) == len(model.state())


def test_translate_is_the_averaged_generator_where_there_is_one():
    images = batches(1)[0][0]
    plain, averaged = CycleGAN(TINY, seed=1), CycleGAN(dataclasses.replace(TINY, ema=0.5), seed=1)
    np.testing.assert_array_equal(plain.translate(images, tf.zeros(2, tf.int64)), plain.generator_xy(images))
    start = averaged.averaged_xy.weights[0].numpy()
    averaged.train_step(batches(1)[0])
    # decay min(0.5, 1/10) in the first step: nine tenths of the way from the start to the trained weights
    expected = start + 0.9 * (averaged.generator_xy.weights[0].numpy() - start)
    np.testing.assert_allclose(averaged.averaged_xy.weights[0], expected, atol=1e-7)
    np.testing.assert_array_equal(averaged.translate(images), averaged.averaged_xy(images))
    assert not np.array_equal(averaged.translate(images), averaged.generator_xy(images))


def test_translation_of_an_image_does_not_depend_on_its_batch():
    model, images = CycleGAN(TINY, seed=1), batches(1, batch=5)[0][0]
    np.testing.assert_allclose(model.translate(images)[3:4], model.translate(images[3:4]), atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, OPTIONS | {"precision": "mixed_float16", "ema": 0.9}], ids=["paper", "options"]
)
def test_model_comes_back_from_disk(tmp_path, options):
    config = dataclasses.replace(TINY, **options)
    model, images = CycleGAN(config, seed=1), batches(1, size=config.size)[0][0]
    for number, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(number).normal(0, 0.2, weight.shape))
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    assert other.config == model.config
    _assert_equal(_values(other.weights), _values(model.weights))
    np.testing.assert_allclose(other.translate(images), model.translate(images), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 30},
        {"size": 16},
        {"blocks": 0},
        {"pool": -1},
        {"ema": 1.0},
        {"discriminator_scales": 0},
        {"discriminator_scales": 2},
        {"discriminator_rate": -1e-4},
        {"accumulate": 0},
        {"batch": 3, "accumulate": 2},
    ],
)
def test_impossible_configurations_are_refused(change):
    with pytest.raises(UsageError, match=f"cyclegan.{next(iter(change))}") as error:
        CycleGAN(dataclasses.replace(TINY, **change))
    assert "\n" not in str(error.value)
