"""How far a CycleGAN moves an image: the distance from nevus to melanoma at each alpha (of Figure 8 the paper says that
it shrinks as alpha grows)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from lesiongan.evaluation.classification import number

DISTANCES = ("pixels", "features")


def distances(
    before: np.ndarray, after: np.ndarray, before_features: np.ndarray, after_features: np.ndarray, scale: np.ndarray
) -> dict[str, np.ndarray]:
    """How far each image was moved.

    Args:
        before, after: uint8 `[n, h, w, 3]`, row by row the image and its translation.
        before_features, after_features: float `[n, d]`.
        scale: `[d]`, the features' standard deviations over real images; a feature that is constant there is left out.

    Returns:
        `pixels`: the root of the mean squared difference, in shares of the whole range (0 to 1); `features`: the same
        of the standardised features (two unrelated real images are about sqrt(2) apart). `[n]` each.
    """
    pixels, varies = pixel_distances(before, after), scale > 0
    moved = (np.asarray(after_features, np.float64) - before_features)[:, varies] / scale[varies]
    return {"pixels": pixels, "features": np.sqrt((moved**2).mean(1)) if varies.any() else np.full(len(moved), np.nan)}


def pixel_distances(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """`pixels` of `distances`: `[n]` of two uint8 `[n, h, w, 3]`."""
    values = np.empty(len(before))
    for i, (x, y) in enumerate(zip(before, after, strict=True)):
        values[i] = np.sqrt(np.mean((x.astype(np.float32) / 255 - y.astype(np.float32) / 255) ** 2))
    return values


def by_alpha(
    moved: Mapping[float, Mapping[str, Mapping[str, float]]], lesions: Mapping[str, str], confidence: float = 0.95
) -> dict:
    """The mean distance at each alpha, and its paired change from the smallest alpha to the largest.

    Args:
        moved: alpha -> id of the source image -> distance of `DISTANCES` -> its value.
        lesions: source id -> lesion id; of several images of a lesion only the first one counts, since they are not
            independent.
        confidence: of the intervals, Student's t over the source images.

    Returns:
        `images` (source images that every alpha has), `rows` (each `alpha`, and for each distance {"value", "low",
        "high"}), and `change`: for each distance {"from", "to" (alphas), "value", "low", "high", "p"}, None with one
        alpha or fewer than two images.
    """
    alphas = sorted(moved)
    common = [i for i in moved[alphas[0]] if all(i in moved[a] for a in alphas)]
    seen: dict[str, str] = {}
    for image in sorted(common):
        seen.setdefault(lesions.get(image) or f" {image}", image)  # no lesion id begins with a space
    images = sorted(seen.values())
    values = {d: np.array([[moved[a][i][d] for i in images] for a in alphas]) for d in DISTANCES}
    rows = [
        {"alpha": alpha, **{d: _mean(values[d][k], confidence) for d in DISTANCES}} for k, alpha in enumerate(alphas)
    ]
    change: dict[str, Any] | None = None
    if len(alphas) > 1 and len(images) > 1:
        change = {d: _change(values[d][-1] - values[d][0], confidence) for d in DISTANCES}
        change |= {"from": alphas[0], "to": alphas[-1]}
    return {"images": len(images), "rows": rows, "change": change, "confidence": confidence}


def sentence(summary: Mapping, distance: str = "features") -> str:
    """Whether the distance shrinks as alpha grows, in words."""
    if not summary["change"] or summary["change"][distance]["value"] is None:
        return "Whether the distance changes with alpha cannot be said: there is one alpha, or too few images."
    c = summary["change"][distance]
    words = "shrinks" if c["high"] < 0 else "grows" if c["low"] > 0 else "does not change beyond chance"
    return (
        f"From alpha {summary['change']['from']:g} to {summary['change']['to']:g} the distance {words}: "
        f"{c['value']:+.3f} ({100 * summary['confidence']:g} % interval {c['low']:+.3f} to {c['high']:+.3f}, "
        f"{summary['images']:,} images, paired). The paper says that it shrinks as alpha grows."
    )


def _mean(values: np.ndarray, confidence: float) -> dict:
    low = high = np.nan
    if len(values) > 1:
        low, high = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    value = values.mean() if len(values) else np.nan
    return {"value": number(value), "low": number(low), "high": number(high)}


def _change(values: np.ndarray, confidence: float) -> dict:
    return _mean(values, confidence) | {"p": number(stats.ttest_1samp(values, 0).pvalue)}
