"""Generator: the generated sets of several machines as one artifact, for tasks of a loop, which kfp hands no list."""

from __future__ import annotations

import dataclasses
import shutil

from lesiongan.data.examples import INFO
from lesiongan.errors import LesionganError
from lesiongan.steps.step import Task


@dataclasses.dataclass(frozen=True)
class Options:
    pass


def run(task: Task) -> dict:
    """Inputs: `generated` (a list). Outputs: `generated`, a folder of Examples a set.

    Raises:
        LesionganError: two sets have one name.
    """
    output, names = task.outputs["generated"], set()
    for artifact in task.inputs["generated"]:
        for info in sorted(artifact.glob(f"*/{INFO}")):
            name = info.parent.name
            if name in names:
                raise LesionganError(f"two generated sets are called {name!r}")
            names.add(name)
            shutil.copytree(info.parent, output / name, dirs_exist_ok=True)
    return {"sets": len(names)}
