"""How near generated images are to real ones, in a classifier's feature space.

KID (Binkowski et al. 2018, "Demystifying MMD GANs"): the squared maximum mean discrepancy with the kernel
k(x, y) = (x . y / d + 1)^3, estimated without bias, so that two samples of one distribution give 0 on average.
"""

from __future__ import annotations

import numpy as np


def kernel_inception_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased MMD^2 between two sets of features `[n, d]` and `[m, d]`.

    Raises:
        ValueError: fewer than two rows in a set, or different widths.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, m = len(x), len(y)
    if n < 2 or m < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"two sets of at least two feature vectors of one width are needed, got {x.shape} and {y.shape}"
        )
    d = x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within_x = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    within_y = (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within_x + within_y - 2.0 * xy.mean())


def kid_interval(
    x: np.ndarray, y: np.ndarray, seed: int, subsets: int = 50, size: int = 100
) -> tuple[float, float, float]:
    """KID with a 95 % interval: the mean over subsets as in the paper, and mean -+ 1.96 standard errors of the
    subsets' values."""
    rng = np.random.default_rng(seed)
    size = min(size, len(x), len(y))
    values = [
        kernel_inception_distance(x[rng.choice(len(x), size, False)], y[rng.choice(len(y), size, False)])
        for _ in range(subsets)
    ]
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(subsets))
    return mean, mean - 1.96 * error, mean + 1.96 * error
