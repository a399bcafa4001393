"""What the Evaluator's classification accuracy scores are of: each kind of generated images, and as many real ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.experiments.amounts import REFINED
from lesiongan.training.accuracy_score import accuracy_score, as_many

RESULT = "accuracy_scores.json"
_MOST = 1000  # images per class
_TOLD = ("balanced_accuracy", "accuracy")


def rows(
    real: Path, sets: Sequence[Path], classifier: ClassifierConfig, limits: EvaluationConfig, seed: int, run_dir: Path
) -> list[dict]:
    """A row per kind of generated images: those from noise, the refined ones of all classes, each made elsewhere.

    All images, the test's too, pass through the least size that the generated ones are stored in, so that sharpness
    tells nothing.

    Args:
        real: Examples of the real images.
        sets: Examples of generated images, a folder per generator.
        classifier: the recipe; all trainings see `limits.accuracy_score_images` images.
        limits: of the Evaluator: the budget, and the intervals.
        run_dir: of the trainings.

    Returns:
        Rows of `generator`, `size`, `images` (class -> how many), and `generated` and `real`: of the classifier trained
        on each `balanced_accuracy`, `accuracy` and `recall` (by class), all {"value", "low", "high"}; or, where that
        cannot be asked, of `generator` and `reason`.
    """
    scores = _Scores(real, classifier, limits, seed, run_dir)
    return [scores.row(name, folders) for name, folders in _kinds(sets).items()]


def _kinds(sets: Sequence[Path]) -> dict[str, list[Path]]:
    """The refined images of the classes are one kind: a classifier needs several classes."""
    kinds: dict[str, list[Path]] = {}
    for path in sets:
        kinds.setdefault(REFINED if path.name.startswith(f"{REFINED}-") else path.name, []).append(path)
    return kinds


class _Scores:
    """Arguments as of `rows`. One model serves all trainings, so that nothing is traced again; equal trainings on real
    images are done once."""

    def __init__(self, real: Path, classifier: ClassifierConfig, limits: EvaluationConfig, seed: int, run_dir: Path):
        self.real, self.limits, self.seed, self.run_dir = real, limits, seed, run_dir
        self.config = dataclasses.replace(classifier, images=limits.accuracy_score_images)
        self.classes = examples.taxonomy(real).classes
        self.model: Any = None
        self.of_real: dict[tuple, dict] = {}

    def row(self, name: str, folders: Sequence[Path]) -> dict[str, Any]:
        sizes = set.intersection(*(set(examples.read_info(p)["sizes"]) for p in (*folders, self.real)))
        size = min(sizes)
        made = ImageSet.join([examples.load(path, size, "train") for path in folders])
        train = examples.load(self.real, size, "train")
        counted = [np.bincount(images.labels, minlength=len(self.classes)) for images in (made, train)]
        wanted = np.minimum(np.minimum(*counted), _MOST)
        if (wanted > 0).sum() < 2:
            reason = (
                "it has images of one class, and a classifier needs several; grid.controls=synthetic_only trains on "
                "them in place of the real ones of that class"
            )
            return {"generator": name, "reason": reason}
        test = examples.load(self.real, size, "test")
        if not np.isin(test.labels, np.flatnonzero(wanted)).any():
            return {"generator": name, "reason": "there is no real test image of its classes"}
        first = [np.flatnonzero(made.labels == label)[:count] for label, count in enumerate(wanted)]
        key = (size, *wanted.tolist())
        if key not in self.of_real:
            beside = as_many(train, wanted, self.seed)
            self.of_real[key] = self._score("real beside " + name, beside, test)
        return {
            "generator": name,
            "size": size,
            "images": {self.classes[k]: int(n) for k, n in enumerate(wanted) if n},
            "generated": self._score(name, made.take(np.concatenate(first)), test),
            "real": self.of_real[key],
        }

    def _score(self, name: str, train: ImageSet, test: ImageSet) -> dict[str, Any]:
        found = accuracy_score(
            self.config,
            train,
            test,
            self.classes,
            examples.lesion_ids(self.real, test.ids),
            run_dir=self.run_dir / name.replace(" ", "-"),
            seed=self.seed,
            name=f"accuracy score, {name}",
            resamples=self.limits.resamples,
            confidence=self.limits.confidence,
            model=self.model,
        )
        self.model = found.model
        result, intervals = found.result, found.result["intervals"]
        told: dict[str, Any] = {key: _number(result[key], intervals[key]) for key in _TOLD}
        recall = {
            name: _number(values["recall"], intervals["classes"][name]["recall"])
            for name, values in result["classes"].items()
            if values["recall"] is not None
        }
        return told | {"recall": recall}


def _number(value: float, interval: Sequence[float]) -> Mapping[str, float]:
    return {"value": value, "low": interval[0], "high": interval[1]}
