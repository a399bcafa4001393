"""One classifier on one set of labelled images: its metrics, with intervals over lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesiongan.evaluation import classification, statistics

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
_OF_CLASS = ("recall", "precision")


def judge(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    lesions: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict:
    """What `classification.metrics` says, and `intervals` by a stratified bootstrap over lesions.

    Args:
        labels: int `[n]`.
        probabilities: float `[n, k]`.
        classes: the k abbreviations.
        lesions: lesion ids, `[n]`; an image without one ("") is a lesion of its own.
        seed, resamples, confidence: of the bootstrap. It holds for this one training.

    Returns:
        The metrics, with `images`, `lesions`, and `intervals`: metric -> [low, high], `classes` -> class -> metric ->
        [low, high] (recall and precision).
    """
    labels = np.asarray(labels)
    own = [lesion or f" {i}" for i, lesion in enumerate(lesions)]  # no id begins with a space
    numbers = np.unique(own, return_inverse=True)[1]
    weights = statistics.lesion_weights(labels, numbers, resamples, seed)
    predicted = np.asarray(probabilities).argmax(1)
    confusions = statistics.resampled_confusions(labels, predicted, numbers, len(classes), weights)
    rates = classification.rates(confusions)
    tail = 100 * (1 - confidence) / 2

    def interval(values: np.ndarray) -> list[float | None]:
        if not np.isfinite(values).any():
            return [None, None]
        return [float(bound) for bound in np.nanpercentile(values, [tail, 100 - tail])]

    found = classification.metrics(labels, probabilities, tuple(classes))
    found |= {"images": len(labels), "lesions": int(numbers.max()) + 1, "confidence": confidence}
    found["intervals"] = {name: interval(rates[name]) for name in _METRICS} | {
        "classes": {c: {name: interval(rates[name][:, k]) for name in _OF_CLASS} for k, c in enumerate(classes)}
    }
    return found


def lines(found: dict) -> list[str]:
    """The result as a person reads it."""

    def number(value, bounds) -> str:
        if value is None:
            return "-"
        return f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"

    text = [f"{found['images']:,} images of {found['lesions']:,} lesions, {found['confidence']:.0%} intervals"]
    for name in _METRICS:
        text.append(f"{name.replace('_', ' '):18s}{number(found[name], found['intervals'][name])}")
    text.append(f"{'calibration error':18s}{found['ece']:.3f}")
    text.append(f"{'class':8s}{'images':>7s}  {'recall':24s}{'precision':24s}{'AUC':>6s}")
    for name, values in found["classes"].items():
        bounds = found["intervals"]["classes"][name]
        recall, precision = (number(values[key], bounds[key]) for key in _OF_CLASS)
        area = "-" if values["auc"] is None else f"{values['auc']:.3f}"
        text.append(f"{name:8s}{values['support']:>7,}  {recall:24s}{precision:24s}{area:>6s}")
    return text
