"""Metrics of one classifier from its confusion matrix and its probabilities.

Conventions, those of scikit-learn with `zero_division=0`: the precision of a class that is never predicted is 0, so
is F1 where precision and recall are 0. A class without a test image has no recall, F1 or AUC (nan), and no part in
the means over classes (balanced accuracy, macro F1).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from lesiongan.evaluation.calibration import expected_calibration_error

#: The metrics per class.
PER_CLASS = ("precision", "recall", "specificity", "f1", "auc", "sensitivity_at_half", "specificity_at_half")


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Images by true class (rows) and predicted class (columns), int64 `[k, k]`."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def rates(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric that follows from confusion matrices, for any number of them at once.

    Args:
        confusion: `[..., k, k]`, counts or weights, true class by predicted class.

    Returns:
        `accuracy` (micro-F1, the paper's "F1 score across all classes"), `balanced_accuracy`, `macro_f1`, each `[...]`;
        `precision`, `recall` (sensitivity), `specificity`, `f1`, each `[..., k]`.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = confusion.sum(-1), confusion.sum(-2)
    total = true.sum(-1)
    present = true > 0
    recall = _ratio(hits, true, np.nan)
    f1 = np.where(present, _ratio(2 * hits, true + predicted, 0.0), np.nan)
    others = total[..., None] - true
    return {
        "accuracy": _ratio(hits.sum(-1), total, np.nan),
        "balanced_accuracy": _mean_of(recall, present),
        "macro_f1": _mean_of(f1, present),
        "precision": _ratio(hits, predicted, 0.0),
        "recall": recall,
        "specificity": _ratio(others - (predicted - hits), others, np.nan),
        "f1": f1,
    }


def auc(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each class against all others, `[k]`; nan where a class or its rest has no image.

    It is the Mann-Whitney statistic: the share of pairs (image of the class, other image) in order, ties half.
    """
    ranks = rankdata(probabilities, axis=0)
    positive = labels[:, None] == np.arange(probabilities.shape[1])
    n = positive.sum(axis=0)
    pairs = n * (len(labels) - n)
    return _ratio((ranks * positive).sum(axis=0) - n * (n + 1) / 2, pairs, np.nan)


def metrics(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict:
    """All metrics of one classifier, ready for JSON (undefined numbers are None).

    Args:
        labels: int `[n]`.
        probabilities: float `[n, k]`, finite.
        classes: the k abbreviations.

    Returns:
        `accuracy`, `balanced_accuracy`, `macro_f1`, `ece`, `classes` (for each abbreviation: precision, recall,
        specificity, f1, auc, support, and `sensitivity_at_half` and `specificity_at_half`, where an image is called the
        class if its probability is above 0.5, as ISIC's scorer does) and `confusion` (rows are true classes).
    """
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(classes))
    values = rates(confusion)
    values |= {"auc": auc(labels, probabilities), **_at_half(labels, probabilities)}
    per_class = {
        name: {key: number(values[key][k]) for key in PER_CLASS} | {"support": int(confusion[k].sum())}
        for k, name in enumerate(classes)
    }
    return {
        **{key: number(values[key]) for key in ("accuracy", "balanced_accuracy", "macro_f1")},
        "ece": expected_calibration_error(labels, probabilities),
        "classes": per_class,
        "confusion": confusion.tolist(),
    }


def _at_half(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    called = probabilities > 0.5
    of_class = labels[:, None] == np.arange(probabilities.shape[1])
    n = of_class.sum(axis=0)
    return {
        "sensitivity_at_half": _ratio((called & of_class).sum(axis=0), n, np.nan),
        "specificity_at_half": _ratio((~called & ~of_class).sum(axis=0), len(labels) - n, np.nan),
    }


def number(value) -> float | None:
    """A float for JSON; None for what is not finite."""
    return float(value) if np.isfinite(value) else None


def _ratio(top: np.ndarray, bottom: np.ndarray, otherwise: float) -> np.ndarray:
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom > 0)


def _mean_of(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return _ratio(np.where(present, values, 0.0).sum(-1), present.sum(-1).astype(np.float64), np.nan)
