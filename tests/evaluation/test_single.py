"""One classifier's metrics with intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from lesiongan.evaluation.single import assess, lines

CLASSES = ("MEL", "NV", "DF")


def case(n: int, seed: int, per_lesion: int = 1):
    rng = np.random.default_rng(seed)
    lesions = np.repeat(np.arange(n // per_lesion), per_lesion)
    labels = rng.choice(3, n // per_lesion, p=[0.3, 0.6, 0.1])[lesions]
    right = (rng.random(n // per_lesion) < 0.7)[lesions]
    said = np.where(right, labels, (labels + 1) % 3)
    probabilities = np.full((n, 3), 0.1) + 0.7 * np.eye(3)[said]
    return labels, probabilities, [f"L{lesion}" for lesion in lesions]


def test_values_are_scikit_learns_and_intervals_hold_them():
    labels, probabilities, lesions = case(600, 0)
    found = assess(labels, probabilities, CLASSES, lesions)
    said = probabilities.argmax(1)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, said))
    recall = recall_score(labels, said, average=None)
    assert [found["classes"][c]["recall"] for c in CLASSES] == pytest.approx(recall.tolist())
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        low, high = found["intervals"][name]
        assert low < found[name] < high
    assert json.loads(json.dumps(found)) == found
    assert "600 images of 600 lesions" in lines(found)[0]


def test_the_interval_of_accuracy_is_the_binomials_for_single_images():
    """Within classes the bootstrap's variance is sum over classes of n_c r_c (1 - r_c) / n^2."""
    labels, probabilities, lesions = case(800, 1)
    found = assess(labels, probabilities, CLASSES, lesions, resamples=4000)
    hits = probabilities.argmax(1) == labels
    variance = sum((labels == c).sum() * hits[labels == c].var() for c in range(3)) / len(labels) ** 2
    low, high = found["intervals"]["accuracy"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.06)


def test_images_of_one_lesion_count_once():
    """Four pictures of each lesion, all right or all wrong: the interval is as wide as with a quarter of the images."""
    labels, probabilities, lesions = case(800, 2, per_lesion=4)
    wide = np.ptp(assess(labels, probabilities, CLASSES, lesions)["intervals"]["accuracy"])
    narrow = np.ptp(assess(labels, probabilities, CLASSES, [""] * 800)["intervals"]["accuracy"])
    assert wide / narrow == pytest.approx(2.0, rel=0.15)


def test_a_class_without_images():
    labels, probabilities, lesions = case(100, 3)
    keep = labels != 2
    found = assess(labels[keep], probabilities[keep], CLASSES, [x for x, k in zip(lesions, keep, strict=True) if k])
    assert found["classes"]["DF"]["recall"] is None
    assert found["intervals"]["classes"]["DF"]["recall"] == [None, None]
    assert any(line.startswith("DF") and "-" in line for line in lines(found))
