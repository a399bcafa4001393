"""Guidance by an exported classifier: its SavedModel's gradient is that of the Keras model that it was made of, a
training by it reaches what it asks for, goes on bit for bit, and what cannot guide is one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.data.phantoms import render
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.judge import Judge
from lesiongan.models.backbones import resnet50
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.guidance import NO_CLASS, Guide
from lesiongan.serving import saved_models
from lesiongan.training.acgan import train_acgan
from lesiongan.training.cyclegan import train_cyclegan
from lesiongan.training.guiding import aims_of, check_classes, guide_of

CLASSES = Taxonomy.of(("MEL", "NV", "BCC"))
TINY = CycleGANConfig(size=32, generator="additive", blocks=1, filters=4, discriminator_filters=4, batch=4, pool=2)


def _exported(folder: Path, size: int, **options) -> tuple[LesionClassifier, Path]:
    """A classifier with weights and statistics of no training, all of which differ, and its folder."""
    model = LesionClassifier(3, width=0.1, seed=5, **options)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(variable.numpy() * random.uniform(0.8, 1.2, variable.shape) + 0.01 * random.random())
    logits = model(tf.zeros([1, size, size, 3]))
    model.head.classes.assign(model.head.classes.numpy() * (3.0 / np.ptp(logits)))  # not so sure that p is 0
    details: dict = {"config": {}}
    saved_models.export(model, folder / "classifier", kind="classifier", size=size, taxonomy=CLASSES, details=details)
    return model, folder


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (48, {"stem": "small"}),
        # with gradients of its own for 1 x 1 kernels on large maps and 5 x 5 ones on small maps
        pytest.param(64, {"backbone": "efficientnet_lite0"}, marks=pytest.mark.long),
    ],
)
def test_the_gradient_is_that_of_the_classifiers_own_loss(tmp_path, monkeypatch, size, options):
    monkeypatch.setattr(resnet50, "STAGES", {"conv2": (64, 1, 1)})  # its export takes a third of the time
    classifier, folder = _exported(tmp_path, size, **options)
    guide = guide_of(folder)
    assert guide.classes == CLASSES.classes
    assert len(guide.digest) == 64
    images = tf.constant(np.random.default_rng(2).uniform(-1, 1, (4, size, size, 3)), tf.float32)
    labels = tf.constant([2, 0, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(images)
        expected = classifier.loss_of(labels, classifier(images))
    wanted = tape.gradient(expected, images).numpy()

    @tf.function(autograph=False)
    def guided():
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = guide.loss(images, labels)
        return loss, tape.gradient(loss, images)

    loss, gradient = guided()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert np.linalg.norm(wanted) > 1e-4
    assert np.linalg.norm(gradient.numpy() - wanted) < 1e-5 * np.linalg.norm(wanted)


def dark(images: tf.Tensor) -> tf.Tensor:
    """The darker, the more a melanoma; the greener, the more a nevus."""
    colour = tf.reduce_mean(images, (1, 2))
    return tf.nn.softmax(6.0 * tf.stack([-tf.reduce_mean(colour, 1), colour[:, 1], colour[:, 2]], 1))


GUIDE = Guide(dark, 32, CLASSES.classes)


def _phantoms(name: str, count: int, first: int = 0) -> ImageSet:
    images = np.stack([render(name, first + i, 32) for i in range(count)])
    ids = tuple(f"{name}{first + i}" for i in range(count))
    return ImageSet(images, np.full(count, CLASSES.index(name), np.int32), ids, ("phantom",) * count)


@pytest.fixture(scope="module")
def pair() -> tuple[ImageSet, ImageSet]:
    return _phantoms("NV", 12), _phantoms("MEL", 12)


def _lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_guided_training_reaches_what_is_asked_of_it_and_goes_on_as_if_it_had_not_been_killed(
    tmp_path, monkeypatch, pair
):
    """With one model, whose compiled step serves all three trainings."""
    monkeypatch.setenv("LESIONGAN_CHECKPOINT_SECONDS", "0")
    config = dataclasses.replace(TINY, images=96, learning_rate=3e-3, ema=0.9, guidance=5.0, measure_every_images=32)
    held = tuple(_phantoms(name, 16, 100) for name in ("NV", "MEL"))
    looks = []

    def colours(images):
        looks.append(len(images))
        return None, images.reshape(len(images), -1, 3).mean(1)

    def killed(images):
        if len(looks) > 5:  # of the whole training a reference and three measurements; now its second
            raise KeyboardInterrupt
        return colours(images)

    def train(folder, look, model=None):
        given = {"seed": 1, "guide": GUIDE, "aims": (0, 1), "validation": held, "model": model}
        return train_cyclegan(config, *pair, run_dir=tmp_path / folder, judge=Judge("colour", 32, look), **given)

    model = train("whole", colours)
    whole = [variable.numpy() for variable in model.state()]
    lines = _lines(tmp_path / "whole")
    terms = np.array([[line["guidance_xy"], line["guidance_yx"]] for line in lines])
    assert len(terms) == 24
    assert (terms[-4:].mean(0) < 0.7 * terms[:4].mean(0)).all()
    with pytest.raises(KeyboardInterrupt):
        train("killed", killed, model)
    assert max(line["step"] for line in _lines(tmp_path / "killed")) < 24
    assert list((tmp_path / "killed" / "checkpoints").glob("step-*"))
    train("killed", colours, model)
    for one, other in zip(whole, model.state(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_guide_is_one_line(tmp_path, pair):
    with pytest.raises(UsageError, match=r"cyclegan\.guidance goes by a classifier of lesions: give --judge MODEL"):
        train_cyclegan(dataclasses.replace(TINY, guidance=1.0), *pair, run_dir=tmp_path, seed=0)
    with pytest.raises(UsageError, match=r"acgan\.guidance goes by a classifier of lesions: give --judge MODEL"):
        config = ACGANConfig(size=32, guidance=1.0)
        train_acgan(config, pair[0], num_classes=3, run_dir=tmp_path, seed=0)
    assert aims_of(CLASSES.classes, "BCC", "NV") == (2, 1)
    assert aims_of(CLASSES.classes, "BCC", "light") == (2, NO_CLASS)
    with pytest.raises(UsageError, match=r"pictures of light, which the judge does not know.*MEL, NV, BCC"):
        aims_of(CLASSES.classes, "light", "NV")
    check_classes(GUIDE, CLASSES.classes)
    with pytest.raises(UsageError, match="tells MEL, NV, BCC apart, the data have NV, MEL, BCC"):
        check_classes(GUIDE, ("NV", "MEL", "BCC"))
    assert not list(tmp_path.iterdir())
