"""One classifier on one set of labelled images: its metrics, with intervals over lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesiongan.evaluation import classification, statistics
from lesiongan.evaluation.comparison import compare
from lesiongan.evaluation.predictions import Truth, lesion_numbers
from lesiongan.evaluation.scores import of_classifier

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
_OF_CLASS = ("recall", "precision", "auc")


def assess(
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
        [low, high] (recall, precision and AUC).
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    images = tuple(str(i) for i in range(len(labels)))
    truth = Truth(images, labels, lesion_numbers(lesions, images), tuple(classes))
    weights = statistics.lesion_weights(labels, truth.lesions, resamples, seed)
    scored = {"": {0: of_classifier(truth, probabilities, weights, target=0, against=None)}}
    entries = compare(scored, {"": ""}, None, confidence)[""]

    def interval(*key: str) -> list[float | None]:
        return [entries[key]["low"], entries[key]["high"]]

    assessment = classification.metrics(labels, probabilities, truth.classes)
    assessment |= {"images": len(labels), "lesions": int(truth.lesions.max()) + 1, "confidence": confidence}
    assessment["intervals"] = {name: interval("metrics", name) for name in _METRICS} | {
        "classes": {c: {name: interval("classes", c, name) for name in _OF_CLASS} for c in classes}
    }
    return assessment


def lines(result: dict) -> list[str]:
    """The result as a person reads it."""

    def number(value, bounds) -> str:
        if value is None:
            return "-"
        return f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"

    text = [f"{result['images']:,} images of {result['lesions']:,} lesions, {result['confidence']:.0%} intervals"]
    for name in _METRICS:
        text.append(f"{name.replace('_', ' '):18s}{number(result[name], result['intervals'][name])}")
    text.append(f"{'calibration error':18s}{result['ece']:.3f}")
    text.append(f"{'class':8s}{'images':>7s}  {'recall':24s}{'precision':24s}AUC")
    for name, values in result["classes"].items():
        bounds = result["intervals"]["classes"][name]
        recall, precision, area = (number(values[key], bounds[key]) for key in _OF_CLASS)
        text.append(f"{name:8s}{values['support']:>7,}  {recall:24s}{precision:24s}{area}")
    return text
