"""Evaluator: the experiment's tables with intervals, the generated images' quality and figures, and the blessings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lesiongan.base.files import read_json, write_json
from lesiongan.base.progress import say
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.evaluation.evaluate import RESULT, evaluate
from lesiongan.evaluation.feature_metrics import feature_scale
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.evaluation.predictions import SETS
from lesiongan.serving import saved_models
from lesiongan.steps import evaluation_figures
from lesiongan.steps.step import Task
from lesiongan.tables import formats, layout

_LEAST = 24  # images of each set below which nothing is measured
_JUDGED = 500  # generated images per class that are judged; with more, the real ones would still set the interval


OUTPUTS = ("evaluation", "blessing")


@dataclasses.dataclass(frozen=True)
class Options:
    evaluation: EvaluationConfig = EvaluationConfig()
    target: str = ""  # the class whose precision and recall are in the table
    against: str = ""  # the class to tell it from; in experiment 2 the source


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `predictions`, `classifier`, `generated`, `sampled`, `imported` (where they are).
    Outputs: `evaluation`, `blessing`.
    """
    options, output = task.options, task.outputs["evaluation"]
    summary = evaluate(
        task.artifact("predictions"),
        output,
        options.evaluation,
        task.seed,
        table=examples.read_table(task.artifact("examples")),
        target=options.target or None,
        against=options.against or None,
    )
    say(summary["verdict"])
    _tables(task, summary)
    classifier = saved_models.load(task.artifact("classifier") / "classifier")
    test = examples.load(task.artifact("examples"), classifier.size, "test")
    probabilities, features = classifier.predict(test.images)
    quality = _quality(task, classifier, test, features)
    write_json(output / "image_quality.json", quality)
    evaluation_figures.write(
        task.artifact("examples"), _sets(task), classifier, features.std(0), output, options.evaluation.confidence
    )
    verdicts = {"classifier": _classifier_verdict(test.labels, probabilities)}
    verdicts |= _generator_verdicts(quality, options.evaluation)
    write_json(task.outputs["blessing"] / "blessing.json", verdicts)
    accuracy = float((probabilities.argmax(1) == test.labels).mean())
    return {"classifier_accuracy": accuracy, "blessed": sum(v["blessed"] for v in verdicts.values())}


def _tables(task: Task[Options], summary: dict) -> None:
    """The paper's tables beside each test set's `metrics.json`; its numbers mean nothing beside phantoms."""
    info, output = examples.read_info(task.artifact("examples")), task.outputs["evaluation"]
    with_paper = not info.get("phantom", False)
    formats.write([layout.split_table(info["counts"], with_paper)], output)
    formats.write(layout.of_evaluation(summary, with_paper), output)
    for name in summary["further"]:
        result = read_json(output / SETS / name / RESULT)
        formats.write(layout.of_evaluation(result, False), output / SETS / name)


def _sets(task: Task[Options]) -> list[Path]:
    """The generated images, one folder of Examples per generator."""
    return sorted(
        p.parent for a in task.artifacts("generated", "sampled", "imported") for p in Path(a).glob("*/examples.json")
    )


def _quality(task: Task[Options], classifier: saved_models.Served, test: ImageSet, features: np.ndarray) -> list[dict]:
    """One row per generated set and class: agreement, and `image_quality` against the real test images of the class,
    with real validation images as the floor: the judge has learned its training images, which lie apart from all others
    in its features. All features have one scale, since that of a classifier of our own means nothing.

    Each set has one image per lesion, the first one, and one per lesion that an image was translated from: the
    intervals count images as independent.
    """
    listed = examples.read_table(task.artifact("examples"))
    lesions = dict(zip(listed["image_id"], listed["lesion_id"], strict=True))
    alone = first_of_each_lesion(test.ids, lesions)
    labels, features = test.labels[alone], features[alone]
    classes, rows, scale = classifier.taxonomy.classes, [], feature_scale(features)
    floors: dict[int, np.ndarray] = {}
    for path in _sets(task):
        images, made = examples.load(path, classifier.size, "train"), examples.read_table(path)
        sources = dict(zip(made["image_id"], made["source_id"], strict=True)) if "source_id" in made else {}
        images = images.take(first_of_each_lesion(images.ids, lesions, sources))
        for label in np.unique(images.labels):
            part = images.of_class(label)
            part = part.take(np.arange(min(_JUDGED, len(part))))
            probabilities, generated = classifier.predict(part.images)
            real = features[labels == label]
            row = {"generator": path.name, "class": classes[label], "images": len(part)}
            row |= {
                "agreement": float((probabilities.argmax(1) == label).mean()),
                "probability": float(probabilities[:, label].mean()),
            }
            if label not in floors:
                held = examples.load(task.artifact("examples"), classifier.size, "validation", classes=[classes[label]])
                held = held.take(first_of_each_lesion(held.ids, lesions))
                held = held.take(np.random.default_rng(task.seed).permutation(len(held))[:_JUDGED])
                floors[label] = classifier.predict(held.images)[1]
            sets = (real, generated, floors[label])
            row["quality"] = None
            if min(map(len, sets)) >= _LEAST and all(np.isfinite(features).all() for features in sets):
                quality = image_quality(real / scale, generated / scale, floor=floors[label] / scale, seed=task.seed)
                row["quality"] = quality | {"normalised": True}
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
