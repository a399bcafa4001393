"""The Evaluator's numbers: from predictions on disk to metrics, intervals, tests and a verdict on the added images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import LesionganError, UsageError
from lesiongan.base.files import digest_text, write_json
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.evaluation import calibration, classification, comparison, groups, predictions, scores, statistics
from lesiongan.evaluation.classification import number
from lesiongan.evaluation.predictions import BASELINE, SETS, VALIDATION, Classifier, Truth
from lesiongan.evaluation.verdict import verdict

FORMAT = 2
RESULT = "metrics.json"
#: Of the target against the other class of the pair; their thresholds come from the validation set.
SPECIFICITIES = (0.8, 0.9, 0.95)


def evaluate(
    predictions_dir: Path | str,
    output_dir: Path | str,
    config: EvaluationConfig,
    seed: int,
    *,
    table: pd.DataFrame | None = None,
    target: str | None = None,
    against: str | None = None,
    baseline: str | None = None,
    primary: str = "balanced_accuracy",
) -> dict:
    """Evaluates a grid of classifiers on each of its test sets and writes `metrics.json`, for a further test set in
    `sets/<name>/`.

    Args:
        predictions_dir: the predictions artifact (`lesiongan.evaluation.predictions`).
        output_dir: where the files go.
        config: confidence and resamples.
        seed: of the resampling.
        table: `examples.csv`, for results by age, sex, site and source; None leaves them out.
        target: the class of interest; by default MEL where there is one, else the rarest in the test set.
        against: the class that the target is told from; by default NV where there is one, else the commonest other one.
        baseline: the cell that others are compared with; by default the first whose kind is `baseline`.
        primary: the metric that the verdict speaks of, a key of `scores.NAMES`.

    Returns:
        What `metrics.json` holds of the usual test set: `format`, `set` (its name, "" for the usual one), `further`
        (names of the others), `classes`, `target`, `against`, `baseline`, `primary`, `confidence`, `resamples`,
        `images`, `lesions`, `support`, `digest` (of the images and their labels), `validated` (whether there were
        validation images), `classifiers` (one per cell and seed), `cells` (over seeds, with intervals), `groups`,
        `excluded` (trainings that diverged), `verdict`.

    Raises:
        UsageError: the artifact is incomplete, or `target`, `against`, `baseline` or `primary` is unknown.
        LesionganError: every classifier gave predictions that are not finite.
    """
    if primary not in scores.NAMES:
        raise UsageError(f"unknown metric {primary!r}; known: {', '.join(scores.NAMES)}")
    truth, _ = read = predictions.read(predictions_dir)
    target = _chosen(truth, target, "MEL", rarest=True)
    assert target is not None  # there are images, so there is a rarest class
    against = _chosen(truth, against, "NV", other_than=target)
    further = predictions.further_sets(predictions_dir)
    thresholds = _Validation(predictions_dir, target, against)
    asked = {"target": target, "against": against, "primary": primary, "baseline": baseline}
    result: dict = {}
    for name in ("", *further):
        truth, classifiers = predictions.read(predictions_dir, name) if name else read
        place = Path(output_dir) / SETS / name if name else Path(output_dir)
        set_result = _Set(
            truth, classifiers, f"{predictions_dir} {name}".strip(), asked, thresholds, config, seed
        ).result(table)
        set_result |= {"set": name, "further": [] if name else further}
        write_json(place / RESULT, set_result)
        result = result or set_result
    return result


class _Validation:
    """Thresholds and temperatures from the validation predictions; none where the artifact has no such predictions."""

    def __init__(self, directory: Path | str, target: str, against: str | None):
        self.exists = predictions.has_validation(directory)
        self._probabilities: dict[tuple[str, int], np.ndarray] = {}
        if not self.exists:
            return
        self.truth, members = predictions.read(directory, VALIDATION)
        self._probabilities = {(m.cell, m.seed): m.probabilities for m in members if m.is_finite}
        classes = self.truth.classes
        self.pair = None if against is None else (classes.index(target), classes.index(against))

    def thresholds(self, member: Classifier) -> dict[float, float]:
        """Specificity -> threshold of the target's score against the other class."""
        probabilities = self._probabilities.get((member.cell, member.seed))
        if probabilities is None or self.pair is None:
            return {}
        labels, (target, against) = self.truth.labels, self.pair
        both = (labels == target) | (labels == against)
        if not (labels == against).any():
            return {}
        positive, values = labels[both] == target, scores.pair_scores(probabilities[both], target, against)
        return {s: calibration.threshold_for_specificity(positive, values, s) for s in SPECIFICITIES}

    def temperature(self, member: Classifier) -> float | None:
        probabilities = self._probabilities.get((member.cell, member.seed))
        return None if probabilities is None else calibration.fit_temperature(self.truth.labels, probabilities)


class _Set:
    """One test set, and all classifiers' predictions for it."""

    def __init__(
        self,
        truth: Truth,
        classifiers: Sequence[Classifier],
        where: str,
        asked: Mapping[str, str | None],
        validation: _Validation,
        config: EvaluationConfig,
        seed: int,
    ):
        self.truth, self.asked, self.validation, self.config, self.seed = truth, asked, validation, config, seed
        self.excluded = [
            {"cell": c.cell, "seed": c.seed, "why": "predictions are not finite"}
            for c in classifiers
            if not c.is_finite
        ]
        self.members: dict[str, list[Classifier]] = {}
        for classifier in classifiers:
            if classifier.is_finite:
                self.members.setdefault(classifier.cell, []).append(classifier)
        if not self.members:
            raise LesionganError(f"{where}: no classifier gave finite predictions: all trainings diverged")
        self.baseline = self._baseline(asked["baseline"])
        self.target = truth.classes.index(asked["target"])
        self.against = None if asked["against"] is None else truth.classes.index(asked["against"])
        self.resamples = statistics.resamples_needed(config.resamples, len(self.members), config.confidence)

    def result(self, table: pd.DataFrame | None) -> dict:
        truth, confidence = self.truth, self.config.confidence
        classifiers = [self._classifier(m) for own in self.members.values() for m in own]
        result = {
            "format": FORMAT,
            "classes": list(truth.classes),
            **{key: self.asked[key] for key in ("target", "against", "primary")},
            "baseline": self.baseline,
            "confidence": confidence,
            "resamples": self.resamples,
            "images": len(truth.images),
            "lesions": int(truth.lesions.max()) + 1,
            "support": dict(zip(truth.classes, truth.support.tolist(), strict=True)),
            "digest": digest_text(*truth.images, *(truth.classes[label] for label in truth.labels)),
            "validated": self.validation.exists,
            "classifiers": classifiers,
            "cells": self._rows(classifiers),
            "groups": [],
            "excluded": self.excluded,
        }
        if table is not None:
            result["groups"] = groups.by_group(
                truth, self.members, table, self.target, self.against, self.resamples, confidence, self.seed
            )
        return result | {"verdict": verdict(result)}

    def _rows(self, classifiers: Sequence[Mapping]) -> list[dict]:
        weights = statistics.lesion_weights(self.truth.labels, self.truth.lesions, self.resamples, self.seed)
        scored = {cell: {m.seed: self._scores(m, weights) for m in own} for cell, own in self.members.items()}
        kinds = {cell: own[0].kind for cell, own in self.members.items()}
        compared = comparison.compare(scored, kinds, self.baseline, self.config.confidence)
        rows = []
        for cell, own in self.members.items():
            row = {
                key: getattr(own[0], key)
                for key in ("cell", "kind", "alpha", "amount", "share", "steps", "train_images")
            }
            row |= {"seeds": sorted(m.seed for m in own), **comparison.nested(compared[cell])}
            of_cell = [c for c in classifiers if c["cell"] == cell]
            row["pair"] = {"confused": self._confused(of_cell), "at_specificity": row.get("pair", {})}
            row["calibration"] = self._calibration(own, of_cell)
            rows.append(row)
        return rows

    def _scores(self, member: Classifier, weights: np.ndarray) -> scores.Scores:
        thresholds = self.validation.thresholds(member)
        return scores.of_classifier(self.truth, member.probabilities, weights, self.target, self.against, thresholds)

    def _confused(self, of_cell: Sequence[Mapping]) -> dict | None:
        """Images of one class of the pair that were called the other one, mean over the seeds."""
        if self.against is None:
            return None
        matrices = np.mean([c["confusion"] for c in of_cell], axis=0)
        return {
            "target_called_against": float(matrices[self.target, self.against]),
            "against_called_target": float(matrices[self.against, self.target]),
        }

    def _calibration(self, own: Sequence[Classifier], of_cell: Sequence[Mapping]) -> dict:
        """The calibration error, and the reliability curve of all the cell's classifiers together."""
        curve = calibration.reliability(
            np.tile(self.truth.labels, len(own)), np.concatenate([m.probabilities for m in own])
        )
        bins = [
            {"images": float(n) / len(own), "confidence": float(confidence), "accuracy": float(accuracy)}
            for n, confidence, accuracy in zip(curve["images"], curve["confidence"], curve["accuracy"], strict=True)
            if n
        ]
        means = {
            key: None if any(c[key] is None for c in of_cell) else float(np.mean([c[key] for c in of_cell]))
            for key in ("ece", "ece_calibrated", "temperature")
        }
        return {**means, "bins": bins}

    def _classifier(self, member: Classifier) -> dict:
        truth = self.truth
        row = {
            key: getattr(member, key) for key in ("cell", "kind", "alpha", "amount", "seed", "steps", "train_images")
        }
        row |= classification.metrics(truth.labels, member.probabilities, truth.classes)
        temperature = self.validation.temperature(member)
        row |= {"temperature": temperature, "ece_calibrated": None, "mcnemar": self._mcnemar(member)}
        if temperature is not None:
            calibrated = calibration.with_temperature(member.probabilities, temperature)
            row["ece_calibrated"] = number(calibration.expected_calibration_error(truth.labels, calibrated))
        thresholds = self.validation.thresholds(member)
        row["thresholds"] = {f"{wanted:g}": number(value) for wanted, value in thresholds.items()}
        return row

    def _mcnemar(self, member: Classifier) -> dict | None:
        """Against the baseline of the same seed: all images, and those of the target class."""
        labels = self.truth.labels
        if self.baseline is None or member.cell == self.baseline:
            return None
        before = [m for m in self.members.get(self.baseline, ()) if m.seed == member.seed]
        if not before:
            return None
        first, second, of_target = before[0].predicted == labels, member.predicted == labels, labels == self.target
        return {
            "accuracy": statistics.mcnemar(first, second),
            "target_recall": statistics.mcnemar(first[of_target], second[of_target]),
        }

    def _baseline(self, name: str | None) -> str | None:
        if name is not None and name not in self.members:
            raise UsageError(f"unknown baseline cell {name!r}; the predictions have {', '.join(self.members)}")
        return name or next((cell for cell, own in self.members.items() if own[0].kind == BASELINE), None)


def _chosen(truth: Truth, name: str | None, usual: str, *, rarest: bool = False, other_than: str = "") -> str | None:
    """A class: the one that is asked for, the usual one, or the rarest or commonest one that has test images."""
    if name is not None:
        if name not in truth.classes:
            raise UsageError(f"unknown class {name!r}; the predictions have {', '.join(truth.classes)}")
        return name
    candidates = [c for c, n in zip(truth.classes, truth.support, strict=True) if n and c != other_than]
    if usual in truth.classes and usual != other_than:
        return usual
    support = dict(zip(truth.classes, truth.support.tolist(), strict=True))
    return (min if rarest else max)(candidates, key=support.__getitem__) if candidates else None
