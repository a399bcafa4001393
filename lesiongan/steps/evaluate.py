"""Evaluator: the experiment's table with intervals, the generated images' quality, and the blessings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lesiongan import serving
from lesiongan.config import EvaluationConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation.evaluate import evaluate
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.files import write_json
from lesiongan.progress import say
from lesiongan.steps.step import Task

_LEAST = 24  # images of each set below which nothing is measured
_JUDGED = 500  # generated images of a class that are judged; more would not narrow the interval that the real ones set


@dataclasses.dataclass(frozen=True)
class Options:
    evaluation: EvaluationConfig = EvaluationConfig()
    target: str = ""  # the class whose precision and recall stand in the table


def run(task: Task) -> dict:
    """Inputs: `examples`, `predictions`, `classifier`, `generated` (a list). Outputs: `evaluation`, `blessing`."""
    options = task.options
    summary = evaluate(
        task.inputs["predictions"],
        task.outputs["evaluation"],
        options.evaluation,
        task.seed,
        target=options.target or None,
    )
    say(summary["verdict"])
    classifier = serving.load(task.inputs["classifier"] / "classifier")
    test = examples.load(task.inputs["examples"], classifier.size, "test")
    probabilities, features = classifier.predict(test.images)
    quality = _quality(task, classifier, test, features)
    write_json(task.outputs["evaluation"] / "image_quality.json", quality)
    verdicts = {"classifier": _classifier_verdict(test.labels, probabilities)}
    verdicts |= _generator_verdicts(quality, options.evaluation)
    write_json(task.outputs["blessing"] / "blessing.json", verdicts)
    accuracy = float((probabilities.argmax(1) == test.labels).mean())
    return {"classifier_accuracy": accuracy, "blessed": sum(v["blessed"] for v in verdicts.values())}


def _quality(task: Task, classifier: serving.Served, test: ImageSet, features: np.ndarray) -> list[dict]:
    """A row for each generated set and class: agreement, and `image_quality` against the real test images of the class,
    with real training images as the floor. Features are standardised: the judge is a classifier of our own, whose
    scale means nothing."""
    classes, rows = classifier.taxonomy.classes, []
    floors: dict[int, np.ndarray] = {}
    for path in sorted(p.parent for a in task.inputs["generated"] for p in Path(a).glob("*/examples.json")):
        images = examples.load(path, classifier.size, "train")
        for label in np.unique(images.labels):
            part = images.of_class(label)
            part = part.take(np.arange(min(_JUDGED, len(part))))
            probabilities, made = classifier.predict(part.images)
            real = features[test.labels == label]
            row = {"generator": path.name, "class": classes[label], "images": len(part)}
            row |= {
                "agreement": float((probabilities.argmax(1) == label).mean()),
                "probability": float(probabilities[:, label].mean()),
            }
            if label not in floors:
                train = examples.load(task.inputs["examples"], classifier.size, "train", classes=[classes[label]])
                train = train.take(np.random.default_rng(task.seed).permutation(len(train))[:_JUDGED])
                floors[label] = classifier.predict(train.images)[1]
            sets = (real, made, floors[label])
            row["quality"] = None
            if min(map(len, sets)) >= _LEAST and all(np.isfinite(features).all() for features in sets):
                row["quality"] = image_quality(real, made, floor=floors[label], seed=task.seed, normalise=True)
            rows.append(row)
    return rows


def _classifier_verdict(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    if not np.isfinite(probabilities).all():
        return {"blessed": False, "reason": "a probability is not finite"}
    accuracy, majority = (
        float((probabilities.argmax(1) == labels).mean()),
        float(np.bincount(labels).max() / len(labels)),
    )
    text = f"test accuracy {accuracy:.3f}, always the commonest class {majority:.3f}"
    return {"blessed": accuracy > majority, "reason": text}


def _generator_verdicts(quality: list[dict], config: EvaluationConfig) -> dict[str, dict]:
    verdicts: dict[str, dict] = {}
    for name in dict.fromkeys(row["generator"] for row in quality):
        rows = [row for row in quality if row["generator"] == name]
        agreement = float(np.mean([row["agreement"] for row in rows]))
        kids = [row["quality"]["kid"]["value"] for row in rows if row["quality"]]
        reason = f"agreement {agreement:.2f}" + (f", KID {np.mean(kids):.3g}" if kids else "")
        blessed = agreement >= config.min_agreement and (
            not config.max_kid or not kids or np.mean(kids) <= config.max_kid
        )
        verdicts[name] = {"blessed": bool(blessed), "reason": reason}
    return verdicts
