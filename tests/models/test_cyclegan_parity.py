"""CycleGAN to the letter: outputs, losses, gradients and updates against PyTorch's, from the same weights.

PyTorch's numbers are stored (reference/make_cyclegan.py); where it is installed they are computed anew, from others.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference_scripts import REFERENCE, script

from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.models.cyclegan.fast import fast_layers
from lesiongan.models.cyclegan.fast.forms import FORMS
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.pth_import import generator_weights
from lesiongan.optim.adam import Adam

make = script("make_cyclegan")


@pytest.fixture(scope="module")
def stored():
    with np.load(REFERENCE / "cyclegan.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch's numbers anew: pip install 'lesiongan[bench]'")


@pytest.fixture(autouse=True)
def fast_at_every_size(monkeypatch):
    """The fast form takes its own ops for these small pictures too."""
    monkeypatch.setattr(fast_layers, "LEAST_TILES", 1)
    monkeypatch.setattr(fast_layers, "LARGE", 1)


def ours(form="plain", *, seed=0, identity=0.5, pool=50) -> CycleGAN:
    """Our CycleGAN with the weights of PyTorch's state dicts `make.states(seed)`."""
    config = CycleGANConfig(
        size=make.SIZE,
        blocks=make.BLOCKS,
        filters=make.NGF,
        discriminator_filters=make.NDF,
        identity=identity,
        pool=pool,
    )
    model = CycleGAN(config, steps=1000, form=form)
    for name, state in make.states(seed).items():
        getattr(model, name).set_weights(_converted(name, state))
    return model


def _converted(name, state):
    """A network's state dict, of weights or of gradients, in the order of its variables."""
    if name.startswith("generator"):
        return generator_weights(state)[0]
    outer = ("model.0", "model.11")  # no norm follows, so that their biases count
    kept = [name for name in state if name.endswith("weight") or name.rpartition(".")[0] in outer]
    return [state[name].transpose(2, 3, 1, 0) if state[name].ndim == 4 else state[name] for name in kept]


def _pair(index=0):
    return tf.unstack(tf.constant(make.pair(index)))


def _assert_losses_agree(losses, reference, prefix, rtol=1e-4):
    expected = {name.split("/")[-1]: value for name, value in reference.items() if name.startswith(f"{prefix}/")}
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(losses[name], value, rtol=rtol, err_msg=name)


def _assert_gradients_agree(gradients, reference, prefix, networks):
    expected = []
    for network in networks:
        begin = f"{prefix}/{network}/"
        named = {name.removeprefix(begin): value for name, value in reference.items() if name.startswith(begin)}
        expected += _converted(network, named)
    assert len(gradients) == len(expected) > 0
    for number, (gradient, value) in enumerate(zip(gradients, expected, strict=True)):
        assert gradient.shape == value.shape
        error = np.linalg.norm(gradient - value) / np.linalg.norm(value)
        assert error < 1e-3, (number, value.shape, error)


@pytest.mark.parametrize("form", FORMS)
def test_networks_say_what_pytorchs_say(stored, form):
    model, (x, y) = ours(form), _pair()
    seen = {"generator_xy": x, "generator_yx": y, "discriminator_x": x, "discriminator_y": y}
    for name, images in seen.items():
        expected = stored[f"output/{name}"]
        assert np.abs(expected).max() > 0.5
        np.testing.assert_allclose(getattr(model, name)(images), expected, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_every_loss_and_every_gradient_of_a_step_is_pytorchs(stored, form):
    model, (x, y) = ours(form), _pair()
    losses, gradients, (fake_x, fake_y) = model.generator_gradients(x, y)
    more, of_discriminators = model.discriminator_gradients(x, y, fake_x, fake_y)
    _assert_losses_agree(losses | more, stored, "loss")
    _assert_gradients_agree(gradients, stored, "gradient", make.NETWORKS[:2])
    _assert_gradients_agree(of_discriminators, stored, "gradient", make.NETWORKS[2:])


@pytest.mark.parametrize("form", FORMS)
def test_a_step_applies_these_gradients(stored, form):
    """After the first step Adam's first moment is (1 - beta1) x gradient: the gradients that were really applied."""
    model = ours(form)
    _assert_losses_agree(model.train_step(_pair()), stored, "loss")
    for optimizer, networks in (
        (model.generator_optimizer, make.NETWORKS[:2]),
        (model.discriminator_optimizer, make.NETWORKS[2:]),
    ):
        _assert_gradients_agree([2 * m.numpy() for m in optimizer._averages], stored, "gradient", networks)


def test_discriminators_with_a_full_pool(stored):
    model, held = ours(pool=1), make.pair(1)
    for pool, image in ((model.pool_x, held[0]), (model.pool_y, held[1])):
        pool.buffer.assign(image)
        pool.count.assign(1)
        pool.draw = lambda count, seed: (tf.constant([True]), tf.constant([0], tf.int64))
    losses = model.train_step(_pair())
    shown = {name: value for name, value in losses.items() if name.startswith("discriminator")}
    _assert_losses_agree(shown, stored, "full/loss")
    moments = [2 * m.numpy() for m in model.discriminator_optimizer._averages]
    _assert_gradients_agree(moments, stored, "full/gradient", make.NETWORKS[2:])


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_several_steps_with_the_pools_draws(stored, form):
    model = ours(form, pool=2)
    for pool, draws in ((model.pool_x, make.DRAWS["x"]), (model.pool_y, make.DRAWS["y"])):
        # ours draws while the pool fills too, and ignores it
        swaps, slots = zip((True, 0), (True, 0), *draws, strict=True)
        drawn = zip(tf.constant(swaps), tf.constant(slots, tf.int64), strict=True)
        pool.draw = lambda count, seed, drawn=drawn: tuple(value[None] for value in next(drawn))
    history = [model.train_step(_pair(step)) for step in range(make.STEPS)]
    found = {name: np.array([float(losses[name]) for losses in history]) for name in history[0]}
    _assert_losses_agree(found, stored, "steps", rtol=2e-4)


def test_adams_updates_from_the_same_gradients(stored):
    gradients = make.adam_gradients()
    variable = keras.Variable(np.zeros(gradients.shape[1:], np.float32))
    optimizer = Adam(2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
    optimizer.build([variable])
    for gradient, expected in zip(gradients, stored["adam"], strict=True):
        optimizer.apply([tf.constant(gradient)], [variable])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-3, atol=1e-8)
    small = np.abs(gradients).max(0) < 1e-9  # a tenth of epsilon: far from the gradient's sign times the rate
    assert small.any()
    assert np.abs(stored["adam"][0][small]).max() < 0.2 * 2e-4


@pytest.mark.parametrize("identity", [0.5, 0.0])
@pytest.mark.parametrize("form", FORMS)
def test_a_step_is_that_of_pytorch_here(torch, form, identity):
    reference = make.one_step(seed=7, identity=identity)
    model = ours(form, seed=7, identity=identity)
    _assert_losses_agree(model.train_step(_pair()), reference, "loss")
    for optimizer, networks in (
        (model.generator_optimizer, make.NETWORKS[:2]),
        (model.discriminator_optimizer, make.NETWORKS[2:]),
    ):
        _assert_gradients_agree([2 * m.numpy() for m in optimizer._averages], reference, "gradient", networks)


def test_the_stored_numbers_are_pytorchs(torch, stored):
    computed = make.outputs() | make.full_pool() | make.several_steps() | make.adam()
    assert computed.keys() <= stored.keys()
    for name, value in computed.items():
        if "gradient" not in name:
            np.testing.assert_allclose(stored[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
