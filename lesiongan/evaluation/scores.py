"""Every score of a classifier that the tables show, on the test set and on each resample of its lesions.

A key says where the score stands in `metrics.json`: `("metrics", "accuracy")`, `("classes", "MEL", "recall")`,
`("pair", "0.9", "sensitivity")`. The values of a key are float64 `[1 + resamples]`, the test set itself first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lesiongan.evaluation import classification
from lesiongan.evaluation.predictions import Truth
from lesiongan.evaluation.statistics import resampled_auc, resampled_confusions

Key = tuple[str, ...]
Scores = dict[Key, np.ndarray]

#: The metrics over all classes and of the target class: key and how it reads. `{against}` is the class that the target
#: is told from.
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "target_precision": "{target} precision",
    "target_recall": "{target} recall",
    "target_specificity": "{target} specificity",
    "target_auc": "AUC {target} against {against}",
}
_OF_CLASS = ("precision", "recall", "specificity", "f1")


def of_classifier(
    truth: Truth,
    probabilities: np.ndarray,
    weights: np.ndarray,
    target: int,
    against: int | None,
    thresholds: Mapping[float, float] | None = None,
) -> Scores:
    """All scores of one classifier.

    Args:
        truth: the n test images.
        probabilities: float `[n, k]`.
        weights: `[1 + resamples, g]`, how often each lesion counts (`statistics.lesion_weights`).
        target: label of the class of interest.
        against: label of the class that it is told from; None leaves the pair out.
        thresholds: specificity -> the threshold of `pair_scores` that a validation set gave for it.
    """
    k = len(truth.classes)
    confusions = resampled_confusions(truth.labels, probabilities.argmax(1), truth.lesions, k, weights)
    values = over_classes(confusions, target)
    rates = classification.rates(confusions)
    for label, name in enumerate(truth.classes):
        values |= {("classes", name, key): rates[key][:, label] for key in _OF_CLASS}
        values["classes", name, "auc"] = resampled_auc(
            truth.labels == label, probabilities[:, label], truth.lesions, weights
        )
    return values if against is None else values | of_pair(truth, probabilities, weights, target, against, thresholds)


def over_classes(confusions: np.ndarray, target: int) -> Scores:
    """The scores under `metrics` that follow from confusion matrices `[..., k, k]`; `target` is the label of
    interest."""
    rates = classification.rates(confusions)
    return {
        ("metrics", "accuracy"): rates["accuracy"],
        ("metrics", "balanced_accuracy"): rates["balanced_accuracy"],
        ("metrics", "macro_f1"): rates["macro_f1"],
        ("metrics", "target_precision"): rates["precision"][..., target],
        ("metrics", "target_recall"): rates["recall"][..., target],
        ("metrics", "target_specificity"): rates["specificity"][..., target],
    }


def of_pair(
    truth: Truth,
    probabilities: np.ndarray,
    weights: np.ndarray,
    target: int,
    against: int,
    thresholds: Mapping[float, float] | None = None,
) -> Scores:
    """One class against another, on the images of the two alone: AUC, and for each threshold sensitivity and
    specificity. Arguments as for `of_classifier`."""
    scores = pair_scores(probabilities, target, against)
    both = (truth.labels == target) | (truth.labels == against)
    positive = truth.labels == target
    values: Scores = {
        ("metrics", "target_auc"): resampled_auc(positive[both], scores[both], truth.lesions[both], weights)
    }
    for wanted, threshold in (thresholds or {}).items():
        called = scores >= threshold
        negative = both & ~positive
        values["pair", f"{wanted:g}", "sensitivity"] = _share(called, positive, truth.lesions, weights)
        values["pair", f"{wanted:g}", "specificity"] = _share(~called, negative, truth.lesions, weights)
    return values


def pair_scores(probabilities: np.ndarray, target: int, against: int) -> np.ndarray:
    """P(target), given that it is one of the two: `[n]`; a half where both have probability 0."""
    p, q = probabilities[:, target], probabilities[:, against]
    return np.divide(p, p + q, out=np.full(len(p), 0.5), where=p + q > 0)


def _share(hit: np.ndarray, among: np.ndarray, lesions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    drawn = weights[:, lesions[among]].astype(np.float64)
    total = drawn.sum(1)
    return np.divide(drawn @ hit[among], total, out=np.full(len(total), np.nan), where=total > 0)
