"""The report: what the artifacts of a run say, in one HTML file that a person opens from disk."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import time

from lesiongan import __version__
from lesiongan.config import Config, to_json
from lesiongan.reporting.gather import TITLES, gather
from lesiongan.reporting.report import write_report
from lesiongan.steps.step import COMMAND_VARIABLE, Task, machine

_PACKAGES = ("keras", "kfp", "tensorflow-datasets", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: str = "nevus_to_melanoma"
    config: Config = Config()


def run(task: Task) -> dict:
    """Inputs: `examples`, `runs`, `generated` (lists), `predictions`, `evaluation`, `blessing`, `selection`
    (experiment 2).
    Outputs: `report`, the HTML file.
    """
    experiment, config = task.options.experiment, task.options.config
    write_report(
        task.outputs["report"],
        pipeline=experiment,
        title=TITLES[experiment],
        data={
            "command": os.environ.get(COMMAND_VARIABLE, ""),
            "config": json.loads(to_json(config)),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "versions": _versions(),
            "machine": machine(),
            "seed": task.seed,
            **gather(experiment, task.inputs),
        },
    )
    return {"bytes": task.outputs["report"].stat().st_size}


def _versions() -> dict[str, str]:
    found = {"lesiongan": __version__}
    for name in ("tensorflow", "tensorflow-cpu", *_PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
