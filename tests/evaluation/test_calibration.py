"""Temperature and thresholds against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from lesiongan.evaluation.calibration import fit_temperature, threshold_for_specificity, with_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_applied_is_found(temperature):
    """Labels drawn from p; a classifier that says p^T, normalised, is to be put right by T."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 40_000)
    labels = (p.cumsum(1) > rng.random((len(p), 1))).argmax(1)
    said = p**temperature / (p**temperature).sum(1, keepdims=True)
    found = fit_temperature(labels, said)
    assert found == pytest.approx(temperature, rel=0.03)
    right = with_temperature(said, temperature)
    np.testing.assert_allclose(right, p, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(right.argmax(1), said.argmax(1))


def test_the_threshold_leaves_the_wanted_share_of_negatives():
    rng = np.random.default_rng(1)
    positive = rng.random(500) < 0.3
    scores = np.round(rng.random(500) + 0.3 * positive, 2)  # with ties
    for wanted in (0.0, 0.5, 0.8, 0.95, 0.999, 1.0):
        threshold = threshold_for_specificity(positive, scores, wanted)
        assert (scores[~positive] < threshold).mean() >= wanted
        lower = scores[scores < threshold]
        if len(lower):  # the next score below would not do
            assert (scores[~positive] < lower.max()).mean() < wanted
    assert threshold_for_specificity(np.array([True, False]), np.array([0.1, 0.9]), 1.0) == np.inf


def test_what_cannot_be_calibrated():
    with pytest.raises(ValueError, match="at least one"):
        fit_temperature(np.zeros(0, int), np.zeros((0, 3)))
    with pytest.raises(ValueError, match="finite"):
        with_temperature(np.array([[np.nan, 1.0]]), 1.0)
    with pytest.raises(ValueError, match="negative images"):
        threshold_for_specificity(np.ones(3, bool), np.ones(3), 0.9)
