"""The ACGAN to the letter: losses, gradients and updates against PyTorch's, from the same weights.

PyTorch's numbers are stored (reference/make_acgan.py); where it is installed they are computed anew, from others.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from reference_scripts import REFERENCE, script

from lesiongan.config.acgan import ACGANConfig
from lesiongan.models.acgan.model import ACGAN

make = script("make_acgan")


def _ours(size: int, seed: int = 0) -> ACGAN:
    config = ACGANConfig(size=size, latent=make.LATENT, batch=make.BATCH, width=make.WIDTH, dropout=0.0)
    model = ACGAN(config, make.CLASSES)
    model.compile()
    for name, values in make.weights(size, seed).items():
        network = getattr(model, name)
        for variable, parts in _variables(network):
            variable.assign(np.concatenate([values[part] for part in parts]))
    return model


def _variables(network) -> list[tuple]:
    """Each variable with the names of the reference's values that it holds, one after the other."""
    named = [(variable, [f"kernel/{key}"]) for key, variable in network.kernels.items()]
    named += [(variable, [f"bias/{key}"]) for key, variable in network.biases.items()]
    for kind in ("scale", "offset"):
        named.append((getattr(network.norms, kind), [f"{kind}/{key}" for key in network.norms.widths]))
    assert {id(variable) for variable, _ in named} == {id(variable) for variable in network.trainable_variables}
    return named


def _step(model: ACGAN, number: int) -> dict[str, float]:
    real, labels, noise, fake_labels = make.batch(model.config.size, number)
    seeds = dict.fromkeys(("augment", "real", "fake", "generator"), tf.constant([0, 0]))
    model.draw = lambda count: (tf.constant(noise), tf.constant(fake_labels, tf.int32), seeds)
    losses = model.train_step((tf.constant(real), tf.constant(labels, tf.int32)))
    return {key: float(value) for key, value in losses.items()}


def _gradients(size: int, model: ACGAN, name: str) -> dict[str, np.ndarray]:
    """The gradients that the first step applied, by PyTorch's names: after it Adam's first moment is (1 - beta1) x
    gradient."""
    network, optimizer = getattr(model, name), getattr(model, f"{name}_optimizer")
    found = {}
    for variable, parts in _variables(network):
        place = next(i for i, other in enumerate(network.trainable_variables) if other is variable)
        value = 2 * optimizer._averages[place].numpy()
        ends = np.cumsum([network.norms.widths[part.split("/")[1]] for part in parts]) if len(parts) > 1 else []
        found |= dict(zip(parts, np.split(value, ends[:-1]), strict=True))
    return make.as_state(size, name, found)


def _assert_agrees(size: int, model: ACGAN, reference: dict, steps: int) -> None:
    for number in range(steps):
        losses = _step(model, number)
        expected = {k.split("/")[2]: v[number] for k, v in reference.items() if k.startswith(f"{size}/loss/")}
        assert len(expected) == 5
        for key, value in expected.items():
            np.testing.assert_allclose(losses[key], value, rtol=1e-4, err_msg=f"{key}, step {number}")
        for name in ("generator", "discriminator") if number == 0 else ():
            for key, gradient in _gradients(size, model, name).items():
                value = reference[f"{size}/gradient/{name}/{key}"]
                assert gradient.shape == value.shape
                error = np.linalg.norm(gradient - value) / np.linalg.norm(value)
                assert error < 1e-3, (name, key, error)


@pytest.mark.parametrize("size", make.GENERATORS)
def test_losses_gradients_and_updates_are_pytorchs(size):
    with np.load(REFERENCE / "acgan.npz") as file:
        _assert_agrees(size, _ours(size), dict(file), make.STEPS)


@pytest.mark.parametrize("size", make.GENERATORS)
def test_a_step_is_that_of_pytorch_here(size):
    pytest.importorskip("torch", reason="PyTorch's numbers anew: pip install 'lesiongan[bench]'")
    _assert_agrees(size, _ours(size, seed=7), make.steps(size, seed=7, count=1), 1)
