"""The benchmark of stages finds all of a network's arithmetic."""

from __future__ import annotations

import pytest
import tensorflow as tf

from benchmarks.stages import gflop, recorded
from lesiongan.models.acgan.networks import Discriminator, Generator
from lesiongan.models.acgan.residual import ResidualGenerator
from lesiongan.models.cyclegan.additive import AdditiveGenerator


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
