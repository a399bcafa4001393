"""A filter on generated images: which of a pool are added, where they are not just the first ones.

Each rule gives an order of the pool, of which a cell takes the first ones, so that amounts are nested. Drawing at
random at the same number, the control, is what the experiments' own cells do: the first images of a generator are in
random order.

- `confidence`: the classifier's probability of the intended class, the highest first. What it is sure of it need not
  learn: the paper's filter of training images ranks so, here it may cost diversity.
- `novelty`: the distance to the nearest real training image of the class, the farthest first. The farthest may be
  failures of the generator, too.
- `diversity`: greedy k-center, the farthest-point order (Gonzalez 1985, "Clustering to minimize the maximum
  intercluster distance"): the image nearest to the pool's mean, then again and again the one that is farthest from all
  taken. No image left is then farther from a taken one than twice what the best choice of as many would give.

Distances are Euclidean in the features of the run's classifier.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CONFIDENCE, NOVELTY, DIVERSITY = RULES = ("confidence", "novelty", "diversity")
_ROWS_AT_A_TIME = 512

#: uint8 `[n, s, s, 3]` -> class probabilities `[n, k]` and features `[n, f]`.
Look = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def order(rule: str, probabilities: np.ndarray, features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The places of a pool's images, those to take first first, int64 `[n]`.

    Args:
        rule: one of `RULES`.
        probabilities: of the intended class, `[n]`.
        features: `[n, f]`.
        real: features of the class's real training images, `[m, f]`, m >= 1 for `novelty`.

    Raises:
        ValueError: another rule, or a number that is not finite.
    """
    values = probabilities if rule == CONFIDENCE else features
    if not np.isfinite(values).all():
        raise ValueError("a probability or a feature is not finite")
    if rule == CONFIDENCE:
        return np.argsort(-np.asarray(probabilities, np.float64), kind="stable")
    if rule == NOVELTY:
        return np.argsort(-_to_nearest(features, real), kind="stable")
    if rule == DIVERSITY:
        return farthest_points(features)
    raise ValueError(f"no rule {rule!r}; there are {', '.join(RULES)}")


def farthest_points(features: np.ndarray) -> np.ndarray:
    """Greedy k-center of rows `[n, f]`; of equally far ones the first is taken. Time n^2 f, memory n."""
    features = np.asarray(features, np.float64)
    if not len(features):
        return np.zeros(0, np.int64)
    squares = np.einsum("ij,ij->i", features, features)
    taken = np.zeros(len(features), np.int64)
    taken[0] = np.linalg.norm(features - features.mean(0), axis=1).argmin()
    to_taken = np.full(len(features), np.inf)
    for k in range(len(features)):
        if k:
            taken[k] = to_taken.argmax()
        new = features[taken[k]]
        to_taken = np.minimum(to_taken, np.maximum(squares - 2.0 * (features @ new) + new @ new, 0.0))
        to_taken[taken[: k + 1]] = -1.0
    return taken


def _to_nearest(features: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The distance of each row to the nearest of `real`, float64 `[n]`."""
    real = np.asarray(real, np.float64)
    squares = np.einsum("ij,ij->i", real, real)
    nearest = np.empty(len(features))
    for begin in range(0, len(features), _ROWS_AT_A_TIME):
        block = np.asarray(features[begin : begin + _ROWS_AT_A_TIME], np.float64)
        distances = squares - 2.0 * (block @ real.T) + np.einsum("ij,ij->i", block, block)[:, None]
        nearest[begin : begin + _ROWS_AT_A_TIME] = np.sqrt(np.maximum(distances.min(1), 0.0))
    return nearest
