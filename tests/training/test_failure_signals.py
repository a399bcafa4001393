"""The numbers in which failures show, against loops and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lesiongan.training.failure_signals import diversity, luminance_correlation, movement, of_classes, of_translation


def pictures(n: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def flat(*levels: int) -> np.ndarray:
    return np.stack([np.full((16, 16, 3), level, np.uint8) for level in levels])


def test_movement_by_hand():
    assert movement(flat(0, 100), flat(255, 100)) == pytest.approx(1.0)  # 2 and 0
    assert movement(flat(3), flat(2)) == pytest.approx(1 / 127.5)  # no wrap-around below 0


@pytest.mark.parametrize("size", [8, 16, 20, 30])
def test_diversity_is_the_distance_over_all_pairs_of_thumbnails(size):
    images = pictures(5, size)
    edges = [*np.linspace(0, size, 8, endpoint=False).astype(int), size]
    small = np.zeros((5, 8, 8, 3))
    for i, j in itertools.product(range(8), range(8)):
        cell = images[:, edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
        small[:, i, j] = cell.reshape(5, -1, 3).mean(1) / 127.5 - 1
    squares = [((a - b) ** 2).mean() for a, b in itertools.combinations(small, 2)]
    assert diversity(images) == pytest.approx(np.sqrt(np.mean(squares)))


def test_diversity_of_copies_is_nothing():
    assert diversity(np.repeat(pictures(1), 4, 0)) == 0.0
    assert diversity(pictures(1)) == 0.0


def test_luminance_correlation_is_numpys():
    before, after = pictures(3), pictures(3, seed=1)
    weights = np.array([0.299, 0.587, 0.114])
    expected = [
        np.corrcoef((a @ weights).ravel(), (b @ weights).ravel())[0, 1] for a, b in zip(before, after, strict=True)
    ]
    assert luminance_correlation(before, after) == pytest.approx(np.mean(expected), abs=1e-5)
    assert luminance_correlation(before, before) == pytest.approx(1.0)
    assert luminance_correlation(before, 255 - before) == pytest.approx(-1.0)
    assert luminance_correlation(before, flat(5, 5, 5)) == 0.0


def test_of_translation():
    x = pictures(4)
    assert of_translation(x, x) == pytest.approx({"movement": 0.0, "diversity": 1.0, "luminance_correlation": 1.0})
    assert of_translation(x, flat(9, 9, 9, 9))["diversity"] == 0.0


def test_of_classes_compares_within_each_class():
    real = np.concatenate([flat(0, 100), flat(50, 90), pictures(1)])
    made = np.concatenate([flat(10, 60), flat(7, 7), pictures(2)])
    found = of_classes(real, np.array([0, 0, 1, 1, 2]), made, np.array([0, 0, 1, 1, 2, 2]))
    # class 0: 50 levels apart where real ones are 100; class 1: copies; class 2: one real image says nothing
    assert found == pytest.approx({"class_diversity": 0.25, "class_diversity_lowest": 0.0})
    assert of_classes(real[:1], np.array([0]), made, np.zeros(6, int)) == {}
