"""The report: what the artifacts of a run say, in one HTML file that a person opens from disk."""

from __future__ import annotations

import dataclasses
import json
import os
import time

from lesiongan import __version__
from lesiongan.base.lineage import machine, versions
from lesiongan.config.reader import to_json
from lesiongan.config.run import Config
from lesiongan.reporting.gather import TITLES, gather
from lesiongan.reporting.report import write_report
from lesiongan.steps.component import COMMAND_VARIABLE
from lesiongan.steps.step import Task

OUTPUTS = ("report",)


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: str = "nevus_to_melanoma"
    config: Config = Config()


def run(task: Task[Options]) -> dict:
    """Inputs: see `reporting.gather`.
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
            "versions": {"lesiongan": __version__, **versions()},
            "machine": machine(),
            "seed": task.seed,
            **gather(experiment, task.inputs),
        },
    )
    return {"bytes": task.outputs["report"].stat().st_size}
