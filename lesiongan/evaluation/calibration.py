"""Calibration: the reliability curve and its error; and, from validation images, the temperature that corrects
probabilities and the threshold for a wanted specificity."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

_TINY = 1e-30
BINS = 15


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> dict[str, np.ndarray]:
    """The reliability curve: images by the probability of the predicted class, in bins of equal width.

    Bins are open below and closed above (Guo et al. 2017, arXiv 1706.04599, section 2).

    Args:
        labels: int `[n]`.
        probabilities: float `[n, k]`.
        bins: how many.

    Returns:
        `images` (how many fall into each bin), `confidence` (their mean probability) and `accuracy` (their share of
        correct predictions), each `[bins]`; the means are nan in an empty bin.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    images = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(which, weights=values, minlength=bins) / images for values in (confidence, right)]
    return {"images": images, "confidence": means[0], "accuracy": means[1]}


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Mean gap of confidence and accuracy over the images of the reliability curve's bins (Guo et al. 2017, eq. 3)."""
    curve = reliability(labels, probabilities, bins)
    gaps = np.abs(curve["accuracy"] - curve["confidence"])
    return float(np.nansum(gaps * curve["images"]) / len(labels))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature T at which softmax(log p / T) is likeliest (Guo et al. 2017, arXiv 1706.04599, section 4.2).

    Above 1 the classifier was overconfident. The logits are not needed: they differ from log p by a constant, which
    softmax cancels.

    Args:
        labels: int `[n]`, of validation images.
        probabilities: float `[n, k]`.

    Raises:
        ValueError: no images, or numbers that are not probabilities.
    """
    logs = _logs(probabilities)
    labels = np.asarray(labels)
    if not len(labels):
        raise ValueError("a temperature needs at least one labelled image")

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-6}).x))


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities `[n, k]` at another temperature; the predicted class stays the same."""
    scaled = _logs(probabilities) / temperature
    return np.exp(scaled - logsumexp(scaled, axis=1, keepdims=True))


def threshold_for_specificity(positive: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """The lowest threshold t at which calling `score >= t` positive has at least this specificity.

    Args:
        positive: bool `[n]`, of validation images.
        scores: float `[n]`.
        specificity: in [0, 1].

    Returns:
        A score, or infinity where only calling nothing positive reaches the specificity.

    Raises:
        ValueError: there is no negative image, or the specificity is out of range.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    negatives = np.sort(scores[~positive])
    if not len(negatives) or not 0.0 <= specificity <= 1.0:
        raise ValueError(f"a specificity of {specificity} needs negative images and lies in [0, 1]")
    needed = int(np.ceil(specificity * len(negatives) - 1e-9))  # negatives that must be below the threshold
    if needed == 0:
        return float(scores.min())
    above = scores[scores > negatives[needed - 1]]
    return float(above.min()) if len(above) else float("inf")


def _logs(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError("probabilities must be finite, not negative, and of shape [n, classes]")
    return np.log(np.maximum(probabilities, _TINY))
