"""Trainer: one CycleGAN on two folders of pictures, on its own; no pipeline has it."""

from __future__ import annotations

import dataclasses
import shutil

from lesiongan.base.progress import say
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.data import DataConfig
from lesiongan.data.folders import held_out, read_folder
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy
from lesiongan.evaluation.imagenet_judge import judge_of
from lesiongan.models.cyclegan.served_generator import served_generator
from lesiongan.models.guidance import NO_CLASS
from lesiongan.serving import saved_models
from lesiongan.steps.model_run import keep_run, keep_training
from lesiongan.steps.step import Task
from lesiongan.training.cyclegan import train_cyclegan
from lesiongan.training.guiding import aims_of, guide_of
from lesiongan.training.measuring import exported_state

OUTPUTS = ("model", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    cyclegan: CycleGANConfig = CycleGANConfig()
    data: DataConfig = DataConfig()  # `resize`, `exact_resize` and `validation` count


def run(task: Task[Options]) -> dict:
    """Inputs, where there are such: `judge` (a classifier's folder), which measures or, where it is to guide, does only
    that; `transfer` (a CycleGAN's folder, whose networks it begins with). Parameters: `from` and `to`, folders of
    pictures; `fingerprint` of both; `judge`: `imagenet` or empty; `source` and `target`, what they are called. Outputs:
    `model` (a model named `cyclegan`), `model_run`."""
    config, data = task.options.cyclegan, task.options.data
    source, target = task.parameters["source"], task.parameters["target"]
    guide, aims = None, (NO_CLASS, NO_CLASS)
    if config.guidance and task.has("judge"):
        guide = guide_of(task.artifact("judge"))
        aims = aims_of(guide.classes, target, source)
    reading = {side: task.run_dir / f"reading-{side}" for side in ("from", "to")}
    sides = []
    for label, (side, place) in enumerate(reading.items()):
        images = read_folder(task.parameters[side], config.size, data, label=label, scratch=place)
        sides.append(held_out(images, data.validation, task.seed))
        say(f"{side}: {len(sides[-1][0]):,} pictures to learn from, {len(sides[-1][1]):,} set aside")
    named = task.artifact("judge") if task.has("judge") else task.parameters["judge"]
    run_dir = task.run_dir / "run"
    model = train_cyclegan(
        config,
        *(training for training, _ in sides),
        run_dir=run_dir,
        seed=task.seed,
        judge=judge_of(named) if named and guide is None else None,
        validation=(sides[0][1], sides[1][1]),
        guide=guide,
        aims=aims,
        transfer=task.artifact("transfer") if task.has("transfer") else None,
    )
    known = source in ISIC_2019.classes and target in ISIC_2019.classes
    details = {"config": dataclasses.asdict(model.config), "seed": task.seed, "source": source, "target": target}
    details["resize"] = data.resize
    if guide is not None:
        details["guided_by"] = guide.digest
    saved_models.export(
        served_generator(model.exported),
        task.outputs["model"] / "cyclegan",
        kind="cyclegan",
        size=config.size,
        taxonomy=ISIC_2019 if known else Taxonomy.of((source, target)),
        details=details | exported_state(run_dir, config.export),
        beside=lambda folder: keep_training(model, folder, run_dir, model.exported),
    )
    keep_run(run_dir, task.outputs["model_run"] / "cyclegan")
    for place in reading.values():
        shutil.rmtree(place, ignore_errors=True)
    return {"from": len(sides[0][0]), "to": len(sides[1][0])}
