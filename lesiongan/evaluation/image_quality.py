"""How near generated images are to real ones, in the feature space of a network.

Every metric compares two sets of feature vectors, `real [n, d]` and `generated [m, d]`:

- KID (Binkowski et al. 2018, "Demystifying MMD GANs", section 4): the squared maximum mean discrepancy with the kernel
  k(x, y) = (x . y / d + 1)^3, without bias: 0 on average for two samples of one distribution, and so now and then
  below 0.
- MMD: the same discrepancy with a bounded kernel, the mean of rational quadratic ones with alpha of 0.2 to 5 (Binkowski
  et al. 2018, section 3.1), whose scale is the median squared distance of real images; -1 to 2. A few images with large
  features, of which a classifier has some, move it little, while they can drive KID's cubic kernel to thousands.
- FID (Heusel et al. 2017, "GANs trained by a two time-scale update rule", section 3): the Frechet distance of the
  Gaussians with the sets' means and covariances; 0 and up.
- Precision and recall (Kynkaanniemi et al. 2019, "Improved precision and recall metric", section 2): the share of
  generated images within a real image's ball, and of real images within a generated image's ball; a ball reaches to the
  k-th nearest other image of its own set; 0 to 1.
- Density and coverage (Naeem et al. 2020, "Reliable fidelity and diversity metrics", section 3): in how many real balls
  a generated image lies, over k (0 and up, 1 on average for one distribution), and the share of real balls that hold a
  generated image (0 to 1).

**What depends on the number of images.** All but KID and MMD do. FID above all: it is biased upwards, at d near n by
more than most generators differ (Binkowski et al. 2018, section 3.2). Numbers therefore stand beside a floor, real
images against other real images, and beside the metric recomputed with as many images as the floor has; only those two
are comparable.

**Intervals** are about the metric's mean over draws of both sets at these numbers of images. Drawing with replacement,
the plain bootstrap, is wrong here: a copy is its own nearest neighbour, shrinks the balls, makes precision and recall
fall, and adds the kernel's diagonal to KID. Instead random halves of both sets are drawn without replacement (the
delete-d jackknife with d = n / 2: Shao and Wu 1989, "A general theory for jackknife variance estimation"; Politis and
Romano 1994, "Large sample confidence regions based on subsamples"). A half of a finite set varies about the whole by
(1 - 1/2) s^2 / (n/2) = s^2 / n, so the spread over halves is the standard error, with no factor. It holds for metrics
whose variance falls as 1/n; KID's and MMD's fall as 1/n^2 when both sets have one distribution, which
`discrepancy_with_error` allows for. The interval is value -+ z standard errors, for shares Wilson's with the effective
number of images that has this standard error, which also gives a width to shares of 0 and 1. For FID, where a half has
another bias and 200 decompositions would take minutes, the standard error is that of the distance's linear part (the
infinitesimal jackknife; central limit theorem and derivative: Rippl, Munk and Sturm 2016, "Limit laws of the empirical
Wasserstein distance: Gaussian distributions"). Images of one lesion count as independent: with several per lesion, keep
one.

In simulations of 200 repetitions 95 % intervals cover between 90 and 99 %, save density's in many dimensions, where a
few balls hold most images: 91 % at width 64 and 500 images, 86 % at 100. FID's are too wide, by up to 1.4, when n is
below d or the distributions are near.

Cost: 2,500 x 2,500 images of width 2,048 with 200 halves and floor: 15 s on two cores, 0.7 GB (distances: 4 n m bytes).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from lesiongan.evaluation.feature_metrics import (
    Kernel,
    checked,
    cubic,
    discrepancy_with_error,
    feature_scale,
    frechet_with_error,
    halves_kept,
    neighbourhoods,
    rational_quadratic,
)

METRICS = ("kid", "mmd", "fid", "precision", "recall", "density", "coverage")


def image_quality(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    floor: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 200,
    confidence: float = 0.95,
    k: int = 5,
    normalise: bool = False,
) -> dict:
    """All metrics with intervals, beside the floor that real images reach; JSON-ready.

    Args:
        real: features `[n, d]` of real images, the reference.
        generated: features `[m, d]` of generated images.
        floor: features `[f, d]` of other real images, for the floor; without them `real` is split into random halves.
        seed: of the halves, for floor and intervals.
        resamples: how many halves the standard errors are taken from, at least 20.
        confidence: of the intervals, between 0 and 1.
        k: the neighbour that a ball reaches to.
        normalise: divide by the root mean square of all features of `real` first: a network's scale is arbitrary, and
            the cubic kernel depends on it. One scale for all, so that a feature which real images hardly activate does
            not outweigh the others. The numbers are then not those of the publications, and comparable only for one
            network and one reference set.

    Returns:
        A group `{"value", "low", "high"}` for each of `METRICS`; `floor`, the same groups for real against real images,
        with their numbers in `images` and where they came from in `source`; `matched`, the same groups for real
        against generated images in the floor's numbers, with the same real images as its reference side; and `images`
        ({"real", "made"}), `features` (d), `k`, `normalised`, `resamples`, `confidence`.

    Raises:
        ValueError: sets that are not two-dimensional, finite and of one width, with at least 2 (k + 1) rows each (twice
            that for `real` without `floor`), or an option out of range.
    """
    if k < 1 or resamples < 20 or not 0 < confidence < 1:
        got = f"k={k}, resamples={resamples}, confidence={confidence}"
        raise ValueError(f"k must be 1 or more, resamples 20 or more, confidence between 0 and 1; got {got}")
    least = 2 * (k + 1)
    real, generated = checked(real, generated, least)
    others = None if floor is None else checked(real, floor, least, ("real", "floor"))[1]
    if others is None and len(real) < 2 * least:
        raise ValueError(f"real: {len(real)} images, but a floor from its halves needs {2 * least}; give `floor`")
    if normalise:
        scale = feature_scale(real)
        real, generated, others = real / scale, generated / scale, None if others is None else others / scale

    bounded = rational_quadratic(real)  # one scale, whatever is compared

    def compared(x: np.ndarray, y: np.ndarray) -> dict:
        return _compared(x, y, bounded, seed, resamples, _quantile(confidence), k)

    rng = np.random.default_rng([seed, 1])
    reference, floor_source = real, "another real set"
    if others is None:
        order, floor_source = rng.permutation(len(real)), "halves of the real set"
        reference, others = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    size = min(len(others), len(generated))
    others = others[rng.permutation(len(others))[:size]]
    matched = quality = compared(real, generated)
    if (len(reference), size) != (len(real), len(generated)):
        matched = compared(reference, generated[rng.permutation(len(generated))[:size]])
    return {
        "images": {"real": len(real), "made": len(generated)},
        "features": real.shape[1],
        **quality,
        "floor": {
            "images": {"real": len(reference), "other": size},
            "source": floor_source,
            **compared(reference, others),
        },
        "matched": {"images": {"real": len(reference), "made": size}, **matched},
        "k": k,
        "normalised": normalise,
        "resamples": resamples,
        "confidence": confidence,
    }


def _compared(
    x: np.ndarray, y: np.ndarray, bounded: Kernel, seed: int, resamples: int, z: float, k: int
) -> dict[str, dict]:
    """Real `[n, d]` against generated `[m, d]`: metric -> value, low, high."""
    keep = halves_kept(len(x), len(y), resamples, seed)
    estimates = {"kid": discrepancy_with_error(x, y, *keep, cubic), "mmd": discrepancy_with_error(x, y, *keep, bounded)}
    estimates["fid"] = frechet_with_error(x, y)
    estimates |= {name: (float(v[0]), float(v[1:].std())) for name, v in neighbourhoods(x, y, *keep, k).items()}
    counts = {"precision": len(y), "recall": len(x), "coverage": len(x)}
    return {
        name: _share(*estimates[name], counts[name], z)
        if name in counts
        else _interval(*estimates[name], z, lowest=-np.inf if name in ("kid", "mmd") else 0.0)
        for name in METRICS
    }


def _interval(value: float, error: float, z: float, lowest: float) -> dict[str, float]:
    return {"value": float(value), "low": float(max(lowest, value - z * error)), "high": float(value + z * error)}


def _share(p: float, error: float, count: int, z: float) -> dict[str, float]:
    """Wilson's interval of a share `p`, for as many independent images as would give it this standard error."""
    n = p * (1 - p) / error**2 if error > 0 and 0 < p < 1 else count
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return {"value": p, "low": float(max(0.0, min(low, p))), "high": float(min(1.0, max(high, p)))}


def _quantile(confidence: float) -> float:
    return float(special.ndtri(0.5 + confidence / 2))
