"""Training a CycleGAN on two small sets: budget, grid, and a model that is used again."""

import dataclasses
import json

import numpy as np
import pytest

from lesiongan.config import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.errors import UsageError
from lesiongan.models.cyclegan import CycleGAN
from lesiongan.training.cyclegan import cyclegan_steps, pairs_grid, train_cyclegan

TINY = CycleGANConfig(size=32, blocks=1, filters=4, discriminator_filters=4, batch=2, images=8, pool=2)


def _images(n, size=32, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return ImageSet(images, np.zeros(n, np.int32), tuple(f"i{k}" for k in range(n)), ("real",) * n)


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"images": 30_000, "batch": 4}, 7_500),
        ({"images": 10, "batch": 4}, 3),
        ({"images": 300_000, "batch": 1, "max_steps": 1000}, 300_000),  # the cap is of an epoch budget only
        ({"images": 0, "epochs": 200.0, "batch": 1}, 200 * 1_334),
        ({"images": 0, "epochs": 2.0, "batch": 4}, 667),
        ({"images": 0, "epochs": 200.0, "batch": 1, "max_steps": 1000}, 1000),
    ],
)
def test_budget(change, steps):
    assert cyclegan_steps(dataclasses.replace(TINY, **change), 1_334, 1_067) == steps
    assert cyclegan_steps(dataclasses.replace(TINY, **change), 1_067, 1_334) == steps


def test_training_again_with_the_same_model_equals_training_a_new_one_and_traces_once(tmp_path, monkeypatch):
    traces, train_step = [], CycleGAN.train_step
    monkeypatch.setattr(CycleGAN, "train_step", lambda self, data: traces.append(1) or train_step(self, data))
    x, y = _images(5), _images(3, size=40, seed=1)
    first = train_cyclegan(TINY, x, y, run_dir=tmp_path / "first", seed=1)
    weights = first.get_weights()
    assert int(first.generator_optimizer.iterations) == 4
    assert len(json.loads((tmp_path / "first" / "stats.jsonl").read_text().splitlines()[-1])) >= 3 + 6
    assert list((tmp_path / "first" / "samples").glob("pairs*.png"))
    traced = len(traces)
    train_cyclegan(TINY, y, x, run_dir=tmp_path / "other", seed=2, model=first)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(first.get_weights(), weights, strict=True))
    again = train_cyclegan(TINY, x, y, run_dir=tmp_path / "again", seed=1, model=first)
    assert again is first
    for ours, other in zip(again.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)
    assert traced == len(traces)


def test_grid_shows_pairs_in_rows():
    model = CycleGAN(TINY, seed=1)
    x, y = np.full((3, 32, 32, 3), -1, np.float32), np.full((2, 32, 32, 3), 1, np.float32)
    grid = pairs_grid(model, x, y)
    assert grid.shape == (2 * 34, 6 * 34, 3)
    assert grid.dtype == np.uint8
    assert (grid[2:34, 2:34] == 0).all()  # the first column is x
    assert (grid[2:34, 3 * 34 + 2 : 4 * 34] == 255).all()  # the fourth is y


def test_an_empty_domain_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="domain Y"):
        train_cyclegan(TINY, _images(2), _images(0), run_dir=tmp_path, seed=0)
