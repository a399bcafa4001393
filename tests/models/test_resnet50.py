"""The ResNet50 backbone against Keras's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.backbones.resnet50 import ResNet50
from lesiongan.models.classifier.model import LesionClassifier

SIZE = 64


@pytest.fixture(scope="module")
def keras_model():
    """Keras's ResNet50 with random values in every variable, batch norm's averages and biases too."""
    model = keras.applications.ResNet50(include_top=False, weights=None)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        noise = rng.normal(size=variable.shape).astype(np.float32)
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape).astype(np.float32))
        elif "kernel" in variable.path:
            variable.assign(noise * np.float32(np.sqrt(2 / np.prod(variable.shape[:3]))))
        else:
            variable.assign(0.1 * noise)
    return model


@pytest.fixture(scope="module")
def weights_file(keras_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet50_notop.weights.h5"
    keras_model.save_weights(path)
    return path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)


def caffe(images):
    """What Keras's weights expect, by Keras's own function."""
    return keras.applications.resnet50.preprocess_input((images + 1) * 127.5)


def test_parameter_count():
    assert ResNet50().count_params() == 23_587_712


def test_backbone_equals_keras_with_weights_from_a_file(keras_model, weights_file, images):
    model = LesionClassifier(8)
    model.reset(0)
    model.load_backbone_weights(weights_file)
    wanted = keras_model(caffe(images), training=False).numpy()
    found = model.backbone(images, training=False).numpy()
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    features = model.classify(tf.constant(images))["features"]
    np.testing.assert_allclose(features, wanted.mean((1, 2)), rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_moving_averages_are_those_of_keras_at_momentum_0_9(keras_model, images):
    backbone = ResNet50()
    backbone.load(keras_model)
    norms = {"conv1": (backbone.stem, "conv", 32 * 32), "conv3_block2_2": (backbone.stages[1], "block2_2", 8 * 8)}
    old = {
        key: [np.array(v) for v in (part.norms.moving_mean, part.norms.moving_variance)]
        for key, (part, *_) in norms.items()
    }
    layers = {key: keras_model.get_layer(f"{key}_bn") for key in norms}
    kept = keras_model.get_weights()
    before = {key: (layer.moving_mean.numpy(), layer.moving_variance.numpy()) for key, layer in layers.items()}
    keras_model(caffe(images), training=True)
    backbone(images, training=True)
    for key, (part, name, places) in norms.items():
        # Keras: new = 0.99 old + 0.01 batch; ours: new = 0.9 old + 0.1 batch, the variance unbiased as in PyTorch.
        mean, variance = (
            (v.numpy() - 0.99 * b) / 0.01
            for v, b in zip((layers[key].moving_mean, layers[key].moving_variance), before[key], strict=True)
        )
        n = len(images) * places
        stored = [part.norms.split(tf.constant(v))[name].numpy() for v in old[key]]
        new = [part.norms.split(v.value)[name].numpy() for v in (part.norms.moving_mean, part.norms.moving_variance)]
        np.testing.assert_allclose(new[0], 0.9 * stored[0] + 0.1 * mean, rtol=1e-3, atol=1e-3 * np.abs(mean).max())
        wanted = 0.9 * stored[1] + 0.1 * variance * n / (n - 1)
        np.testing.assert_allclose(new[1], wanted, rtol=5e-3, atol=1e-3 * variance.max())
    keras_model.set_weights(kept)


def test_weights_with_top_and_files_that_are_none(tmp_path):
    full = keras.applications.ResNet50(include_top=True, weights=None)
    full.save_weights(tmp_path / "full.weights.h5")
    model = LesionClassifier(8)
    model.load_backbone_weights(tmp_path / "full.weights.h5")
    wanted = full.get_layer("conv5_block3_3_conv").kernel.numpy()
    np.testing.assert_array_equal(model.backbone.stages[-1].kernels["block3_3"].numpy(), wanted)
    with pytest.raises(UsageError, match="no such file"):
        model.load_backbone_weights(tmp_path / "absent.h5")
    other = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(UsageError, match="not the weights of"):
        model.load_backbone_weights(tmp_path / "other.weights.h5")


def test_imagenet_without_a_network_names_both_ways_out(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(UsageError, match=r"--set classifier.weights=PATH.*--set classifier.weights=none"):
        LesionClassifier(8).load_backbone_weights("imagenet")


def test_small_stem_keeps_twice_the_resolution_and_refuses_imagenet_weights(weights_file):
    model = LesionClassifier(3, stem="small")
    model.reset(0)
    assert model.backbone(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 2, 2, 2048)
    with pytest.raises(UsageError, match="stem=imagenet"):
        model.load_backbone_weights(weights_file)
