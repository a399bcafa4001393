"""What the beginning and the middle of a pipeline leave for what comes after them."""

from __future__ import annotations

import dataclasses
from typing import Any

from kfp import dsl


@dataclasses.dataclass(frozen=True)
class Real:
    """What the shared beginning leaves: the Examples, and the task of the classifier that judges."""

    examples: Any
    classifier: dsl.PipelineTask

    @property
    def inputs(self) -> dict[str, Any]:
        return {"examples": self.examples, "classifier": self.classifier.outputs["model"]}


@dataclasses.dataclass(frozen=True)
class Middle:
    """What a middle leaves: the loop's tasks that train CycleGANs and make images, and what only one of the two has;
    nothing where all images were made elsewhere."""

    trained: dsl.PipelineTask | None = None
    translated: dsl.PipelineTask | None = None
    selection: Any = None
    acgan: dsl.PipelineTask | None = None
    sampled: Any = None

    def collected(self, output: str) -> Any:
        """An output of all turns of the loop, None where there is no loop. kfp changes a `Collected` where it is used,
        so each use has its own."""
        task = self.translated if output == "generated" else self.trained
        return task and dsl.Collected(task.outputs[output])
