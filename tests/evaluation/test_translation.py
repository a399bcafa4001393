"""The distance from nevus to melanoma, by hand and with scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from lesiongan.evaluation.translation import by_alpha, distances, sentence


def test_distances_by_hand():
    before = np.zeros((2, 4, 4, 3), np.uint8)
    after = before.copy()
    after[1, :2] = 255  # half of the picture by the whole range
    features = np.array([[0.0, 0, 7], [0, 0, 7]])
    moved = np.array([[0.0, 0, 7], [3, 8, 9]])
    found = distances(before, after, features, moved, scale=np.array([3.0, 2, 0]))  # the third is constant
    assert found["pixels"] == pytest.approx([0, np.sqrt(0.5)])
    assert found["features"] == pytest.approx([0, np.sqrt((1 + 16) / 2)])


def test_intervals_are_students_and_the_change_is_paired():
    rng = np.random.default_rng(0)
    level = rng.normal(1, 0.3, 40)
    values = {a: level - 0.2 * a + rng.normal(0, 0.02, 40) for a in (1.0, 0.125)}
    moved = {a: {f"n{i}": {"pixels": v, "features": 2 * v} for i, v in enumerate(vs)} for a, vs in values.items()}
    moved[1.0]["only here"] = {"pixels": 9.0, "features": 9.0}
    found = by_alpha(moved, {})
    assert found["images"] == 40
    assert [row["alpha"] for row in found["rows"]] == [0.125, 1.0]
    reference = stats.ttest_1samp(values[0.125], 0).confidence_interval(0.95)
    assert found["rows"][0]["pixels"]["low"] == pytest.approx(reference.low)
    paired = stats.ttest_rel(values[1.0], values[0.125])
    assert found["change"]["features"]["value"] == pytest.approx(2 * (values[1.0] - values[0.125]).mean())
    assert found["change"]["features"]["p"] == pytest.approx(paired.pvalue)
    assert found["change"]["features"]["high"] == pytest.approx(2 * paired.confidence_interval().high)
    assert "shrinks" in sentence(found)
    assert json.loads(json.dumps(found)) == found


def test_of_several_images_of_a_lesion_one_counts():
    moved = {a: {f"n{i}": {"pixels": float(i), "features": 1.0} for i in range(4)} for a in (0.5, 1.0)}
    found = by_alpha(moved, {"n0": "L", "n1": "L", "n2": "", "n3": ""})
    assert found["images"] == 3
    assert found["rows"][0]["pixels"]["value"] == pytest.approx((0 + 2 + 3) / 3)


def test_one_alpha_or_one_image_says_nothing_of_a_change():
    one = {"n0": {"pixels": 0.5, "features": 1.0}}
    assert by_alpha({0.5: one}, {})["change"] is None
    single = by_alpha({0.5: one, 1.0: one}, {})
    assert single["change"] is None
    assert single["rows"][0]["pixels"] == {"value": 0.5, "low": None, "high": None}
    assert "cannot be said" in sentence(single)
