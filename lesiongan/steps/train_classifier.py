"""Trainer: the lesion classifier on real images."""

from __future__ import annotations

import dataclasses

from lesiongan.config.classifier import ClassifierConfig
from lesiongan.data import examples
from lesiongan.serving import saved_models, seen_images
from lesiongan.steps.model_run import keep_run, keep_training
from lesiongan.steps.step import Task
from lesiongan.training.classifier import save_state, train_classifier

#: The whole state of the trained classifier, from which an experiment's cells can go on.
STATE = "state.npz"


OUTPUTS = ("model", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    classifier: ClassifierConfig = ClassifierConfig()


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`; `transfer` (a classifier's folder), whose weights it begins with.
    Outputs: `model` (a model named `classifier`), `model_run`."""
    config, taxonomy = task.options.classifier, examples.taxonomy(task.artifact("examples"))
    train = examples.load(task.artifact("examples"), config.size, "train")
    validation = examples.load(task.artifact("examples"), config.size, "validation")
    model, summary = train_classifier(
        config,
        train,
        validation,
        num_classes=len(taxonomy),
        run_dir=task.run_dir / "run",
        seed=task.seed,
        initial=task.artifact("transfer") / STATE if task.has("transfer") else None,
    )
    directory = task.outputs["model"] / "classifier"
    measured = {key: value for key, value in summary.items() if key.startswith("validation_")}
    details = {"config": dataclasses.asdict(config), "seed": task.seed, "peak": summary["learning_rate"], **measured}
    details["resize"] = examples.read_info(task.artifact("examples")).get("resize", "squash")
    saved_models.export(
        model,
        directory,
        kind="classifier",
        size=config.size,
        taxonomy=taxonomy,
        details=details,
        beside=lambda folder: keep_training(model, folder, task.run_dir / "run"),
    )
    save_state(model, directory / STATE)
    seen_images.note(directory, train)
    keep_run(task.run_dir / "run", task.outputs["model_run"] / "classifier")
    return {"images": len(train), **summary}
