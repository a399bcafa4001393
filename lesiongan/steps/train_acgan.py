"""Trainer: the ACGAN, noise and class -> image."""

from __future__ import annotations

import dataclasses

from lesiongan.config.acgan import ACGANConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation.judge import Judge
from lesiongan.models.guidance import Guide
from lesiongan.serving import saved_models
from lesiongan.steps.gan_data import gan_splits
from lesiongan.steps.model_run import keep_run, keep_training
from lesiongan.steps.step import Task
from lesiongan.training.acgan import train_acgan
from lesiongan.training.guiding import check_classes, guide_of
from lesiongan.training.measuring import exported_state

OUTPUTS = ("model", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    acgan: ACGANConfig = ACGANConfig()
    with_validation: bool = False


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`; `judge` (a classifier's Model artifact), where the training is measured by KID to real
    validation images, or guided, and then not measured; `transfer` (an ACGAN's folder), whose networks it begins with.
    Outputs: `model` (a model named `acgan`), `model_run`."""
    taxonomy = examples.taxonomy(task.artifact("examples"))
    config = task.options.acgan
    guide: Guide | None = None
    if config.guidance and task.has("judge"):
        guide = guide_of(task.artifact("judge"))
        check_classes(guide, taxonomy.classes)
    images = examples.load_splits(task.artifact("examples"), config.size, gan_splits(task.options.with_validation))
    judge: Judge | None = None
    held: ImageSet | None = None
    if task.has("judge") and guide is None:
        held = examples.load(task.artifact("examples"), config.size, "validation")
        judge = Judge.of_classifier(task.artifact("judge"))
    run_dir = task.run_dir / "run"
    model = train_acgan(
        config,
        images,
        num_classes=len(taxonomy),
        run_dir=run_dir,
        seed=task.seed,
        judge=judge,
        validation=held,
        guide=guide,
        transfer=task.artifact("transfer") if task.has("transfer") else None,
    )
    details = {
        "config": dataclasses.asdict(model.config),
        "seed": task.seed,
        "with_validation": task.options.with_validation,
    }
    details |= exported_state(run_dir, config.export)
    if guide is not None:
        details["guided_by"] = guide.digest
    saved_models.export(
        model,
        task.outputs["model"] / "acgan",
        kind="acgan",
        size=config.size,
        taxonomy=taxonomy,
        details=details,
        beside=lambda folder: keep_training(model, folder, run_dir, model.exported),
    )
    keep_run(run_dir, task.outputs["model_run"] / "acgan")
    return {"images": len(images)}
