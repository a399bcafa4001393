"""Which images a rule takes first, on constructed pools."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lesiongan.base.errors import LesionganError, UsageError
from lesiongan.config.experiments import NevusToMelanomaConfig
from lesiongan.config.grid import GridConfig, made_for
from lesiongan.data import examples_writer
from lesiongan.data.image_set import ImageSet
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.experiments import selection
from lesiongan.experiments.cell_images import CellImages
from lesiongan.experiments.cells import Cell, experiment_cells

CLASSES = Taxonomy.of(("A", "B"))


def test_each_rule_takes_what_it_names():
    features = np.array([[0.0, 0], [1, 0], [5, 0], [0, 9]])
    probabilities = np.array([0.2, 0.9, 0.9, 0.4])
    real = np.array([[1.0, 0], [4.5, 0]])
    assert selection.order("confidence", probabilities, features, real).tolist() == [1, 2, 3, 0]
    assert selection.order("novelty", probabilities, features, real).tolist() == [3, 0, 2, 1]
    # nearest to the mean (1.5, 2.25) is (1, 0), then the farthest of all, then the farthest of both
    assert selection.order("diversity", probabilities, features, real).tolist() == [1, 3, 2, 0]


def test_farthest_points_are_the_greedy_ones_of_the_definition():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 5))
    taken = [int(np.argmin(np.linalg.norm(points - points.mean(0), axis=1)))]
    while len(taken) < len(points):
        left = [i for i in range(len(points)) if i not in taken]
        taken.append(max(left, key=lambda i: min(np.linalg.norm(points[i] - points[j]) for j in taken)))
    assert selection.farthest_points(points).tolist() == taken
    assert selection.farthest_points(points[:0]).tolist() == []


def test_a_spread_out_subset_covers_what_a_random_one_misses():
    """Nine tenths of a pool in one place: random ones stay there, the chosen ones reach the rest."""
    rng = np.random.default_rng(1)
    pool = np.concatenate([rng.normal(size=(180, 8)), rng.normal(size=(20, 8)) + np.repeat(np.eye(8) * 30, 20, 0)[:20]])

    def radius(chosen):
        return np.linalg.norm(pool[:, None] - pool[chosen], axis=2).min(1).max()

    assert radius(selection.farthest_points(pool)[:20]) < min(radius(rng.permutation(200)[:20]) for _ in range(20))


def test_equal_pictures_and_numbers_that_are_none():
    assert sorted(selection.farthest_points(np.zeros((5, 3))).tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="not finite"):
        selection.order("novelty", np.ones(2), np.array([[0.0], [np.nan]]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="no rule 'luck'"):
        selection.order("luck", np.ones(2), np.zeros((2, 1)), np.zeros((1, 1)))


def test_every_amount_has_a_chosen_cell_beside_the_random_one():
    experiment = NevusToMelanomaConfig(source="B", target="A", alphas=(0.5, 1.0), amounts=(10, 20))
    cells = experiment_cells(experiment, GridConfig(selections=("novelty",), pool=1.5), CLASSES.classes)
    chosen = [cell for cell in cells if cell.kind == "selection"]
    assert [cell.name for cell in chosen] == [
        "alpha 0.5 by novelty + 10",
        "alpha 1 by novelty + 10",
        "alpha 0.5 by novelty + 20",
        "alpha 1 by novelty + 20",
    ]
    beside = [cell for cell in cells if cell.kind == "cyclegan"]
    assert [(c.generators, c.amount) for c in chosen] == [(c.generators, c.amount) for c in beside]
    assert made_for(GridConfig(selections=("novelty",), pool=1.5), 25) == 38
    assert made_for(GridConfig(pool=1.5), 25) == 25
    with pytest.raises(UsageError, match=r"grid\.selections"):
        GridConfig(selections=("novelty", "novelty"))


def images_of(labels, first: int) -> ImageSet:
    """Pictures of one grey, which is what the classifier below sees."""
    greys = np.arange(first, first + len(labels), dtype=np.uint8)
    images = np.broadcast_to(greys[:, None, None, None], (len(labels), 16, 16, 3)).copy()
    ids = tuple(f"{first}_{i}" for i in range(len(labels)))
    return ImageSet(images, np.array(labels, np.int32), ids, ("real",) * len(labels))


def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The brighter, the surer it is of B."""
    grey = images.mean((1, 2, 3)) / 255
    return np.stack([1 - grey, grey], 1), grey[:, None]


def test_a_cell_gets_the_first_of_the_order_and_amounts_are_nested(tmp_path):
    made = images_of([0, 1] * 10, 100)
    examples_writer.write_generated(
        tmp_path / "g", made.images, made.labels, made.ids, made.origins, CLASSES, sizes=[16]
    )
    real = images_of([0] * 3 + [1] * 3, 100)
    cells = CellImages(real, [tmp_path], CLASSES, look=look)
    few = Cell("x", "selection", ("g",), amount=3, classes=("B",), selection="confidence")
    (surest,) = cells.added(few)
    assert surest.ids == ("100_19", "100_17", "100_15")  # of the images of B the brightest
    for rule in selection.RULES:
        smaller, larger = (cells.added(dataclasses.replace(few, amount=n, selection=rule))[0].ids for n in (3, 6))
        assert larger[:3] == smaller
    random = cells.added(dataclasses.replace(few, selection=""))[0]
    assert random.ids == ("100_1", "100_3", "100_5")
    with pytest.raises(LesionganError, match="without a classifier"):
        CellImages(real, [tmp_path], CLASSES).added(few)
