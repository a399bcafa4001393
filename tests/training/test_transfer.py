"""A new training from another one's weights: its networks alone are taken over, and what does not fit is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.training.acgan import train_acgan
from lesiongan.training.cyclegan import train_cyclegan
from lesiongan.training.transfer import check_fits, read_model, take_over

TINY = ACGANConfig(size=32, width=1 / 16, batch=4, images=8, latent=10, learning_rate=0.0)
PAIR = CycleGANConfig(size=32, blocks=1, filters=4, discriminator_filters=4, images=2, pool=2, learning_rate=0.0)


def images(count: int, seed: int) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(count) % 2).astype(np.int32)
    return ImageSet(pixels, labels, tuple(map(str, range(count))), ("real",) * count)


def values(network) -> list[np.ndarray]:
    return [variable.numpy() for variable in network.variables]


def same(one, other) -> bool:
    """Whether two networks have the same trained weights."""
    pairs = zip(one.trainable_variables, other.trainable_variables, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def acgan(tmp_path_factory) -> tuple[Path, ACGAN]:
    """A model as a training leaves it: weights, steps and moments that no new one has."""
    folder = tmp_path_factory.mktemp("acgan")
    config = dataclasses.replace(TINY, learning_rate=1e-2, images=40)
    model = train_acgan(config, images(12, 0), num_classes=2, run_dir=folder / "run", seed=1)
    model.save(folder / "model.keras")
    return folder, model


def test_an_acgans_networks_are_taken_over_and_nothing_else(acgan, tmp_path):
    folder, before = acgan
    config = dataclasses.replace(TINY, ema=0.5)  # the other one has no averaged generator
    model = train_acgan(config, images(12, 3), num_classes=2, run_dir=tmp_path, seed=7, transfer=folder)
    for part in ("generator", "discriminator"):  # at a rate of 0 only moving averages move
        assert same(getattr(model, part), getattr(before, part)), part
    assert same(model.averaged, before.generator)
    other = ACGAN(config, 2, seed=7)
    assert not same(other.generator, before.generator)
    assert int(model.step) == 2
    assert int(model.generator_optimizer.iterations) == 2


def test_a_cyclegans_networks_are_taken_over(tmp_path):
    before = CycleGAN(PAIR, seed=1, steps=2)
    (tmp_path / "model").mkdir()
    before.save(tmp_path / "model" / "model.keras")
    x, y = images(4, 0), images(4, 1)
    model = train_cyclegan(PAIR, x, y, run_dir=tmp_path / "run", seed=9, transfer=tmp_path / "model")
    for part in ("generator_xy", "generator_yx", "discriminator_x", "discriminator_y"):
        assert same(getattr(model, part), getattr(before, part)), part
    assert int(model.seed) == 9


def test_shapes_that_differ_change_nothing(acgan):
    other = ACGAN(dataclasses.replace(TINY, latent=12), 2, seed=1)
    before = values(other.discriminator)
    parts = {"discriminator": "discriminator", "generator": "generator"}
    with pytest.raises(UsageError, match="the generator of that model has other shapes"):
        take_over(other, acgan[1], parts, "acgan")
    assert all(np.array_equal(a, b) for a, b in zip(values(other.discriminator), before, strict=True))


def test_what_cannot_be_read_is_one_line(acgan, tmp_path):
    with pytest.raises(UsageError, match="a ACGAN, not a CycleGAN"):
        read_model(acgan[0], CycleGAN)
    (tmp_path / "model.keras").write_bytes((acgan[0] / "model.keras").read_bytes()[:5000])
    with pytest.raises(UsageError, match=r"model\.keras cannot be read"):
        read_model(tmp_path, ACGAN)


def test_what_does_not_fit_is_known_by_the_record(acgan, tmp_path):
    record = {"kind": "acgan", "config": dataclasses.asdict(TINY), "seed": 1, "taxonomy": {"classes": ["NV", "MEL"]}}
    check_fits(acgan[0], record, TINY, ("NV", "MEL"), 5)
    check_fits(acgan[0], record, dataclasses.replace(TINY, ema=0.9, batch=8), ("NV", "MEL"), 5)
    with pytest.raises(UsageError, match=r"acgan\.latent=10, here it is 12; give --set acgan\.latent=10"):
        check_fits(acgan[0], record, dataclasses.replace(TINY, latent=12), ("NV", "MEL"), 5)
    with pytest.raises(UsageError, match=r"--set acgan\.spectral_norm=false"):
        check_fits(acgan[0], record, dataclasses.replace(TINY, spectral_norm=True), ("NV", "MEL"), 5)
    for classes in (("MEL", "NV"), ("NV", "MEL", "BCC")):
        with pytest.raises(UsageError, match="that model's classes are NV, MEL, the data's are"):
            check_fits(acgan[0], record, TINY, classes, 5)
    with pytest.raises(UsageError, match=r"model\.keras.* is missing there \(pushed models have none\)"):
        check_fits(tmp_path, record, TINY, ("NV", "MEL"), 5)
    projected = dataclasses.replace(TINY, networks="projected")
    record["config"] = dataclasses.asdict(projected)
    check_fits(acgan[0], record, projected, ("NV", "MEL"), 1)
    with pytest.raises(UsageError, match="give --seed 1"):
        check_fits(acgan[0], record, projected, ("NV", "MEL"), 5)
