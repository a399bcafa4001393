"""Whether a generator gives its training images away, from feature vectors alone; JSON-ready numbers.

Distances are Euclidean; every set is `[images, width]`, one image per lesion (intervals count images as independent).

- AuthPct (Alaa et al. 2022, "How faithful is your synthetic data?", section on authenticity; as a share in Stein et al.
  2023, "Exposing flaws of generative model evaluation metrics"): the share of generated images that are farther from
  their nearest training image than that one is from the nearest other training image. Towards 0 for copies. Images
  that are dull everywhere lie near many others, and come out low too.
- C_T (Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models", section 3): in each
  cell of a partition of the training images the Mann-Whitney statistic of the distances to the cell's nearest training
  image, of generated against held-out images, as a z score; the mean over the cells, weighted by the held-out images'
  shares. Far below 0 where generated images lie nearer to training images than held-out ones do, above 0 where
  farther. The partition is that of Stein et al. 2023: 64 principal components, 3 means; a cell with 20 generated images
  or fewer is left out, and here also one without held-out images. Their code adds half a pair for continuity; the
  paper, and this, does not.
- Membership inference (after Hilprecht et al. 2019, "Monte Carlo and reconstruction membership inference attacks
  against generative models", and Chen et al. 2020, "GAN-Leaks"): an attacker who holds only the generated images calls
  a photograph a member of the training set the nearer it is to one of them. The AUC says how often a member is nearer
  than a non-member; 0.5 is a coin. The interval is DeLong's (DeLong et al. 1988). The control asks the same of two
  halves of the training set, which no attacker can tell apart: an interval that leaves 0.5 out there would say that the
  test is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

_ROWS_AT_A_TIME = 512  # of a matrix of distances
_LOOKED_AT = 4  # nearest ones of a row whose distance is computed without loss of digits
_USUAL = 20  # next neighbours that say what is usual
_COMPONENTS, _CELLS, _LEAST = 64, 3, 20  # of C_T


def nearest(
    x: np.ndarray, y: np.ndarray, x_groups: np.ndarray | None = None, y_groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest row of y `[m, d]` to each row of x `[n, d]`, in blocks: memory grows with m, not with n m.

    Args:
        x_groups, y_groups: int `[n]` and `[m]`; rows of the same group are not compared (a lesion's other images, an
            image with itself). -1 is no group.

    Returns:
        Places in y, int64 `[n]`, and distances, float64 `[n]`; infinite where every row of y is of x's own group.
    """
    y = np.ascontiguousarray(y, np.float32)
    few, distances = _few_nearest(x, y, _LOOKED_AT, x_groups, y_groups)
    if not few.shape[1]:
        return np.zeros(len(x), np.int64), np.full(len(x), np.inf)
    return few[:, 0], distances[:, 0]


def nearest_and_usual(
    x: np.ndarray, y: np.ndarray, x_groups: np.ndarray | None = None, y_groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest`, with each distance over the median one to the next 20 rows: where a space is dense, being near says
    little (after Carlini et al. 2023, "Extracting training data from diffusion models", section 5)."""
    few, distances = _few_nearest(x, np.ascontiguousarray(y, np.float32), 1 + _USUAL, x_groups, y_groups)
    if few.shape[1] < 3:
        return nearest(x, y, x_groups, y_groups)
    usual = np.median(distances[:, 1:], axis=1)
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isinf(usual), distances[:, 0], distances[:, 0] / np.maximum(usual, 1e-12))
    return few[:, 0], ratios


def _few_nearest(
    x: np.ndarray, y: np.ndarray, count: int, x_groups: np.ndarray | None, y_groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Places and distances `[n, count]`, the nearest first; fewer where y has fewer rows."""
    squares, count = np.einsum("ij,ij->i", y, y), min(count, len(y))
    places, distances = np.zeros((len(x), count), np.int64), np.full((len(x), count), np.inf)
    for begin in range(0, len(x) if count else 0, _ROWS_AT_A_TIME):
        rows = slice(begin, begin + _ROWS_AT_A_TIME)
        block = np.asarray(x[rows], np.float32)
        about = squares - 2.0 * (block @ y.T)  # the distance's square, less that of x's own length
        if x_groups is not None and y_groups is not None:
            about[(x_groups[rows, None] == y_groups) & (x_groups[rows, None] >= 0)] = np.inf
        few = np.argpartition(about, count - 1, axis=1)[:, :count]
        exact = np.empty(few.shape)
        for k in range(count):  # the fast way loses the digits of a copy's distance
            exact[:, k] = np.linalg.norm(block.astype(np.float64) - y[few[:, k]], axis=1)
        exact[np.isinf(np.take_along_axis(about, few, 1))] = np.inf
        order = np.argsort(exact, axis=1, kind="stable")
        places[rows], distances[rows] = (np.take_along_axis(each, order, 1) for each in (few, exact))
    return places, distances


def authenticity(train: np.ndarray, generated: np.ndarray, confidence: float = 0.95) -> dict[str, Any]:
    """AuthPct as a share: `value`, `low`, `high` (Wilson's interval), `images`."""
    places, distances = nearest(generated, train)
    used, back = np.unique(places, return_inverse=True)
    own = np.arange(len(train))
    among_training = nearest(train[used], train, own[used], own)[1][back]
    authentic = int((among_training < distances).sum())
    interval = stats.binomtest(authentic, len(generated)).proportion_ci(confidence, "wilson")
    return {
        "value": authentic / len(generated),
        "low": float(interval.low),
        "high": float(interval.high),
        "images": len(generated),
    }


def copying(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """C_T as `value` (None where no cell has enough images), with the `cells` that it is the mean of: `z`, `train`,
    `held_out`, `generated` (numbers of images)."""
    from sklearn.cluster import KMeans  # costs a second to import
    from sklearn.decomposition import PCA

    if train.shape[1] > _COMPONENTS and len(train) > _COMPONENTS:
        axes = PCA(_COMPONENTS, random_state=seed).fit(train)
        train, held_out, generated = (axes.transform(s) for s in (train, held_out, generated))
    if len(train) < _CELLS:
        return {"value": None, "cells": []}
    partition = KMeans(_CELLS, n_init=10, random_state=seed).fit(train)
    sets = (train, held_out, generated)
    return copying_in_cells(*sets, *(partition.predict(np.asarray(each, train.dtype)) for each in sets))


def copying_in_cells(
    train: np.ndarray,
    held_out: np.ndarray,
    generated: np.ndarray,
    train_cells: np.ndarray,
    held_out_cells: np.ndarray,
    generated_cells: np.ndarray,
) -> dict[str, Any]:
    """`copying` in a partition that is given: the cell of each image, int."""
    rows = []
    for cell in np.unique(train_cells):
        own = train[train_cells == cell]
        held, made = held_out[held_out_cells == cell], generated[generated_cells == cell]
        if len(made) <= _LEAST or not len(held):
            continue
        z = _mann_whitney_z(nearest(made, own)[1], nearest(held, own)[1])
        rows.append({"z": z, "train": len(own), "held_out": len(held), "generated": len(made)})
    total = sum(row["held_out"] for row in rows)
    value = sum(row["z"] * row["held_out"] for row in rows) / total if total else None
    return {"value": value, "cells": rows}


def _mann_whitney_z(generated: np.ndarray, held_out: np.ndarray) -> float:
    """(U - mn/2) / sqrt(mn (m + n + 1) / 12), with U the pairs in which the generated image is farther."""
    m, n = len(generated), len(held_out)
    ranks = stats.rankdata(np.concatenate([generated, held_out]))[:m]
    u = ranks.sum() - m * (m + 1) / 2
    return float((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def membership(
    members: np.ndarray, others: np.ndarray, generated: np.ndarray, seed: int = 0, confidence: float = 0.95
) -> dict[str, Any]:
    """The attack on members of the training set beside as many images that the generator never saw.

    Args:
        members, others: training and held-out images; of both as many as there are of the fewer, drawn at random.
        generated: what the attacker holds.

    Returns:
        `auc` and `control` (two halves of the training set), each with `value`, `low`, `high`, and `images`, of each
        side.
    """
    order = np.random.default_rng(seed).permutation(len(members))
    size, half = min(len(members), len(others)), min(len(members) // 2, len(others))
    to_members = nearest(members[order[: max(size, 2 * half)]], generated)[1]
    to_others = nearest(others[np.random.default_rng([seed, 1]).permutation(len(others))[:size]], generated)[1]
    return {
        "auc": {**nearer(to_members[:size], to_others, confidence), "images": size},
        "control": {**nearer(to_members[:half], to_members[half : 2 * half], confidence), "images": half},
    }


def nearer(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """How often a value of `first` `[m]` is below one of `second` `[n]`, ties half: `value`, `low`, `high` by DeLong's
    standard error. Both need two values or more."""
    m, n = len(first), len(second)
    both = stats.rankdata(np.concatenate([first, second]))
    above_first = (n - (both[:m] - stats.rankdata(first))) / n  # for each of the first the share of the second above it
    below_second = (both[m:] - stats.rankdata(second)) / m
    value = float(above_first.mean())
    error = np.sqrt(above_first.var(ddof=1) / m + below_second.var(ddof=1) / n)
    reach = float(special.ndtri(0.5 + confidence / 2) * error)
    return {"value": value, "low": max(0.0, value - reach), "high": min(1.0, value + reach)}
