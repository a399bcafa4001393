"""Trainer: CycleGANs, one a job: an alpha of experiment 2 or a class of experiment 1. One compiled step serves all
jobs."""

from __future__ import annotations

import dataclasses
import shutil

import pandas as pd

from lesiongan import serving
from lesiongan.config import CycleGANConfig
from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.filtering import RANKED
from lesiongan.grid import alpha_generator
from lesiongan.progress import say
from lesiongan.steps.gan_data import gan_splits
from lesiongan.steps.model_run import keep_run
from lesiongan.steps.step import Task
from lesiongan.training.cyclegan import train_cyclegan


@dataclasses.dataclass(frozen=True)
class Options:
    cyclegan: CycleGANConfig = CycleGANConfig()
    source: str = "NV"  # X of the alphas' jobs
    target: str = "MEL"  # their Y, filtered
    alphas: tuple[float, ...] = ()  # jobs of experiment 2
    classes: tuple[str, ...] = ()  # jobs of experiment 1
    with_validation: bool = False


def run(task: Task) -> dict:
    """Inputs: `examples`; `selection` for alphas, `generated` (the ACGAN's images) for classes. Outputs: `model`,
    `model_run`."""
    options, config = task.options, task.options.cyclegan
    taxonomy = examples.taxonomy(task.inputs["examples"])
    model, finished = None, 0
    for name, x, y, details in [*_alpha_jobs(task), *_class_jobs(task)]:
        say(f"CycleGAN {name}: {len(x):,} images of X, {len(y):,} of Y")
        # a job that was finished before a kill is not trained again: its export stands in the working folder
        exported, run_dir = task.run_dir / "models" / name, task.run_dir / "runs" / name
        if not (exported / "model.json").exists():
            model = train_cyclegan(config, x, y, run_dir=run_dir, seed=task.seed, name=name, model=model)
            details = {"config": dataclasses.asdict(config), "seed": task.seed, **details}
            serving.export(model, exported, kind="cyclegan", size=config.size, taxonomy=taxonomy, details=details)
        keep_run(run_dir, task.outputs["model_run"] / name)
        shutil.copytree(exported, task.outputs["model"] / name, dirs_exist_ok=True)
        finished += 1
    return {"models": finished, "images_seen": config.images * finished, "with_validation": options.with_validation}


def _alpha_jobs(task: Task):
    """X = training images of the source class, Y = those of the target class that alpha keeps."""
    options = task.options
    if not options.alphas:
        return
    size = options.cyclegan.size
    x = examples.load(task.inputs["examples"], size, "train", classes=[options.source])
    target = examples.load(task.inputs["examples"], size, "train", classes=[options.target])
    ranked = pd.read_csv(task.inputs["selection"] / RANKED, dtype={"image_id": str})
    for alpha in options.alphas:
        chosen = set(ranked["image_id"][ranked[f"kept_{alpha:g}"]])
        y = target.take([i for i, image_id in enumerate(target.ids) if image_id in chosen])
        yield alpha_generator(alpha), x, y, {"source": options.source, "target": options.target, "alpha": alpha}


def _class_jobs(task: Task):
    """X = the ACGAN's images of the class, Y = the real ones."""
    options = task.options
    if not options.classes:
        return
    size, taxonomy = options.cyclegan.size, examples.taxonomy(task.inputs["examples"])
    real = examples.load_splits(task.inputs["examples"], size, gan_splits(options.with_validation))
    generated: ImageSet = examples.load(task.inputs["generated"] / "acgan", size, "train")
    for abbreviation in options.classes:
        label = taxonomy.index(abbreviation)
        yield f"refined-{abbreviation}", generated.of_class(label), real.of_class(label), {"class": abbreviation}
