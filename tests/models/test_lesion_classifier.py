"""The lesion classifier against formulas."""

from __future__ import annotations

import dataclasses
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite
from lesiongan.models.backbones.resnet50 import ResNet50
from lesiongan.models.classifier.model import BACKBONES, LesionClassifier
from lesiongan.optim.adam import Adam
from lesiongan.optim.one_cycle import OneCycle
from lesiongan.training.classifier import build_classifier, predict

SIZE = 64


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def classifier():
    """A compiled small-stem classifier, used by several tests so that it is traced once."""
    cycle = OneCycle(1e-3, 10)
    model = _Counting(8, stem="imagenet")
    model.cycle = cycle
    model.compile(Adam.fastai(cycle.rate, cycle.momentum), jit_compile=False)
    model.reset(0)
    return model


class _Counting(LesionClassifier):
    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def batches(n=8, size=32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 4, size, size, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((x, rng.integers(0, 8, (n, 4)).astype(np.int32)))


def test_parameter_count_of_the_head():
    head = LesionClassifier(8).head
    # Two norms (scale, offset, bias, mean, variance) and two dense layers without bias.
    assert sum(int(np.prod(v.shape)) for v in head.trainable_variables) == 2 * (4096 + 512) + 4096 * 512 + 512 * 8


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
    assert int(classifier.optimizer.iterations) == int(classifier.step) == 1
    classifier.set_state(first)
    assert int(classifier.optimizer.iterations) == int(classifier.step) == 0
    assert all(float(tf.reduce_max(tf.abs(v.value))) == 0 for v in classifier.optimizer.variables)
    classifier.reset(8)
    assert any((a != b).any() for a, b in zip(first, classifier.get_state(), strict=True))
    classifier.reset(7)
    for a, b in zip(first, classifier.get_state(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UsageError, match="do not fit"):
        LesionClassifier(5).set_state(first)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_classifier_comes_back_from_its_configuration(name):
    config = LesionClassifier(3, backbone=name, width=0.25, label_smoothing=0.1).get_config()
    again = LesionClassifier.from_config(config)
    assert again.get_config() == config
    assert type(again.backbone) is BACKBONES[name]
    # As saved before there was a choice.
    assert isinstance(LesionClassifier.from_config({"name": "classifier", "classes": 3}).backbone, ResNet50)


def test_the_configuration_knows_each_backbone():
    hint = typing.get_type_hints(ClassifierConfig)["backbone"]
    assert set(typing.get_args(hint)) == set(BACKBONES)
    config = dataclasses.replace(ClassifierConfig(), backbone="efficientnet_lite0", width=0.25)
    assert isinstance(build_classifier(config, 3).backbone, EfficientNetLite)
    with pytest.raises(UsageError, match=r"'alexnet' is none of resnet50, efficientnet_lite0"):
        LesionClassifier(3, backbone="alexnet")


def test_weights_of_another_network_do_not_fit():
    state = LesionClassifier(3, width=0.25).get_state()
    with pytest.raises(UsageError, match=r"do not fit this classifier \(3 classes, efficientnet_lite0"):
        LesionClassifier(3, backbone="efficientnet_lite0", width=0.25).set_state(state)
    with pytest.raises(UsageError, match=r"full resnet50, not classifier.width=0.25"):
        LesionClassifier(3, width=0.25).load_backbone_weights("imagenet")


def test_focal_loss_and_cross_entropy_by_their_formulas():
    logits = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3]], np.float32)
    labels = np.array([0, 2])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = p[np.arange(2), labels]
    for gamma in (0.0, 2.0):
        model = LesionClassifier(3, width=0.1, focal=gamma)
        expected = (-((1 - own) ** gamma) * np.log(own)).mean()
        np.testing.assert_allclose(float(model.loss_of(labels, logits)), expected, rtol=1e-5)
    model = LesionClassifier(3, width=0.1, focal=2.0, label_smoothing=0.3)
    target = np.full((2, 3), 0.1) + 0.7 * np.eye(3)[labels]
    expected = (-(target * (1 - p) ** 2 * np.log(p)).sum(1)).mean()
    np.testing.assert_allclose(float(model.loss_of(labels, logits)), expected, rtol=1e-5)


def test_mixup_mixes_images_and_targets_alike_and_anew_in_each_step():
    model = LesionClassifier(4, width=0.1, mixup=0.4)
    model.compile(optimizer=Adam.fastai(1e-3))
    model.reset(5)
    model.build_optimizer()
    images = tf.eye(4)[:, None, None, :] * tf.ones([4, 2, 2, 4])  # an image's channels say whose it is
    mixed, targets = model._mixed(images, tf.eye(4))
    np.testing.assert_allclose(mixed[:, 0, 1, :], targets, rtol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(targets, 1), 1.0, rtol=1e-6)
    own = np.diag(targets)
    assert (own >= 0.5).all()
    np.testing.assert_allclose(1 - own, [targets[i, (i + 1) % 4] for i in range(4)], atol=1e-6)
    np.testing.assert_array_equal(model._mixed(images, tf.eye(4))[1], targets)
    model.step.assign_add(1)
    assert not np.array_equal(model._mixed(images, tf.eye(4))[1], targets)
    many = model._mixed(tf.zeros([20_000, 1, 1, 1]), tf.one_hot(tf.zeros(20_000, tf.int32), 4))
    assert float(tf.reduce_mean(many[1][:, 0])) == pytest.approx(1.0)
    labels = tf.one_hot(tf.range(20_000) % 2, 4)
    shares = np.max(model._mixed(tf.zeros([20_000, 1, 1, 1]), labels)[1], 1)
    rng = np.random.default_rng(0).beta(0.4, 0.4, 200_000)
    assert shares.mean() == pytest.approx(np.maximum(rng, 1 - rng).mean(), abs=0.005)


def test_a_step_that_overflows_float16_is_counted_and_the_next_draws_anew():
    model = build_classifier(ClassifierConfig(width=0.05, size=32, precision="mixed_float16"), 3)
    model.reset(1)
    images, seeds = tf.zeros([2, 32, 32, 3]), []
    for _ in range(2):
        model.optimizer.dynamic_scale.assign(2.0**100)
        model.train_step((images, tf.constant([0, 1])))
        seeds.append(model._step_seed().numpy().tolist())
    assert int(model.optimizer.iterations) == 0
    assert seeds == [[1, 2], [1, 4]]


@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet_lite0"])
@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_float16", 0.15), ("mixed_bfloat16", 0.7)])
def test_half_precision_says_nearly_the_same_and_trains(backbone, precision, tolerance):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(-1, 1, (8, 32, 32, 3)).astype(np.float32))
    labels = tf.constant(np.arange(8) % 3, tf.int32)
    found = {}
    for name in ("float32", precision):
        config = ClassifierConfig(backbone=backbone, width=0.1, size=32, precision=name)
        model = build_classifier(config, 3)
        model.reset(1)
        model.cycle.set(3e-3, 60)
        maps = model.backbone(images, training=True)  # the head's dropout draws other numbers in another type
        assert maps.dtype == model.compute_dtype == name.removeprefix("mixed_")
        assert model(images).dtype == tf.float32
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
        step = tf.function(model.train_step, autograph=False)
        losses = [float(step((images, labels))["loss"]) for _ in range(60)]
        assert np.mean(losses[-15:]) < 0.7 * np.mean(losses[:15])
        found[name] = tf.cast(maps, tf.float32).numpy()
        if name == "mixed_float16":
            assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
            assert float(model.optimizer.dynamic_scale) > 1
    assert keras.config.dtype_policy().name == "float32"
    # Rounding (2^-11, 2^-8) grows through 50 layers whose norms see 8 pictures; no layer in half precision gives 0.
    error = np.linalg.norm(found[precision] - found["float32"]) / np.linalg.norm(found["float32"])
    assert 0 < error < tolerance
