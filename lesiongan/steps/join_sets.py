"""Generator: the generated sets of several machines as one artifact, for tasks of a loop, which kfp hands no list."""

from __future__ import annotations

import dataclasses
import shutil

from lesiongan.base.errors import LesionganError
from lesiongan.data.examples import INFO
from lesiongan.steps.step import Task

OUTPUTS = ("generated",)


@dataclasses.dataclass(frozen=True)
class Options:
    pass


def run(task: Task[Options]) -> dict:
    """Inputs: `parts` (a list), and `sampled`, `imported` where they are.
    Outputs: `generated`, one folder of Examples per set.

    Raises:
        LesionganError: two sets have one name.
    """
    output, names = task.outputs["generated"], set()
    for artifact in task.artifacts("parts", "sampled", "imported"):
        for info in sorted(artifact.glob(f"*/{INFO}")):
            name = info.parent.name
            if name in names:
                raise LesionganError(f"two generated sets are called {name!r}")
            names.add(name)
            shutil.copytree(info.parent, output / name, dirs_exist_ok=True)
    return {"sets": len(names)}
