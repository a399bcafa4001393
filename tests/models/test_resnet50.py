"""The lesion classifier against Keras's own ResNet50 and against formulas."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.errors import UsageError
from lesiongan.models.optimizers import FastaiAdam
from lesiongan.models.resnet50 import LesionClassifier, ResNet50
from lesiongan.training.classifier import predict
from lesiongan.training.one_cycle import OneCycle

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


@pytest.fixture(scope="module")
def classifier():
    """A compiled small-stem classifier, used by several tests so that it is traced once."""
    cycle = OneCycle(1e-3, 10)
    model = _Counting(8, stem="imagenet")
    model.cycle = cycle
    model.compile(FastaiAdam(cycle.rate, cycle.momentum), jit_compile=False)
    model.reset(0)
    return model


class _Counting(LesionClassifier):
    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def caffe(images):
    """What Keras's weights expect, by Keras's own function."""
    return keras.applications.resnet50.preprocess_input((images + 1) * 127.5)


def batches(n=8, size=32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 4, size, size, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x, rng.integers(0, 8, (n, 4)).astype(np.int32)))


def test_parameter_counts():
    backbone = ResNet50()
    assert backbone.count_params() == 23_587_712
    head = LesionClassifier(8).head
    # Two norms (scale, offset, bias, mean, variance) and two dense layers without bias.
    assert sum(int(np.prod(v.shape)) for v in head.trainable_variables) == 2 * (4096 + 512) + 4096 * 512 + 512 * 8


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


def test_small_stem_keeps_the_resolution_and_refuses_imagenet_weights(weights_file):
    model = LesionClassifier(3, stem="small")
    model.reset(0)
    assert model.backbone(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 4, 4, 2048)
    with pytest.raises(UsageError, match="stem=imagenet"):
        model.load_backbone_weights(weights_file)


def test_classify_gives_probabilities_and_the_average_pool(classifier, images):
    classifier.reset(3)
    result = classifier.classify(tf.constant(images))
    maps = classifier.backbone(images)
    assert result["probabilities"].shape == (4, 8)
    np.testing.assert_allclose(tf.reduce_sum(result["probabilities"], 1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(result["features"], keras.layers.GlobalAveragePooling2D()(maps), rtol=1e-4, atol=1e-5)


def test_predict_pads_the_last_batch_and_traces_once(classifier):
    classifier.reset(3)
    pixels = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    probabilities, features = predict(classifier, pixels, batch=4)
    assert predict(classifier, pixels[:2], batch=4)[0].shape == (2, 8)
    wanted = classifier.classify(tf.constant(pixels / 127.5 - 1, tf.float32))
    np.testing.assert_allclose(probabilities, wanted["probabilities"], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(features, wanted["features"], rtol=1e-3, atol=1e-4 * features.max())
    assert classifier.classify_pixels.experimental_get_tracing_count() == 1


def test_head_is_the_formula(classifier):
    classifier.reset(4)
    head, rng = classifier.head, np.random.default_rng(0)
    for variable in (head.norms.scale, head.norms.offset, head.norms.moving_mean):
        variable.assign(rng.normal(size=variable.shape))
    maps = rng.normal(size=(2, 2, 2, 2048)).astype(np.float32)

    def norm(x, part):
        scale, offset, mean = (np.array(v)[part] for v in (head.norms.scale, head.norms.offset, head.norms.moving_mean))
        return (x - mean) / np.sqrt(1 + 1e-5) * scale + offset

    pooled = np.concatenate([maps.max((1, 2)), maps.mean((1, 2))], 1)
    hidden = np.maximum(norm(pooled, slice(0, 4096)) @ head.hidden.numpy(), 0)
    wanted = norm(hidden, slice(4096, None)) @ head.classes.numpy()
    np.testing.assert_allclose(head(maps)[0], wanted, rtol=1e-3, atol=1e-3)


def test_loss_is_the_weighted_mean_with_smoothed_targets():
    model = LesionClassifier(3, label_smoothing=0.3)
    weights = np.array([1.0, 2.0, 0.5])
    model.set_class_weights(weights)
    logits, labels = np.array([[1.0, -1.0, 0.5], [0.2, 0.1, 2.0]], np.float32), np.array([1, 2])
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = np.eye(3)[labels] * 0.7 + 0.1
    wanted = (-(targets * log_p).sum(1) * weights[labels]).sum() / weights[labels].sum()
    assert float(model.loss_of(labels, logits)) == pytest.approx(wanted, rel=1e-5)


def test_momentum_and_rate_move_and_another_length_needs_no_trace(classifier):
    seen = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
    for seed, steps in ((0, 8), (1, 4)):
        classifier.reset(seed)
        classifier.cycle.set(1e-3, steps)
        classifier.fit(batches(steps), verbose=0, callbacks=[record])
    for key, curve in (("learning_rate", classifier.cycle.rate), ("momentum", classifier.cycle.momentum)):
        classifier.cycle.set(1e-3, 8)
        np.testing.assert_allclose([s[key] for s in seen[:8]], [curve(i) for i in range(8)], rtol=1e-4)
        classifier.cycle.set(1e-3, 4)
        np.testing.assert_allclose([s[key] for s in seen[8:]], [curve(i) for i in range(4)], rtol=1e-4)
    assert classifier.traces == 1


def test_a_training_repeats_and_resumes_from_its_state(classifier):
    def train(data):
        return classifier.fit(data, verbose=0).history["loss"][-1]

    data = batches(4)
    classifier.cycle.set(1e-3, 4)
    classifier.reset(5)
    train(data.take(2))
    middle = [v.numpy() for v in classifier.state()]
    train(data.skip(2))
    end = [v.numpy() for v in classifier.state()]
    classifier.reset(6)
    for variable, value in zip(classifier.state(), middle, strict=True):
        variable.assign(value)
    classifier._seed.assign(5)
    train(data.skip(2))
    for a, b in zip(end, classifier.state(), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-3)


def test_reset_and_set_state(classifier):
    classifier.reset(7)
    first = classifier.get_state()
    classifier.fit(batches(1), verbose=0)
    assert int(classifier.optimizer.iterations) == 1
    classifier.set_state(first)
    assert int(classifier.optimizer.iterations) == 0
    assert all(float(tf.reduce_max(tf.abs(v.value))) == 0 for v in classifier.optimizer.variables)
    classifier.reset(8)
    assert any((a != b).any() for a, b in zip(first, classifier.get_state(), strict=True))
    classifier.reset(7)
    for a, b in zip(first, classifier.get_state(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UsageError, match="do not fit"):
        LesionClassifier(5).set_state(first)
