"""Intervals and paired tests over test lesions and training seeds.

Two things vary from one run of an experiment to the next: which lesions happen to be in the test set, and the seed of
the training. Both enter every interval, crossed: each resample of lesions is taken for all cells and seeds at once.

- Lesions: a bootstrap that draws lesions with replacement within each class (several images of a lesion come
  together), so every resample holds as many lesions of a class as the test set. It gives V_L, the variance of the
  metric's mean over the S seeds.
- Seeds: drawing S - 1 of the S seeds with replacement, the bootstrap that is unbiased for few (McCarthy and Snowden
  1985), gives the variance s^2 / S exactly, with s the standard deviation over seeds; V_S is that number, without
  drawing.
- Both hold the interaction of lesion and seed (two trainings differ on the same lesion by chance), so that their sum
  counts it twice (Owen 2007, "The pigeonhole bootstrap"). Let A be the mean over the seeds of the variance over
  resamples of a single training's metric. With c the lesions' own variance and i the interaction's in one training,
  A = c + i and V_L = c + i / S, so that i / S = (A - V_L) / (S - 1): the lesions' share is c = V_L - i / S.

The half-width is sqrt(t^2 V_S + z^2 c): the t quantile with S - 1 degrees of freedom on the share that few seeds
estimate, the normal quantile z on the lesions' share, which hundreds of lesions estimate. Where all seeds are equal to
the last digit, as recalls of few lesions may be, they say nothing of their spread, and the half-width is z sqrt(V_L),
what the same trainings would have on other lesions. A p value is the level at which that interval of the paired
difference first touches 0. In simulations (`python -m benchmarks.false_alarms`)
tests at 5 % then reject 4 to 5 % of true null hypotheses; with the interaction counted twice it was 1 to 2 %, by
lesions alone 15 % and more. With one seed there is no V_S: the interval is the percentile bootstrap's over lesions and
holds for that one training.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import special
from statsmodels.stats import contingency_tables


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its interval; `p` is of the two-sided test against 0."""

    value: float
    low: float
    high: float
    p: float


def lesion_weights(labels: np.ndarray, lesions: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each lesion counts in the test set, once, and then in each resample: float32 `[1 + resamples, g]`.

    Resamples are stratified by class; a lesion whose images bear several labels counts in the stratum of its first one.
    """
    lesion_labels = labels[np.unique(lesions, return_index=True)[1]]
    weights = np.ones((1 + resamples, len(lesion_labels)), dtype=np.float32)
    generator = np.random.default_rng(seed)
    for label in np.unique(lesion_labels):
        members = np.flatnonzero(lesion_labels == label)
        weights[1:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), resamples)
    return weights


def resampled_confusions(
    labels: np.ndarray, predicted: np.ndarray, lesions: np.ndarray, classes: int, weights: np.ndarray
) -> np.ndarray:
    """The confusion matrix of one classifier on every resample: `[resamples, k, k]`, one matrix product."""
    cells = classes * classes
    flat = lesions * cells + labels * classes + predicted
    by_lesion = np.bincount(flat, minlength=weights.shape[1] * cells).reshape(-1, cells)
    return (weights @ by_lesion.astype(np.float32)).reshape(-1, classes, classes)


def resampled_auc(positive: np.ndarray, scores: np.ndarray, lesions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve on every resample, `[resamples]`: the share of pairs (positive, negative) that the
    scores put in order, ties half; nan where a side is empty.

    Args:
        positive: bool `[n]`.
        scores: float `[n]`.
        lesions: int `[n]`, columns of `weights`.
        weights: `[resamples, g]`.
    """
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(scores[negative], kind="stable")]
    # Negatives below the first one, the first two, ...; whole numbers below 2^24 are exact in float32.
    below = np.zeros((len(weights), len(negative) + 1), np.float32)
    np.cumsum(weights[:, lesions[negative]], axis=1, dtype=np.float32, out=below[:, 1:])
    sides = [np.searchsorted(scores[negative], scores[positive], side=side) for side in ("left", "right")]
    drawn = weights[:, lesions[positive]]
    in_order = sum(np.einsum("rp,rp->r", drawn, below[:, side], dtype=np.float64) for side in sides) / 2
    pairs = drawn.sum(1, dtype=np.float64) * below[:, -1]
    return np.divide(in_order, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def estimate(points: np.ndarray, resampled: np.ndarray, confidence: float = 0.95) -> Estimate:
    """The mean over seeds of a metric (or of a paired difference), its interval and its test against 0.

    Args:
        points: `[s]`, the value of each seed on the test set.
        resampled: `[resamples, s]`, the same on every resample of lesions.
        confidence: of the interval, 0 to 1.

    Returns:
        The estimate; four nan where a point does not exist (the recall of a class without an image).
    """
    points = np.asarray(points, dtype=np.float64)
    value = float(points.mean())
    if not np.isfinite(value):
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    resampled = np.asarray(resampled, dtype=np.float64)
    means = resampled.mean(axis=1)
    if len(points) == 1:
        tail = 100 * (1 - confidence) / 2
        low, high = np.percentile(means, [tail, 100 - tail])
        # One is added to both counts, so that p is never 0 and the test keeps its level (Davison and Hinkley 1997,
        # chapter 4).
        beyond = min(np.sum(means <= 0), np.sum(means >= 0))
        return Estimate(value, float(low), float(high), float(min(1.0, 2 * (beyond + 1) / (len(means) + 1))))
    interaction = (np.var(resampled, axis=0).mean() - means.var()) / (len(points) - 1)
    errors = _Errors(
        lesions=float(np.sqrt(max(0.0, means.var() - interaction))),
        seeds=float(points.std(ddof=1) / np.sqrt(len(points))),
        least=float(means.std()) if np.ptp(points) < 1e-12 else 0.0,
        dof=len(points) - 1,
    )
    half = errors.half_width(1 - confidence)
    return Estimate(value, value - half, value + half, _p_value(value, errors))


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> dict:
    """McNemar's exact test of two classifiers on the same images (statsmodels): boolean `[n]` each.

    Returns:
        `gained` (images only the second has right), `lost` (only the first), `p`. It takes images as independent, and
        holds for these two trainings alone: it is shown per seed and never pooled.
    """
    gained = int(np.sum(~first_right & second_right))
    lost = int(np.sum(first_right & ~second_right))
    table = [[int(np.sum(first_right & second_right)), lost], [gained, int(np.sum(~first_right & ~second_right))]]
    return {"gained": gained, "lost": lost, "p": float(contingency_tables.mcnemar(table, exact=True).pvalue)}


def holm(p_values) -> np.ndarray:
    """p values corrected for the number of tests by Holm's step-down procedure, in the given order.

    The same numbers as statsmodels' `multipletests`, which collects garbage at every call: half a second in a process
    that holds TensorFlow, times hundreds of calls.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def resamples_needed(resamples: int, tests: int, confidence: float) -> int:
    """At least `resamples`, and enough that the smallest bootstrap p value (2 / (resamples + 1)) survives Holm."""
    return max(resamples, int(np.ceil(4 * tests / (1 - confidence))))


@dataclasses.dataclass(frozen=True)
class _Errors:
    """Standard errors of a mean over seeds: the lesions' own share, the seeds' with its degrees of freedom, and the
    least that both together are."""

    lesions: float
    seeds: float
    least: float
    dof: int

    def half_width(self, level: float) -> float:
        z, t = special.ndtri(level / 2), special.stdtrit(self.dof, level / 2)
        return float(max(np.hypot(z * self.lesions, t * self.seeds), -z * self.least))


def _p_value(value: float, errors: _Errors) -> float:
    """The level at which the interval around `value` touches 0, by bisection of its logarithm."""
    if value == 0:
        return 1.0
    low, high = -16.0, 0.0  # log10 of the level; the half-width falls as the level rises
    if errors.half_width(10.0**low) < abs(value):
        return 10.0**low
    for _ in range(60):
        middle = (low + high) / 2
        if errors.half_width(10.0**middle) > abs(value):
            low = middle
        else:
            high = middle
    return float(10.0**high)
