"""The benchmark of stages finds all of a network's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.stages import blocks_of, gflop, recorded, with_gradients
from lesiongan.models.acgan.networks import Discriminator, Generator
from lesiongan.models.acgan.residual import ResidualGenerator
from lesiongan.models.cyclegan.additive import AdditiveGenerator
from lesiongan.models.cyclegan.networks import ResNetGenerator


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Generator(32, 16, 8, width=1 / 8), (4, 16)),
        (lambda: Discriminator(32, 8, width=1 / 4), (4, 32, 32, 3)),
        (lambda: ResidualGenerator(32, 16, 8, width=1 / 4), (4, 16)),
        (lambda: AdditiveGenerator(32, filters=8, blocks=2), (4, 32, 32, 3)),
    ],
    ids=["acgan's generator", "acgan's discriminator", "residual generator", "additive generator"],
)
def test_the_stages_of_a_network_are_all_of_its_arithmetic(make, shape):
    network, x = make(), tf.zeros(shape)
    whole = gflop(tf.function(lambda x: network(x), autograph=False), [x])
    stages = recorded(network, tf.TensorSpec(shape))
    parts = 0.0
    for stage in stages:
        parts += gflop(tf.function(stage.function, autograph=False), [tf.zeros(shape) for shape in stage.shapes])
    assert 0.9 * whole < parts <= whole  # what is left are norms, activations and sums


def test_the_blocks_of_a_chain_are_trained_with_their_kernels():
    """The chain rule through the stages' gradients gives the network's own."""
    network, x = ResNetGenerator(32, blocks=1, filters=4), tf.random.stateless_uniform([1, 32, 32, 3], [1, 2])
    stages = blocks_of(network, tuple(x.shape))
    with tf.GradientTape() as tape:
        result = network(x)
    last = tape.gradient(result, network.blocks[-1].trainable_variables[0].value, tf.ones_like(result))
    for block in network.blocks[:-1]:
        x = block(x)
    found = with_gradients(stages[-1])(x)
    assert len(found) == 1 + len(stages[-1].variables)
    np.testing.assert_allclose(found[1], last, rtol=1e-4, atol=1e-6)
    assert sum(len(stage.variables) for stage in stages) == len(network.trainable_variables)
