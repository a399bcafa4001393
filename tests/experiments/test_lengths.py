"""Lengths of trainings, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.grid import GridConfig
from lesiongan.experiments.cells import BASELINE, Cell, cell_steps


def steps(cell: Cell, real: int = 100, **grid) -> int:
    config = ClassifierConfig(batch=10, epochs=3.0)
    return cell_steps(config, GridConfig(**grid), cell, real)


def test_equal_epochs_are_steps_in_proportion_to_the_images():
    cell = Cell("x", "acgan", amount=50)
    assert steps(BASELINE, budget="equal_epochs") == 30  # 3 epochs of 100 images in batches of 10
    assert steps(cell, budget="equal_epochs") == 45  # 3 epochs of 150
    assert steps(dataclasses.replace(BASELINE, steps_as=50), budget="equal_epochs") == 45
    assert steps(cell, budget="equal_steps") == steps(BASELINE, budget="equal_steps") == 30


def test_synthetic_only_of_a_warm_start_takes_the_starts_steps_too():
    cell = Cell("x", "control", amount=50, control="synthetic_only")
    assert steps(cell, images=200) == 20
    assert steps(cell, images=200, warm_start=True) == 20 + 30
    assert steps(BASELINE, images=200, warm_start=True) == 20


@pytest.mark.parametrize("images", [0, 1001])
@pytest.mark.parametrize("n", [1, 777, 50_000])
def test_lengths_of_trainings(images, n):
    classifier = ClassifierConfig(images=images, epochs=2.5, batch=7)
    assert classifier.steps(n) == math.ceil((images or 2.5 * n) / 7)
    acgan = ACGANConfig(images=images, epochs=3, batch=9)
    assert acgan.steps(n) == math.ceil((images or 3 * n) / 9)
    cyclegan = CycleGANConfig(images=images, batch=2)  # 200 epochs of the larger domain, at most horse2zebra's steps
    expected = math.ceil(images / 2) if images else min(100 * max(n, 300), 267_000)
    assert cyclegan.steps(n, 300) == expected
