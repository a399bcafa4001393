"""`precision=auto`: what a step takes decides, once per folder, and a training that goes on keeps to it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training import precision
from lesiongan.training.acgan import train_acgan
from lesiongan.training.cyclegan import settled_precision

ACGAN = ACGANConfig(size=32, width=0.05, batch=4, images=8, precision="auto")
CYCLEGAN = CycleGANConfig(size=32, filters=4, blocks=1, discriminator_filters=4, batch=1, images=1, precision="auto")


@pytest.mark.parametrize(
    ("plain", "low", "expected"),
    [(1.0, 0.5, precision.LOW), (1.0, 0.95, precision.PLAIN), (1.0, 3.0, precision.PLAIN), (1.1, 1.0, precision.LOW)],
)
def test_bfloat16_has_to_win_by_more_than_chance(plain, low, expected):
    assert precision.chosen({precision.PLAIN: plain, precision.LOW: low}) == expected


def test_a_step_of_each_is_timed_and_the_choice_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "slowness", lambda name: 1.0)
    first = settled_precision(CYCLEGAN, tmp_path / "new")
    kept = json.loads((tmp_path / "new" / precision.FILE).read_text())
    assert all(seconds > 0 for seconds in kept["seconds"].values())
    assert first.precision == kept["precision"] == precision.chosen(kept["seconds"])
    monkeypatch.setattr(precision, "median_seconds", lambda *timed: pytest.fail("is timed again"))
    assert settled_precision(CYCLEGAN, tmp_path / "new").precision == kept["precision"]


@pytest.fixture(name="said")
def _said(monkeypatch):
    lines = []
    monkeypatch.setattr(precision, "say", lines.append)
    return lines


def test_a_processor_without_bfloat16_computes_no_step_in_it(tmp_path, monkeypatch, said):
    """One such step of the study's ACGAN takes half a minute where float32 takes two and a half seconds."""
    monkeypatch.setattr(precision, "slowness", lambda name: 20.0)
    monkeypatch.setattr(precision, "median_seconds", lambda *timed: pytest.fail("steps are timed"))
    for _ in range(2):  # the second goes on
        assert settled_precision(CYCLEGAN, tmp_path).precision == precision.PLAIN
    assert len(said) == 1
    assert "a convolution takes 20 times as long in bfloat16 here" in said[0]


@pytest.mark.parametrize(("slower", "worth_saying"), [(20.0, True), (1.0, False)])
def test_what_is_said_of_the_precision_is_left_alone(tmp_path, monkeypatch, said, slower, worth_saying):
    monkeypatch.setattr(precision, "slowness", lambda name: slower)
    config = CycleGANConfig(precision="mixed_bfloat16")
    assert settled_precision(config, tmp_path) is config
    assert not list(tmp_path.iterdir())
    assert len(said) == worth_saying
    assert all("20 times as long in mixed_bfloat16" in line for line in said)


def test_float32_is_as_fast_as_itself():
    assert precision.slowness(precision.PLAIN) == 1.0
    assert precision.slowness(precision.LOW) > 0


@pytest.mark.parametrize("decided", [precision.PLAIN, precision.LOW])
def test_a_training_has_the_precision_that_was_decided(tmp_path, monkeypatch, decided):
    seconds = {precision.PLAIN: 1.0, precision.LOW: 0.5 if decided == precision.LOW else 2.0}
    monkeypatch.setattr(precision, "slowness", lambda name: 1.0)
    monkeypatch.setattr(precision, "median_seconds", lambda *timed: seconds)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    data = ImageSet(images, np.arange(8) % 2, tuple(map(str, range(8))), ("real",) * 8)
    model = train_acgan(ACGAN, data, num_classes=2, run_dir=tmp_path, seed=0)
    assert model.config.precision == decided
    assert model.generator.compute.name == decided.removeprefix("mixed_")
