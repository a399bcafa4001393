"""Trainer: CycleGANs, one per job: an alpha of experiment 2 or a class of experiment 1. One compiled step serves all
jobs."""

from __future__ import annotations

import dataclasses
import shutil
from functools import partial
from pathlib import Path

import pandas as pd

from lesiongan.base.contents import check_part, seal_part
from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.data.lesions import source_of
from lesiongan.evaluation.judge import Judge
from lesiongan.experiments.amounts import alpha_generator, refined_generator
from lesiongan.experiments.path_rank_filter import RANKED
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.models.guidance import NO_CLASS, Guide
from lesiongan.serving import saved_models
from lesiongan.steps.gan_data import gan_splits
from lesiongan.steps.model_run import keep_run, keep_training
from lesiongan.steps.side_by_side import side_by_side
from lesiongan.steps.step import Task
from lesiongan.training.cyclegan import settled_precision, train_cyclegan
from lesiongan.training.guiding import aims_of, guide_of
from lesiongan.training.measuring import exported_state

OUTPUTS = ("model", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    cyclegan: CycleGANConfig = CycleGANConfig()
    source: str = "NV"  # X of the alphas' jobs
    target: str = "MEL"  # their Y, filtered
    alphas: tuple[float, ...] = ()  # jobs of experiment 2
    classes: tuple[str, ...] = ()  # jobs of experiment 1
    with_validation: bool = False


def run(task: Task[Options]) -> dict:
    """Inputs: `examples`; `selection` for alphas, `generated` (the ACGAN's images) for classes; `judge` (a classifier's
    Model artifact), where trainings are measured by KID to real validation images, or guided, and then not measured.
    Outputs: `model`, `model_run`."""
    options = task.options
    parts = [dataclasses.replace(options, alphas=(alpha,), classes=()) for alpha in options.alphas]
    parts += [dataclasses.replace(options, alphas=(), classes=(name,)) for name in options.classes]

    of_process: list[CycleGAN | None] = [None]  # each has its own, with its compiled step

    def part(number: int) -> list[str]:
        of_process[0] = _train(dataclasses.replace(task, options=parts[number]), of_process[0])
        return []

    if side_by_side(part, len(parts)) is None:
        _train(task)
    names = [*map(alpha_generator, options.alphas), *map(refined_generator, options.classes)]
    for name in names:
        exported, run_dir = _places(task, name)
        keep_run(run_dir, task.outputs["model_run"] / name)
        shutil.copytree(exported, task.outputs["model"] / name, dirs_exist_ok=True)
    seen = options.cyclegan.images * len(names)
    return {"models": len(names), "images_seen": seen, "with_validation": options.with_validation}


def _places(task: Task[Options], name: str) -> tuple[Path, Path]:
    """Where a job's export is kept, and its training, in the working folder."""
    return task.run_dir / "models" / name, task.run_dir / "runs" / name


def _train(task: Task[Options], model: CycleGAN | None = None) -> CycleGAN | None:
    """Trains and exports the jobs that are not finished; `model`, of earlier jobs, has a compiled step."""
    judge, guide = _judge_or_guide(task, model)
    config = settled_precision(task.options.cyclegan, task.run_dir, guide)
    taxonomy = examples.taxonomy(task.artifact("examples"))
    for name, x, y, validation, sources, details in [*_alpha_jobs(task), *_class_jobs(task)]:
        say(f"CycleGAN {name}: {len(x):,} images of X, {len(y):,} of Y")
        # a job that was finished before a kill is not trained again: its export is in the working folder
        exported, run_dir = _places(task, name)
        if _finished(exported):
            continue
        model = train_cyclegan(
            config,
            x,
            y,
            run_dir=run_dir,
            seed=task.seed,
            name=name,
            model=model,
            judge=judge,
            validation=validation,
            sources=sources,
            guide=guide,
            aims=_aims(guide, details),
        )
        details = {"config": dataclasses.asdict(config), "seed": task.seed, **details}
        details["resize"] = examples.read_info(task.artifact("examples")).get("resize", "squash")
        details |= exported_state(run_dir, config.export)
        if guide is not None:
            details["guided_by"] = guide.digest
        served = served_generator(model.exported)
        saved_models.export(
            served,
            exported,
            kind="cyclegan",
            size=config.size,
            taxonomy=taxonomy,
            details=details,
            beside=partial(keep_training, model, run_dir=run_dir, exported=model.exported),
        )
        seal_part(exported)
    return model


def _judge_or_guide(task: Task[Options], model: CycleGAN | None) -> tuple[Judge | None, Guide | None]:
    """The classifier that was handed in, as what it is wanted for; a model with a compiled step keeps its guide."""
    if not task.has("judge"):
        return None, None
    if task.options.cyclegan.guidance:
        return None, model.guide if model is not None else guide_of(task.artifact("judge"))
    return Judge.of_classifier(task.artifact("judge")), None


def _aims(guide: Guide | None, details: dict) -> tuple[int, int]:
    """By the classes that a job translates from and to; one that refines a class has only that."""
    if guide is None:
        return NO_CLASS, NO_CLASS
    own = details.get("class", "")
    return aims_of(guide.classes, details.get("target", own), details.get("source", own))


def _finished(exported: Path) -> bool:
    """Whether a job's export is there, and what it was."""
    try:
        return check_part(exported)
    except DamagedError as error:
        say(f"{error}; it is trained again")
        shutil.rmtree(exported, ignore_errors=True)
        return False


def _alpha_jobs(task: Task[Options]):
    """X = training images of the source class, Y = those of the target class that alpha keeps; both classes' validation
    images to judge by."""
    options = task.options
    if not options.alphas:
        return
    x, target = (_of_class(task, "train", name) for name in (options.source, options.target))
    validation = tuple(_of_class(task, "validation", name) for name in (options.source, options.target))
    ranked = pd.read_csv(task.artifact("selection") / RANKED, dtype={"image_id": str})
    for alpha in options.alphas:
        chosen = set(ranked["image_id"][ranked[f"kept_{alpha:g}"]])
        y = target.take([i for i, image_id in enumerate(target.ids) if image_id in chosen])
        details = {"source": options.source, "target": options.target, "alpha": alpha}
        sources = tuple(_sources(task, images) for images in (x, y))
        yield alpha_generator(alpha), x, y, validation, sources, details


def _of_class(task: Task[Options], split: str, name: str) -> ImageSet:
    return examples.load(task.artifact("examples"), task.options.cyclegan.size, split, classes=[name])


def _sources(task: Task[Options], images: ImageSet) -> list[str]:
    return [source_of(lesion) for lesion in examples.lesion_ids(task.artifact("examples"), images.ids)]


def _class_jobs(task: Task[Options]):
    """X = the ACGAN's images of the class, Y = the real ones; X's own translations are measured against the class's
    real validation images (which Y has seen too where `with_validation` is on)."""
    options = task.options
    if not options.classes:
        return
    size, taxonomy = options.cyclegan.size, examples.taxonomy(task.artifact("examples"))
    real = examples.load_splits(task.artifact("examples"), size, gan_splits(options.with_validation))
    held = examples.load(task.artifact("examples"), size, "validation")
    generated: ImageSet = examples.load(task.artifact("generated") / "acgan", size, "train")
    for abbreviation in options.classes:
        label = taxonomy.index(abbreviation)
        x, y, validation = (images.of_class(label) for images in (generated, real, held))
        yield refined_generator(abbreviation), x, y, (x, validation), None, {"class": abbreviation}
