"""The exported form of a generator says what the trained one says, for batches of any size."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.cyclegan.networks import ResNetGenerator
from lesiongan.models.cyclegan.served_generator import ServedGenerator
from lesiongan.serving import saved_models

SIZE = 128  # from here on images are translated one by one, and by Winograd's convolutions


@pytest.fixture(scope="module")
def generator():
    made, rng = ResNetGenerator(SIZE, filters=2, blocks=2), np.random.default_rng(0)
    made.set_weights([rng.normal(0, 0.2, weight.shape) for weight in made.weights])
    return made


@pytest.fixture(scope="module")
def images():
    return tf.constant(np.random.default_rng(1).uniform(-1, 1, (3, SIZE, SIZE, 3)), tf.float32)


def test_an_export_in_the_fast_form_says_what_the_plain_generator_says(generator, images, tmp_path):
    folder = tmp_path / "translator"
    record = saved_models.export(
        ServedGenerator(generator), folder, kind="cyclegan", size=SIZE, taxonomy=ISIC_2019, details={}
    )
    assert record["parameters"] == sum(np.prod(weight.shape) for weight in generator.weights)
    expected = generator(images)
    assert np.abs(expected).max() > 0.5
    module = saved_models.load(folder).module
    for count in (1, 3):
        y = module.translate_squares(images[:count], tf.zeros(count, tf.int64))
        np.testing.assert_allclose(y, expected[:count], atol=1e-3)


def test_the_weights_are_a_copy(generator, images):
    network = ResNetGenerator(SIZE, filters=2, blocks=2)
    network.set_weights(generator.get_weights())
    served = ServedGenerator(network)
    before = served(images[:1])
    network.set_weights([0 * weight for weight in network.get_weights()])
    np.testing.assert_array_equal(served(images[:1]), before)
