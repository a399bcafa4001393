"""How sure: intervals and paired tests over test lesions and training seeds.

Two things vary from one run of an experiment to the next: which lesions happen to be in the test set, and the seed of
the training. Both enter every interval, crossed: each resample of lesions is taken for all cells and seeds at once.

- Lesions: a bootstrap that draws lesions with replacement within each class (several images of a lesion come
  together), so every resample holds as many lesions of a class as the test set. V_L is the variance, over resamples,
  of the metric's mean over the seeds.
- Seeds: drawing S - 1 of the S seeds with replacement, the bootstrap that is unbiased for few (McCarthy and Snowden
  1985), gives the variance s^2 / S exactly, with s the standard deviation over seeds; V_S is that number, without
  drawing.

The half-width is sqrt(t^2 V_S + z^2 V_L): the t quantile with S - 1 degrees of freedom on the share that few seeds
estimate, the normal quantile z on the lesions' share, which hundreds of lesions estimate. A p value is the level at
which that interval of the paired difference first touches 0. (Resampling both at once and one t quantile on the whole
holds its level too, but counts the interaction of lesion and seed three times (Owen 2007, "The pigeonhole
bootstrap"): with 3 seeds its intervals were 1.2 to 1.7 times as wide in our simulation, its false alarms close to
none.) With one seed there is no V_S: the interval is the percentile bootstrap's over lesions and holds for that one
training.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import special
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests

from lesiongan.evaluation import classification


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its interval; `p` is of the two-sided test against 0."""

    value: float
    low: float
    high: float
    p: float


def lesion_weights(labels: np.ndarray, lesions: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each lesion is drawn in each resample: float32 `[resamples, g]`, stratified by class.

    A lesion whose images bear several labels counts in the stratum of its first one.
    """
    lesion_labels = labels[np.unique(lesions, return_index=True)[1]]
    weights = np.empty((resamples, len(lesion_labels)), dtype=np.float32)
    generator = np.random.default_rng(seed)
    for label in np.unique(lesion_labels):
        members = np.flatnonzero(lesion_labels == label)
        weights[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), resamples)
    return weights


def resampled_confusions(
    labels: np.ndarray, predicted: np.ndarray, lesions: np.ndarray, classes: int, weights: np.ndarray
) -> np.ndarray:
    """The confusion matrix of one classifier on every resample: `[resamples, k, k]`, one matrix product."""
    cells = classes * classes
    flat = lesions * cells + labels * classes + predicted
    by_lesion = np.bincount(flat, minlength=weights.shape[1] * cells).reshape(-1, cells)
    return (weights @ by_lesion.astype(np.float32)).reshape(-1, classes, classes)


def scores(confusion: np.ndarray, target: int) -> dict[str, np.ndarray]:
    """The table's metrics from confusion matrices `[..., k, k]`: each `[...]`; `target` is the label of interest."""
    rates = classification.rates(confusion)
    return {
        "accuracy": rates["accuracy"],
        "balanced_accuracy": rates["balanced_accuracy"],
        "macro_f1": rates["macro_f1"],
        "target_precision": rates["precision"][..., target],
        "target_recall": rates["recall"][..., target],
    }


def estimate(points: np.ndarray, resampled: np.ndarray, confidence: float = 0.95) -> Estimate:
    """The mean over seeds of a metric (or of a paired difference), its interval and its test against 0.

    Args:
        points: `[s]`, the value of each seed on the test set.
        resampled: `[resamples, s]`, the same on every resample of lesions.
        confidence: of the interval, 0 to 1.
    """
    points = np.asarray(points, dtype=np.float64)
    value = float(points.mean())
    means = np.asarray(resampled, dtype=np.float64).mean(axis=1)
    if len(points) == 1:
        tail = 100 * (1 - confidence) / 2
        low, high = np.percentile(means, [tail, 100 - tail])
        # One is added to both counts, so that p is never 0 and the test keeps its level (Davison and Hinkley 1997,
        # chapter 4).
        beyond = min(np.sum(means <= 0), np.sum(means >= 0))
        return Estimate(value, float(low), float(high), float(min(1.0, 2 * (beyond + 1) / (len(means) + 1))))
    of_lesions = means.std()
    of_seeds = points.std(ddof=1) / np.sqrt(len(points))
    half = _half_width(1 - confidence, of_lesions, of_seeds, len(points) - 1)
    return Estimate(value, value - half, value + half, _p_value(value, of_lesions, of_seeds, len(points) - 1))


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
    """p values corrected for the number of tests by Holm's step-down procedure (statsmodels), in the given order."""
    p_values = np.asarray(p_values, dtype=np.float64)
    return multipletests(p_values, method="holm")[1] if len(p_values) else p_values


def resamples_needed(resamples: int, tests: int, confidence: float) -> int:
    """At least `resamples`, and enough that the smallest bootstrap p value (2 / (resamples + 1)) survives Holm."""
    return max(resamples, int(np.ceil(4 * tests / (1 - confidence))))


def _half_width(level: float, of_lesions: float, of_seeds: float, dof: int) -> float:
    return float(np.hypot(special.ndtri(level / 2) * of_lesions, special.stdtrit(dof, level / 2) * of_seeds))


def _p_value(value: float, of_lesions: float, of_seeds: float, dof: int) -> float:
    """The level at which the interval around `value` touches 0, by bisection of its logarithm."""
    if value == 0:
        return 1.0
    low, high = -16.0, 0.0  # log10 of the level; the half-width falls as the level rises
    if _half_width(10.0**low, of_lesions, of_seeds, dof) < abs(value):
        return 10.0**low
    for _ in range(60):
        middle = (low + high) / 2
        if _half_width(10.0**middle, of_lesions, of_seeds, dof) > abs(value):
            low = middle
        else:
            high = middle
    return float(10.0**high)
