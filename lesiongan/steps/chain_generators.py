"""Generator: the ACGAN and its CycleGANs as one model, which can be served."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lesiongan.serving import model_artifact
from lesiongan.serving.chained import NAME, export_chain
from lesiongan.steps.step import Task

OUTPUTS = ("model",)


@dataclasses.dataclass(frozen=True)
class Options:
    pass


def run(task: Task[Options]) -> dict:
    """Inputs: `acgan`, `models` (a list: CycleGANs of one class each). Outputs: `model` (a model named `refined`)."""
    refiners = {}
    for artifact in task.artifacts("models"):
        for name in model_artifact.names(artifact):
            place = Path(artifact) / name
            refiners[model_artifact.describe(place)["class"]] = place
    record = export_chain(task.artifact("acgan") / "acgan", refiners, task.outputs["model"] / NAME)
    return {"classes": len(record["refines"])}
