"""Training an ACGAN on a small set: budget, measurements, the state that is exported, warnings, and going on."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.data.image_set import ImageSet, to_uint8
from lesiongan.evaluation.feature_metrics import kernel_inception_distance
from lesiongan.evaluation.judge import Judge
from lesiongan.models.guidance import Guide
from lesiongan.training.acgan import measured, train_acgan
from lesiongan.training.states import best_state, last_state

TINY = ACGANConfig(size=32, width=1 / 16, batch=4, images=24, latent=10, measure_every_images=8, learning_rate=2e-3)


def _images(counts: list[int], seed: int = 0, size: int = 32) -> ImageSet:
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    coarse = rng.integers(0, 256, (len(labels), 4, 4, 3), dtype=np.uint8)
    images = coarse.repeat(size // 4, 1).repeat(size // 4, 2)
    return ImageSet(images, labels, tuple(f"i{k}" for k in range(len(labels))), ("real",) * len(labels))


def _features(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), 4, 8, 4, 8, 3).mean((2, 4)).reshape(len(images), -1)


JUDGE = Judge("means", 32, lambda images: (None, _features(images)))
DATA, VALIDATION = _images([9, 5, 2]), _images([20, 18, 3], seed=1)


def _train(run_dir, config=TINY, **more):
    options = {"judge": JUDGE, "validation": VALIDATION, **more}
    return train_acgan(config, DATA, num_classes=3, run_dir=run_dir, seed=1, **options)


def _lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"images": 200_000, "batch": 64}, 3_125),
        ({"images": 10, "batch": 4}, 3),
        ({"images": 0, "epochs": 200.0, "batch": 100}, 40_528),
        ({"images": 0, "epochs": 0.00001, "batch": 100}, 1),
    ],
)
def test_budget(change, steps):
    assert dataclasses.replace(TINY, **change).steps(20_264) == steps


def test_kid_is_the_mean_over_the_classes_with_enough_images_and_chooses_what_is_exported(tmp_path):
    model = _train(tmp_path, dataclasses.replace(TINY, export="best", ema=0.5))
    lines = _lines(tmp_path / "measurements.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6]
    best, last = best_state(tmp_path), last_state(tmp_path)
    lowest = min(lines, key=lambda line: line["kid"])
    assert (best.step, best.value) == (lowest["step"], lowest["kid"])
    assert last.step == 6
    for variable, array in zip(model.averaged.variables, best.arrays, strict=True):
        np.testing.assert_array_equal(variable, array)

    kids, scale = [], np.sqrt(np.mean(_features(VALIDATION.images) ** 2))
    for label, count in ((0, 20), (1, 18)):  # the third class has fewer than 16 validation images
        real = _features(VALIDATION.of_class(label).images)
        labels, seeds = tf.fill([count], label), tf.range(count, dtype=tf.int64)
        made = _features(to_uint8(model.sample(labels, seeds)))
        kids.append(kernel_inception_distance(real / scale, made / scale))
    assert best.value == pytest.approx(np.mean(kids), rel=1e-2)


def test_a_grid_of_fixed_noise_is_kept_through_the_training(tmp_path):
    _train(tmp_path, judge=None)
    grids = sorted((tmp_path / "samples").glob("classes-*.png"))
    assert [int(path.stem.split("-")[1]) for path in grids] == [1, 2, 3, 4, 5, 6]
    shapes = {Image.open(path).size for path in grids}
    assert shapes == {(3 + 8 * 67, 3 + 3 * 67)}  # eight seeds across, three classes down, cells of 64 px
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert {"class_diversity", "class_diversity_lowest"} < set(_lines(tmp_path / "measurements.jsonl")[-1])
    assert "kid" not in _lines(tmp_path / "measurements.jsonl")[-1]
    assert not (tmp_path / "best").exists()


def _colours(images: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(5.0 * tf.reduce_mean(images, (1, 2)))


@pytest.mark.parametrize(
    ("options", "given"),
    [({"export": "best"}, {}), ({"guidance": 0.5}, {"guide": Guide(_colours, 32, ("red", "green", "blue"))})],
    ids=["best", "guided"],
)
def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, options, given):
    monkeypatch.setenv("LESIONGAN_CHECKPOINT_SECONDS", "0")
    config = dataclasses.replace(TINY, ema=0.5, augment=True, ada_target=0.6, ada_images=40, **options)
    whole = _train(tmp_path / "whole", config, **given)
    looks = []

    def look(images):
        looks.append(len(images))
        if len(looks) > 4:  # two references and two classes: in the second measurement, at step 4
            raise KeyboardInterrupt
        return None, _features(images)

    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "killed", config, judge=Judge("killed", 32, look), **given)
    assert len(list((tmp_path / "killed" / "checkpoints").glob("step-*"))) == 1
    resumed = _train(tmp_path / "killed", config, **given)
    for one, other in zip(whole.state(), resumed.state(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert _lines(tmp_path / "killed" / "measurements.jsonl") == _lines(tmp_path / "whole" / "measurements.jsonl")


def test_collapse_is_said_with_advice(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")  # what is said goes to stdout
    _train(
        tmp_path, dataclasses.replace(TINY, learning_rate=0.0, images=60 * TINY.batch), judge=None
    )  # near grey, whatever the noise
    (line,) = [line for line in _lines(tmp_path / "warnings.jsonl") if "mode collapse" in line["warning"]]
    assert "acgan.augment=true" in line["warning"]
    assert "mode collapse" in capsys.readouterr().out


def test_diversity_within_a_class_is_a_share_of_the_real_images():
    real = _images([40, 40])

    def sample(labels, seeds):  # the first class as real ones, the second with half of their differences
        images = tf.gather(real.images, tf.cast(seeds, tf.int32) + 40 * labels)
        strength = tf.where(labels == 0, 1.0, 0.5)[:, None, None, None]
        return strength * (tf.cast(images, tf.float32) / 127.5 - 1.0)

    found = measured(sample, 2, real, {})
    assert found["class_diversity_lowest"] == pytest.approx(0.5, rel=0.15)
    assert found["class_diversity"] == pytest.approx(0.75, rel=0.15)


def test_what_cannot_be_trained_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="no images to train on"):
        train_acgan(TINY, DATA.take([]), num_classes=3, run_dir=tmp_path, seed=0)
    with pytest.raises(UsageError, match="images have 64 px"):
        train_acgan(TINY, _images([4, 4], size=64), num_classes=2, run_dir=tmp_path, seed=0)
    for change in ({"export": "best"}, {"patience": 3}):
        with pytest.raises(UsageError, match="needs a judge"):
            _train(tmp_path, dataclasses.replace(TINY, **change), judge=None)


def test_too_few_validation_images_are_said_and_the_last_state_is_exported(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")
    config = dataclasses.replace(TINY, export="best", images=4)
    _train(tmp_path, config, validation=_images([15, 3, 0]))
    assert "no class has 16 validation images (the largest 15)" in capsys.readouterr().out
    assert "kid" not in _lines(tmp_path / "measurements.jsonl")[-1]
