"""KID, MMD, FID, precision, recall, density and coverage of two sets of feature vectors; `image_quality` says what they
are, and puts intervals and a floor beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

_ROWS_AT_A_TIME = 1024  # rows of a pairwise matrix that are held
_TAILS = (0.2, 0.5, 1.0, 2.0, 5.0)  # alpha of the rational quadratic kernels
_FOR_BANDWIDTH = 1000  # rows of which the median distance is taken

#: Two sets `[n, d]` and `[m, d]` -> the kernel's values `[n, m]`.
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]


def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """KID's kernel, (x . y / d + 1)^3."""
    kernel = x @ y.T
    kernel /= x.shape[1]
    kernel += 1.0
    kernel *= kernel * kernel
    return kernel


def rational_quadratic(reference: np.ndarray) -> Kernel:
    """MMD's kernel, the mean over `_TAILS` of (1 + |x - y|^2 / (2 alpha s))^-alpha: 1 for equal rows, towards 0 for far
    ones, so that no row outweighs others.

    Args:
        reference: rows `[n, d]`, n >= 2, whose median squared distance is s.
    """
    some = reference[np.linspace(0, len(reference) - 1, min(len(reference), _FOR_BANDWIDTH)).astype(int)]
    distances = _squared_distances(some, some)[np.triu_indices(len(some), 1)]
    bandwidth = float(np.median(distances)) or 1.0

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        squared = _squared_distances(x, y).astype(np.float64) / (2.0 * bandwidth)
        return np.mean([(1.0 + squared / alpha) ** -alpha for alpha in _TAILS], axis=0)

    return kernel


def kernel_inception_distance(x: np.ndarray, y: np.ndarray) -> float:
    """KID, the unbiased MMD^2 between two sets of features `[n, d]` and `[m, d]`.

    Raises:
        ValueError: fewer than two rows in a set, different widths, or a value that is not finite.
    """
    x, y = checked(x, y, 2)
    return float(_discrepancy(x, y, *halves_kept(len(x), len(y), 0, 0), cubic)[0])


def bounded_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """MMD, the unbiased MMD^2 between two sets of features with a bounded kernel whose scale is that of x (the real
    images). Raises as KID does."""
    x, y = checked(x, y, 2)
    return float(_discrepancy(x, y, *halves_kept(len(x), len(y), 0, 0), rational_quadratic(x))[0])


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """FID of two sets of features `[n, d]` and `[m, d]`; rows may be fewer than columns. Raises as KID does."""
    return frechet_with_error(*checked(x, y, 2))[0]


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 5) -> dict[str, float]:
    """`precision`, `recall`, `density` and `coverage` of `[n, d]` and `[m, d]`, with balls to the k-th neighbour.

    Raises:
        ValueError: k or fewer rows in a set, and as KID.
    """
    real, generated = checked(real, generated, k + 1)
    values = neighbourhoods(real, generated, *halves_kept(len(real), len(generated), 0, 0), k)
    return {name: float(v[0]) for name, v in values.items()}


def halves_kept(n: int, m: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which images are kept, boolean `[1 + resamples, n]` and `[1 + resamples, m]`: all in the first row, then random
    halves, drawn without replacement."""
    rng = np.random.default_rng([seed, 0])
    keep = np.ones((1 + resamples, n), dtype=bool), np.ones((1 + resamples, m), dtype=bool)
    for rows in keep:
        size = rows.shape[1]
        rows[1:] = rng.permuted(np.tile(np.arange(size) < size // 2, (resamples, 1)), axis=1)
    return keep


def discrepancy_with_error(
    x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray, kernel: Kernel
) -> tuple[float, float]:
    """KID or MMD and its standard error, from halves (all rows but the first of `keep`) and their complements.

    A half's deviation from the whole is the sum of a part linear in the images and one of pairs of images. For the
    complement of a half the first changes sign and the second stays, which separates the two. Estimated from the same
    images, the linear part's variance contains that of the pairs twice (Hoeffding's decomposition; Efron and Stein
    1981, "The jackknife estimate of variance"): once more than the sum of both should.
    """
    halves = len(keep_x) - 1
    keep_x, keep_y = (np.concatenate([keep, ~keep[1:]]) for keep in (keep_x, keep_y))
    values = _discrepancy(x, y, keep_x, keep_y, kernel)
    first, second = values[1 : halves + 1], values[halves + 1 :]
    linear, pairs = np.var((first - second) / 2), np.var((first + second) / 2)
    return float(values[0]), float(np.sqrt(max(linear - pairs, pairs)))


def _discrepancy(x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray, kernel: Kernel) -> np.ndarray:
    """The unbiased MMD^2 `[r]` of the kept rows: `keep_x [r, n]`, `keep_y [r, m]`. Every kernel value is computed
    once."""
    n, m = keep_x.sum(1).astype(np.float64), keep_y.sum(1).astype(np.float64)
    within_x = _kernel_sums(x, x, keep_x, keep_x, kernel, diagonal=False) / (n * (n - 1))
    within_y = _kernel_sums(y, y, keep_y, keep_y, kernel, diagonal=False) / (m * (m - 1))
    return within_x + within_y - 2.0 * _kernel_sums(x, y, keep_x, keep_y, kernel) / (n * m)


def _kernel_sums(
    x: np.ndarray, y: np.ndarray, keep_x: np.ndarray, keep_y: np.ndarray, kernel: Kernel, *, diagonal: bool = True
) -> np.ndarray:
    """The kernel's sum over the kept pairs, `[r]`; within a set without the `diagonal`, an image with itself. The
    caller says which it is: two sets may be the same array, and are two sets all the same."""
    total = np.zeros(len(keep_x))
    kept_y = keep_y.T.astype(np.float64)
    for start in range(0, len(x), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        values = kernel(x[rows], y)
        if not diagonal:
            values[np.arange(len(values)), start + np.arange(len(values))] = 0.0
        total += np.einsum("ri,ir->r", keep_x[:, rows].astype(np.float64), values @ kept_y)
    return total


def frechet_with_error(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """FID and its standard error.

    The trace of (S_x^1/2 S_y S_x^1/2)^1/2 is the sum of the roots of that product's eigenvalues: the singular values of
    A B^T for any A^T A = S_x, B^T B = S_y. The scaled data and their triangular factors are such A and B, so that no
    root of a singular covariance is taken. The distance's derivative along the covariance c c^T of one image is
    |c|^2 - c^T T c, with T the optimal transport map between the Gaussians.
    """
    difference, centred = x.mean(0) - y.mean(0), (x - x.mean(0), y - y.mean(0))
    a, b = (_factor(c / np.sqrt(len(c) - 1)) for c in centred)
    left, roots, right = np.linalg.svd(a @ b.T, full_matrices=False)
    value = difference @ difference + np.sum(a * a) + np.sum(b * b) - 2.0 * roots.sum()
    used, variance = roots > 1e-10 * max(roots[0], np.finfo(float).tiny), 0.0
    for c, vectors, factor, sign in ((centred[0], right.T, b, 1.0), (centred[1], left, a, -1.0)):
        carried = c @ (factor.T @ vectors[:, used])
        influence = np.sum(c * c, 1) - np.sum(carried**2 / roots[used], 1) + 2.0 * sign * (c @ difference)
        variance += influence.var(ddof=1) / len(c)
    return max(0.0, float(value)), float(np.sqrt(variance))


def _factor(rows: np.ndarray) -> np.ndarray:
    """An R with R^T R = rows^T rows: the triangular one where that is smaller, else the rows themselves."""
    if rows.shape[0] <= rows.shape[1]:
        return rows
    return cast(np.ndarray, np.linalg.qr(rows, mode="r"))  # NumPy's annotations forget that this mode gives R alone


def neighbourhoods(
    real: np.ndarray, generated: np.ndarray, keep_real: np.ndarray, keep_generated: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """Precision, recall, density and coverage, each `[r]`, of the kept rows (`[r, n]`, `[r, m]`)."""
    nearest_real, nearest_generated = _nearest(real, k), _nearest(generated, k)
    across = np.empty((len(real), len(generated)), dtype=np.float32)
    for start in range(0, len(real), _ROWS_AT_A_TIME):
        across[start : start + _ROWS_AT_A_TIME] = _squared_distances(real[start : start + _ROWS_AT_A_TIME], generated)
    rows = []
    for mask_real, mask_generated in zip(keep_real, keep_generated, strict=True):
        i, j = np.flatnonzero(mask_real), np.flatnonzero(mask_generated)
        radius_real, radius_generated = (
            _radii(nearest_real, mask_real, k)[i],
            _radii(nearest_generated, mask_generated, k)[j],
        )
        inside, recalled, covered, pairs = np.zeros(len(j), dtype=bool), 0, 0, 0
        for start in range(0, len(i), _ROWS_AT_A_TIME):
            block = slice(start, start + _ROWS_AT_A_TIME)
            distance = across[i[block]].take(j, axis=1)
            in_real = distance <= radius_real[block, None]
            inside |= in_real.any(0)
            covered += int(np.count_nonzero(in_real.any(1)))
            pairs += int(np.count_nonzero(in_real))
            recalled += int(np.count_nonzero((distance <= radius_generated).any(1)))
        rows.append((inside.mean(), recalled / len(i), pairs / (k * len(j)), covered / len(i)))
    return dict(zip(("precision", "recall", "density", "coverage"), np.array(rows).T, strict=True))


def _nearest(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row's nearest other rows, nearest first: indices `[n, l]` and squared distances `[n, l]`.

    l = 4 k + 44: the chance that fewer than k of them stay in a random half is below 1e-13.
    """
    length = min(len(x) - 1, 4 * k + 44)
    index = np.empty((len(x), length), dtype=np.int64)
    distance = np.empty((len(x), length), dtype=np.float32)
    for start in range(0, len(x), _ROWS_AT_A_TIME):
        block = _squared_distances(x[start : start + _ROWS_AT_A_TIME], x)
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf  # an image is not its own neighbour, a copy of it is
        candidates = np.argpartition(block, length - 1, axis=1)[:, :length]
        near = np.take_along_axis(block, candidates, axis=1)
        order = np.argsort(near, axis=1)
        index[start : start + _ROWS_AT_A_TIME] = np.take_along_axis(candidates, order, axis=1)
        distance[start : start + _ROWS_AT_A_TIME] = np.take_along_axis(near, order, axis=1)
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


def checked(x: np.ndarray, y: np.ndarray, least: int, names=("real", "made")) -> tuple[np.ndarray, np.ndarray]:
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
