"""How near generated images are to real ones, in the feature space of a network.

Every metric compares two sets of feature vectors, `real [n, d]` and `made [m, d]`:

- KID (Binkowski et al. 2018, "Demystifying MMD GANs", section 4): the squared maximum mean discrepancy with the kernel
  k(x, y) = (x . y / d + 1)^3, without bias: 0 on average for two samples of one distribution, and so now and then
  below 0.
- FID (Heusel et al. 2017, "GANs trained by a two time-scale update rule", section 3): the Frechet distance of the
  Gaussians with the sets' means and covariances; 0 and up.
- Precision and recall (Kynkaanniemi et al. 2019, "Improved precision and recall metric", section 2): the share of made
  images within a real image's ball, and of real images within a made image's ball; a ball reaches to the k-th nearest
  other image of its own set; 0 to 1.
- Density and coverage (Naeem et al. 2020, "Reliable fidelity and diversity metrics", section 3): in how many real balls
  a made image lies, over k (0 and up, 1 on average for one distribution), and the share of real balls that hold a made
  image (0 to 1).

**What depends on the number of images.** All but KID do. FID above all: it is biased upwards, at d near n by more than
most generators differ (Binkowski et al. 2018, section 3.2). Numbers therefore stand beside a floor, real images against
other real images, and beside the metric recomputed with as many images as the floor has; only those two compare.

**Intervals** are about the metric's mean over draws of both sets at these numbers of images. Drawing with replacement,
the plain bootstrap, is wrong here: a copy is its own nearest neighbour, shrinks the balls, makes precision and recall
fall, and adds the kernel's diagonal to KID. Instead random halves of both sets are drawn without replacement (the
delete-d jackknife with d = n / 2: Shao and Wu 1989, "A general theory for jackknife variance estimation"; Politis and
Romano 1994, "Large sample confidence regions based on subsamples"). A half of a finite set varies about the whole by
(1 - 1/2) s^2 / (n/2) = s^2 / n, so the spread over halves is the standard error, with no factor. It holds for metrics
whose variance falls as 1/n; KID's falls as 1/n^2 when both sets have one distribution, which `_kid_with_error` allows
for. The interval is value -+ z standard errors, for shares Wilson's with the effective number of images that
has this standard error, which also gives a width to shares of 0 and 1. For FID, where a half has another bias and 200
decompositions would take minutes, the standard error is that of the distance's linear part (the infinitesimal
jackknife; central limit theorem and derivative: Rippl, Munk and Sturm 2016, "Limit laws of the empirical Wasserstein
distance: Gaussian distributions"). Images of one lesion count as independent: with several a lesion, keep one.

In simulations of 200 repetitions 95 % intervals cover between 90 and 99 %, save density's in many dimensions, where a
few balls hold most images: 91 % at width 64 and 500 images, 86 % at 100. FID's are too wide, by up to 1.4, when n is
below d or the distributions are near.

Cost: 2,500 x 2,500 images of width 2,048 with 200 halves and floor: 15 s on two cores, 0.7 GB (distances: 4 n m bytes).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

METRICS = ("kid", "fid", "precision", "recall", "density", "coverage")
_ROWS = 1024  # rows of a pairwise matrix that are held at a time


def kernel_inception_distance(x: np.ndarray, y: np.ndarray) -> float:
    """KID, the unbiased MMD^2 between two sets of features `[n, d]` and `[m, d]`.

    Raises:
        ValueError: fewer than two rows in a set, different widths, or a value that is not finite.
    """
    x, y = _checked(x, y, 2)
    return float(_kid(x, y, *_halves(len(x), len(y), 0, 0))[0])


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """FID of two sets of features `[n, d]` and `[m, d]`; rows may be fewer than columns. Raises as KID does."""
    return _frechet(*_checked(x, y, 2))[0]


def precision_recall(real: np.ndarray, made: np.ndarray, k: int = 5) -> dict[str, float]:
    """`precision`, `recall`, `density` and `coverage` of `[n, d]` and `[m, d]`, with balls to the k-th neighbour.

    Raises:
        ValueError: k or fewer rows in a set, and as KID.
    """
    real, made = _checked(real, made, k + 1)
    values = _neighbourhoods(real, made, *_halves(len(real), len(made), 0, 0), k)
    return {name: float(v[0]) for name, v in values.items()}


def image_quality(
    real: np.ndarray,
    made: np.ndarray,
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
        made: features `[m, d]` of generated images.
        floor: features `[f, d]` of other real images, for the floor; without them `real` is split into random halves.
        seed: of the halves, for floor and intervals.
        resamples: how many halves the standard errors are taken from, at least 20.
        confidence: of the intervals, between 0 and 1.
        k: the neighbour that a ball reaches to.
        normalise: divide by the root mean square of all features of `real` first: a network's scale means nothing, and
            the cubic kernel tells large features from small ones. One scale for all, so that a feature which real
            images hardly wake does not outweigh the others. The numbers are then not the papers', and compare only for
            one network and one reference set.

    Returns:
        A group `{"value", "low", "high"}` for each of `METRICS`; `floor`, the same groups for real against real images,
        with their numbers in `images` and where they came from in `source`; `matched`, the same groups for real
        against made images in the numbers of the floor, with the very real images of its reference side; and `images`
        ({"real", "made"}), `features` (d), `k`, `normalised`, `resamples`, `confidence`.

    Raises:
        ValueError: sets that are not two-dimensional, finite and of one width, with at least 2 (k + 1) rows each (twice
            that for `real` without `floor`), or an option out of range.
    """
    if k < 1 or resamples < 20 or not 0 < confidence < 1:
        got = f"k={k}, resamples={resamples}, confidence={confidence}"
        raise ValueError(f"k must be 1 or more, resamples 20 or more, confidence between 0 and 1; got {got}")
    least = 2 * (k + 1)
    real, made = _checked(real, made, least)
    other = None if floor is None else _checked(real, floor, least, ("real", "floor"))[1]
    if other is None and len(real) < 2 * least:
        raise ValueError(f"real: {len(real)} images, but a floor from its halves needs {2 * least}; give `floor`")
    if normalise:
        scale = feature_scale(real)
        real, made, other = real / scale, made / scale, None if other is None else other / scale

    def judged(x: np.ndarray, y: np.ndarray) -> dict:
        return _judged(x, y, seed, resamples, _quantile(confidence), k)

    rng = np.random.default_rng([seed, 1])
    reference, source = real, "another real set"
    if other is None:
        order, source = rng.permutation(len(real)), "halves of the real set"
        reference, other = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    size = min(len(other), len(made))
    other = other[rng.permutation(len(other))[:size]]
    matched = quality = judged(real, made)
    if (len(reference), size) != (len(real), len(made)):
        matched = judged(reference, made[rng.permutation(len(made))[:size]])
    return {
        "images": {"real": len(real), "made": len(made)},
        "features": real.shape[1],
        **quality,
        "floor": {"images": {"real": len(reference), "other": size}, "source": source, **judged(reference, other)},
        "matched": {"images": {"real": len(reference), "made": size}, **matched},
        "k": k,
        "normalised": normalise,
        "resamples": resamples,
        "confidence": confidence,
    }


def by_class(
    real: np.ndarray,
    real_labels: np.ndarray,
    made: np.ndarray,
    made_labels: np.ndarray,
    classes: Sequence[str],
    minimum: int = 200,
    *,
    floor: np.ndarray | None = None,
    floor_labels: np.ndarray | None = None,
    k: int = 5,
    normalise: bool = False,
    **options,
) -> dict[str, dict]:
    """`image_quality` within each class that has at least `minimum` real images and enough made ones to judge.

    Args:
        real, made, floor: as in `image_quality`; a class with too few floor images takes the halves of its real ones.
        real_labels, made_labels, floor_labels: `[n]`, `[m]`, `[f]`, indices into `classes`.
        classes: the classes' names.
        minimum: real images that a class needs; below some hundred the intervals say little.
        k, normalise, options: as in `image_quality`; the scale is that of all classes of `real`, so that they compare.

    Returns:
        Class name -> what `image_quality` returns, in the order of `classes`; classes with too few images are absent.

    Raises:
        ValueError: labels that do not match their features, and as `image_quality`.
    """
    least = 2 * (k + 1)
    real, made = _checked(real, made, 1)
    sets = {"real": (real, real_labels), "made": (made, made_labels)}
    if floor is not None:
        sets["floor"] = (_checked(real, floor, 1, ("real", "floor"))[1], floor_labels)
    for name, (rows, labels) in sets.items():
        if np.shape(labels) != (len(rows),):
            raise ValueError(f"{name}: {len(rows)} rows of features but labels of shape {np.shape(labels)}")
    scale = feature_scale(real) if normalise else 1.0
    result = {}
    for label, name in enumerate(classes):
        part = {which: rows[np.asarray(labels) == label] / scale for which, (rows, labels) in sets.items()}
        other = part["floor"] if len(part.get("floor", ())) >= least else None
        enough = max(minimum, least if other is not None else 2 * least)
        if len(part["real"]) >= enough and len(part["made"]) >= least:
            quality = image_quality(part["real"], part["made"], floor=other, k=k, **options)
            result[name] = quality | {"normalised": normalise}
    return result


def _judged(x: np.ndarray, y: np.ndarray, seed: int, resamples: int, z: float, k: int) -> dict[str, dict]:
    """Real `[n, d]` against made `[m, d]`: metric -> value, low, high."""
    keep = _halves(len(x), len(y), resamples, seed)
    estimates = {"kid": _kid_with_error(x, y, *keep), "fid": _frechet(x, y)}
    estimates |= {name: (float(v[0]), float(v[1:].std())) for name, v in _neighbourhoods(x, y, *keep, k).items()}
    counts = {"precision": len(y), "recall": len(x), "coverage": len(x)}
    return {
        name: _share(*estimates[name], counts[name], z)
        if name in counts
        else _interval(*estimates[name], z, lowest=-np.inf if name == "kid" else 0.0)
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


def _halves(n: int, m: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which images are kept, boolean `[1 + resamples, n]` and `[1 + resamples, m]`: all in the first row, then random
    halves, drawn without replacement."""
    rng = np.random.default_rng([seed, 0])
    keep = np.ones((1 + resamples, n), dtype=bool), np.ones((1 + resamples, m), dtype=bool)
    for rows in keep:
        size = rows.shape[1]
        rows[1:] = rng.permuted(np.tile(np.arange(size) < size // 2, (resamples, 1)), axis=1)
    return keep


def _kid_with_error(x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray) -> tuple[float, float]:
    """KID and its standard error, from halves (all rows but the first of `keep`) and their complements.

    A half's deviation from the whole is the sum of a part linear in the images and one of pairs of images. Where the
    half is left for its complement the first changes sign and the second stays, so that both are seen apart. The linear
    part's variance holds that of the pairs twice over, by estimation from the same images (Hoeffding's decomposition;
    Efron and Stein 1981, "The jackknife estimate of variance"): once more than the sum of both should have.
    """
    halves = len(keep_x) - 1
    keep_x, keep_y = (np.concatenate([keep, ~keep[1:]]) for keep in (keep_x, keep_y))
    values = _kid(x, y, keep_x, keep_y)
    first, second = values[1 : halves + 1], values[halves + 1 :]
    linear, pairs = np.var((first - second) / 2), np.var((first + second) / 2)
    return float(values[0]), float(np.sqrt(max(linear - pairs, pairs)))


def _kid(x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray) -> np.ndarray:
    """KID `[r]` of the kept rows: `keep_x [r, n]`, `keep_y [r, m]`. Every kernel value is computed once."""
    n, m = keep_x.sum(1).astype(np.float64), keep_y.sum(1).astype(np.float64)
    within_x = _kernel_sums(x, x, keep_x, keep_x) / (n * (n - 1))
    within_y = _kernel_sums(y, y, keep_y, keep_y) / (m * (m - 1))
    return within_x + within_y - 2.0 * _kernel_sums(x, y, keep_x, keep_y) / (n * m)


def _kernel_sums(x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray) -> np.ndarray:
    """The kernel's sum over the kept pairs, `[r]`; without the diagonal where `x is y`."""
    total = np.zeros(len(keep_x))
    kept = keep_y.T.astype(np.float64)
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        kernel = x[rows] @ y.T
        kernel /= x.shape[1]
        kernel += 1.0
        kernel *= kernel * kernel
        if x is y:
            kernel[np.arange(len(kernel)), start + np.arange(len(kernel))] = 0.0
        total += np.einsum("ri,ir->r", keep_x[:, rows].astype(np.float64), kernel @ kept)
    return total


def _frechet(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """FID and its standard error.

    The trace of (S_x^1/2 S_y S_x^1/2)^1/2 is the sum of the roots of that product's eigenvalues: the singular values of
    A B^T for any A^T A = S_x, B^T B = S_y. The scaled data and their triangular factors are such A and B, so that no
    root of a singular covariance is taken. The distance's derivative along the covariance c c^T of one image is
    |c|^2 - c^T T c, with T the optimal transport map between the Gaussians.
    """
    difference, centred = x.mean(0) - y.mean(0), (x - x.mean(0), y - y.mean(0))
    a, b = (c / np.sqrt(len(c) - 1) for c in centred)
    a, b = (np.linalg.qr(f, mode="r") if f.shape[0] > f.shape[1] else f for f in (a, b))
    left, roots, right = np.linalg.svd(a @ b.T, full_matrices=False)
    value = difference @ difference + np.sum(a * a) + np.sum(b * b) - 2.0 * roots.sum()
    used, variance = roots > 1e-10 * max(roots[0], np.finfo(float).tiny), 0.0
    for c, vectors, factor, sign in ((centred[0], right.T, b, 1.0), (centred[1], left, a, -1.0)):
        carried = c @ (factor.T @ vectors[:, used])
        influence = np.sum(c * c, 1) - np.sum(carried**2 / roots[used], 1) + 2.0 * sign * (c @ difference)
        variance += influence.var(ddof=1) / len(c)
    return max(0.0, float(value)), float(np.sqrt(variance))


def _neighbourhoods(
    real: np.ndarray, made: np.ndarray, keep_real: np.ndarray, keep_made: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """Precision, recall, density and coverage, each `[r]`, of the kept rows (`[r, n]`, `[r, m]`)."""
    nearest_real, nearest_made = _nearest(real, k), _nearest(made, k)
    across = np.empty((len(real), len(made)), dtype=np.float32)
    for start in range(0, len(real), _ROWS):
        across[start : start + _ROWS] = _squared_distances(real[start : start + _ROWS], made)
    rows = []
    for kept_real, kept_made in zip(keep_real, keep_made, strict=True):
        i, j = np.flatnonzero(kept_real), np.flatnonzero(kept_made)
        radius_real, radius_made = _radii(nearest_real, kept_real, k)[i], _radii(nearest_made, kept_made, k)[j]
        inside, recalled, covered, pairs = np.zeros(len(j), dtype=bool), 0, 0, 0
        for start in range(0, len(i), _ROWS):
            part = slice(start, start + _ROWS)
            distance = across[i[part]].take(j, axis=1)
            in_real = distance <= radius_real[part, None]
            inside |= in_real.any(0)
            covered += np.count_nonzero(in_real.any(1))
            pairs += np.count_nonzero(in_real)
            recalled += np.count_nonzero((distance <= radius_made).any(1))
        rows.append((inside.mean(), recalled / len(i), pairs / (k * len(j)), covered / len(i)))
    return dict(zip(("precision", "recall", "density", "coverage"), np.array(rows).T, strict=True))


def _nearest(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row's nearest other rows, nearest first: indices `[n, l]` and squared distances `[n, l]`.

    l = 4 k + 44: that fewer than k of them stay in a random half has a chance below 1e-13.
    """
    length = min(len(x) - 1, 4 * k + 44)
    index = np.empty((len(x), length), dtype=np.int64)
    distance = np.empty((len(x), length), dtype=np.float32)
    for start in range(0, len(x), _ROWS):
        block = _squared_distances(x[start : start + _ROWS], x)
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf  # an image is not its own neighbour, a copy of it is
        found = np.argpartition(block, length - 1, axis=1)[:, :length]
        near = np.take_along_axis(block, found, axis=1)
        order = np.argsort(near, axis=1)
        index[start : start + _ROWS] = np.take_along_axis(found, order, axis=1)
        distance[start : start + _ROWS] = np.take_along_axis(near, order, axis=1)
    return index, distance


def _radii(nearest: tuple[np.ndarray, np.ndarray], keep: np.ndarray, k: int) -> np.ndarray:
    """The squared distance `[n]` from each row to its k-th nearest kept other row."""
    index, distance = nearest
    count = np.cumsum(keep[index], axis=1, dtype=np.int32)
    place = np.argmax(count == k, axis=1)
    place[count[:, -1] < k] = -1
    return distance[np.arange(len(distance)), place]


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`[n, m]`, float32, from float64 products: copies are at 0, and equal distances stay equal after rounding."""
    square = np.sum(x * x, 1)[:, None] + np.sum(y * y, 1)
    result = square - 2.0 * (x @ y.T)
    result[result < 1e-12 * square] = 0.0
    return result.astype(np.float32)


def feature_scale(features: np.ndarray) -> float:
    """The root mean square of all finite features of `[n, d]`; 1 where all are 0 or there are none."""
    squares = np.square(features[np.isfinite(features)], dtype=np.float64)
    return (float(np.sqrt(squares.mean())) or 1.0) if len(squares) else 1.0


def _checked(x: np.ndarray, y: np.ndarray, least: int, names=("real", "made")) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64, or a ValueError that says what is wrong with which."""
    both: list[np.ndarray] = []
    for name, values in zip(names, (x, y), strict=True):
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2:
            raise ValueError(f"{name}: features must be [images, width], got shape {values.shape}")
        if len(values) < least or not values.shape[1]:
            raise ValueError(f"{name}: at least {least} images of at least one feature are needed, got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: {int((~np.isfinite(values)).any(1).sum())} rows hold NaN or infinity")
        both.append(values)
    if both[0].shape[1] != both[1].shape[1]:
        raise ValueError(f"{names[0]} and {names[1]} differ in width: {both[0].shape[1]} and {both[1].shape[1]}")
    return both[0], both[1]
