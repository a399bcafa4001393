"""Trainer: the ACGAN, noise and class -> image."""

from __future__ import annotations

import dataclasses

from lesiongan import serving
from lesiongan.config import ACGANConfig
from lesiongan.data import examples
from lesiongan.steps.gan_data import gan_splits
from lesiongan.steps.model_run import keep_run
from lesiongan.steps.step import Task
from lesiongan.training.acgan import train_acgan


@dataclasses.dataclass(frozen=True)
class Options:
    acgan: ACGANConfig = ACGANConfig()
    with_validation: bool = False


def run(task: Task) -> dict:
    """Inputs: `examples`. Outputs: `model` (a model named `acgan`), `model_run`."""
    config, taxonomy = task.options.acgan, examples.taxonomy(task.inputs["examples"])
    images = examples.load_splits(task.inputs["examples"], config.size, gan_splits(task.options.with_validation))
    model = train_acgan(config, images, num_classes=len(taxonomy), run_dir=task.run_dir / "run", seed=task.seed)
    details = {"config": dataclasses.asdict(config), "seed": task.seed, "with_validation": task.options.with_validation}
    serving.export(
        model, task.outputs["model"] / "acgan", kind="acgan", size=config.size, taxonomy=taxonomy, details=details
    )
    keep_run(task.run_dir / "run", task.outputs["model_run"] / "acgan")
    return {"images": len(images)}
