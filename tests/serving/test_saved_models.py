"""Exported models say the same as the models in memory, over the signatures that a server calls."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json, write_json
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import to_uint8, to_unit
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import model_artifact, saved_models

SIZE = 32


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """A Model artifact with one model of each kind, and the models."""
    folder = tmp_path_factory.mktemp("models")
    classifier = LesionClassifier(8)
    classifier.reset(0)
    acgan = ACGAN(ACGANConfig(size=SIZE, width=0.1, ema=0.9), 8, seed=0)
    config = CycleGANConfig(size=SIZE, blocks=1, filters=4, discriminator_filters=4)
    models = {"classifier": classifier, "acgan": acgan, "cyclegan": CycleGAN(config)}
    for kind, model in models.items():
        saved_models.export(model, folder / kind, kind=kind, size=SIZE, taxonomy=ISIC_2019, details={"seed": 0})
    return folder, models


def test_an_artifact_says_what_is_in_it(artifact):
    folder, _ = artifact
    assert model_artifact.names(folder) == ["acgan", "classifier", "cyclegan"]
    record = model_artifact.describe(folder / "acgan")
    assert (record["kind"], record["size"], record["seed"]) == ("acgan", SIZE, 0)
    with pytest.raises(UsageError, match=r"model\.json is missing"):
        model_artifact.describe(folder / "nothing")


def test_a_newer_format_is_refused(artifact, tmp_path):
    folder, _ = artifact
    write_json(tmp_path / "model.json", {**read_json(folder / "acgan" / "model.json"), "format": 99})
    with pytest.raises(UsageError, match="update lesiongan"):
        saved_models.load(tmp_path)


def test_a_loaded_classifier_says_the_same(artifact):
    folder, models = artifact
    pictures = images(5)
    expected = models["classifier"].classify(tf.constant(to_unit(pictures)))
    probabilities, features = saved_models.load(folder / "classifier").predict(pictures, batch=2)
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-5)
    expected = expected["features"].numpy()  # some hundred without a training
    np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max())


def test_a_loaded_translator_says_the_same(artifact):
    folder, models = artifact
    pictures = images(5)
    expected = to_uint8(models["cyclegan"].translate(tf.constant(to_unit(pictures))))
    assert np.abs(saved_models.load(folder / "cyclegan").translate(pictures, batch=2).astype(int) - expected).max() <= 1


def test_a_loaded_generator_gives_the_image_of_a_label_and_a_seed(artifact):
    folder, models = artifact
    labels, seeds = np.array([0, 1, 7, 1]), np.array([5, 5, 2**40, 5])
    expected = to_uint8(models["acgan"].sample(tf.constant(labels, tf.int32), tf.constant(seeds, tf.int64)))
    made = saved_models.load(folder / "acgan").sample(labels, seeds, batch=3)
    assert np.abs(made.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(made[1], made[3])
    assert (made[0] != made[1]).any()


def test_requests_of_encoded_pictures_are_those_of_decoded_ones(artifact):
    folder, models = artifact
    stream = io.BytesIO()
    Image.fromarray(images(1)[0]).save(stream, "PNG")
    serve = tf.saved_model.load(str(folder / "cyclegan" / "saved_model")).signatures["serving_default"]
    answer = serve(images_bytes=tf.constant([stream.getvalue()] * 2))
    expected = to_uint8(models["cyclegan"].translate(tf.constant(to_unit(images(1)))))[0]
    for picture, png in zip(answer["image"].numpy(), answer["png_bytes"].numpy(), strict=True):
        assert np.abs(picture.astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), picture)


def test_a_saved_model_needs_tensorflow_alone(artifact):
    folder, _ = artifact
    code = (
        "import sys, tensorflow as tf\n"
        "f = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "r = f(labels=tf.constant([3, 3]), seeds=tf.constant([1, 2], tf.int64))\n"
        "assert not any(m.startswith('lesiongan') for m in sys.modules)\n"
        "print(r['image'].shape)\n"
    )
    command = [sys.executable, "-I", "-c", code, str(folder / "acgan" / "saved_model")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert f"(2, {SIZE}, {SIZE}, 3)" in result.stdout, result.stderr


def test_what_the_graph_does_with_files_is_found_by_the_names_of_version_0_1():
    found = saved_models._encoded(tf.zeros([1, 8, 8, 3]))
    assert set(found) == {"image", "png_bytes"}
    squares = saved_models._decoded(tf.constant([found["png_bytes"].numpy()[0]]), 4)
    np.testing.assert_allclose(squares, np.full((1, 4, 4, 3), 128 / 127.5 - 1), atol=1e-6)
