"""Evaluator: the experiment's tables with intervals, the generated images' quality and figures, and the blessings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.files import read_json, write_json
from lesiongan.base.progress import say
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data import examples, generated
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation import skin_tone
from lesiongan.evaluation.blessing import generator_verdicts
from lesiongan.evaluation.evaluate import RESULT, evaluate
from lesiongan.evaluation.judge import Judge
from lesiongan.evaluation.predictions import SETS
from lesiongan.serving import saved_models
from lesiongan.steps import appearance, evaluation_figures, generated_quality, memorisation
from lesiongan.steps.step import Task
from lesiongan.tables import formats, layout

OUTPUTS = ("evaluation", "blessing")


@dataclasses.dataclass(frozen=True)
class Options:
    evaluation: EvaluationConfig = EvaluationConfig()
    target: str = ""  # the class whose precision and recall are in the table
    against: str = ""  # the class to tell it from; in experiment 2 the source
    with_validation: bool = False  # the GANs learned from the validation images too
    classifier: ClassifierConfig = ClassifierConfig()  # the recipe of the accuracy scores, where they are asked for


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`, `predictions`, `classifier`, `generated`, `sampled`, `imported` (where they are).
    Outputs: `evaluation`, `blessing`.
    """
    options, output = task.options, task.outputs["evaluation"]
    classifier = saved_models.load(task.artifact("classifier") / "classifier")
    test = examples.load(task.artifact("examples"), classifier.size, "test")
    summary = evaluate(
        task.artifact("predictions"),
        output,
        options.evaluation,
        task.seed,
        table=_with_tones(examples.read_table(task.artifact("examples")), test),
        target=options.target or None,
        against=options.against or None,
    )
    say(summary["verdict"])
    _tables(task, summary)
    probabilities, features = classifier.predict(test.images)
    sets = _sets(task)
    outsider = _outsider(options.evaluation) if sets else None
    guided = [path for path in sets if classifier.record["digest"] in generated.guides_of(path)]
    quality = generated_quality.rows(
        task.artifact("examples"), sets, classifier, test, task.seed, guided=guided, outsider=outsider
    )
    write_json(output / "image_quality.json", quality)
    looks = appearance.rows(task.artifact("examples"), _sets(task), classifier.size, options.evaluation.confidence)
    write_json(output / appearance.RESULT, looks)
    if options.evaluation.accuracy_score_images:
        _accuracy_scores(task)
    evaluation_figures.write(
        task.artifact("examples"), _sets(task), classifier, features.std(0), output, options.evaluation.confidence
    )
    audits = _audits(task, classifier.size, outsider) if options.evaluation.audit != "off" and _sets(task) else {}
    verdicts = {"classifier": _classifier_verdict(test.labels, probabilities)}
    verdicts |= generator_verdicts(quality, options.evaluation, audits)
    write_json(task.outputs["blessing"] / "blessing.json", verdicts)
    accuracy = float((probabilities.argmax(1) == test.labels).mean())
    return {"classifier_accuracy": accuracy, "blessed": sum(v["blessed"] for v in verdicts.values())}


def _with_tones(table: pd.DataFrame, test: ImageSet) -> pd.DataFrame:
    """The table with a column `skin_tone` of these images; "" where none was seen, and for all others."""
    found = dict(zip(test.ids, appearance.tones(test.images), strict=True))
    tones = [found.get(image, skin_tone.UNKNOWN) for image in table["image_id"]]
    return table.assign(skin_tone=["" if tone == skin_tone.UNKNOWN else tone for tone in tones])


def _outsider(config: EvaluationConfig) -> Judge | None:
    """The judge that no training uses, where its weights are asked for."""
    if config.audit != "features":
        return None
    from lesiongan.evaluation.imagenet_judge import imagenet  # needs its weights

    return imagenet()


def _audits(task: Task[Options], size: int, outsider: Judge | None) -> dict[str, dict]:
    """What each generator remembers, by its name."""
    options, output = task.options, task.outputs["evaluation"]
    result = memorisation.audits(
        task.artifact("examples"),
        _sets(task),
        size,
        options.evaluation,
        task.seed,
        output,
        judge=outsider,
        with_validation=options.with_validation,
    )
    write_json(output / memorisation.RESULT, result)
    return {row["generator"]: row for row in result["generators"]}


def _accuracy_scores(task: Task[Options]) -> None:
    from lesiongan.steps import accuracy_scores  # trains; most runs do not ask for it

    options, real = task.options, task.artifact("examples")
    rows = accuracy_scores.rows(
        real, _sets(task), options.classifier, options.evaluation, task.seed, task.run_dir / "accuracy_scores"
    )
    write_json(task.outputs["evaluation"] / accuracy_scores.RESULT, rows)


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
    """The generated images, one folder of Examples per generator, in the order of the generators' names: where the
    folders lie depends on which run made them, and a run that was interrupted is several."""
    artifacts = task.artifacts("generated", "sampled", "imported")
    return sorted((info.parent for a in artifacts for info in a.glob("*/examples.json")), key=lambda path: path.name)


def _classifier_verdict(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    if not np.isfinite(probabilities).all():
        return {"blessed": False, "reason": "a probability is not finite"}
    accuracy, majority = (
        float((probabilities.argmax(1) == labels).mean()),
        float(np.bincount(labels).max() / len(labels)),
    )
    text = f"test accuracy {accuracy:.3f}, always the commonest class {majority:.3f}"
    return {"blessed": accuracy > majority, "reason": text}
