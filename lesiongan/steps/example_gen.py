"""ExampleGen: a folder as it was downloaded (or phantoms) -> Examples."""

from __future__ import annotations

import dataclasses

from lesiongan.config import DataConfig
from lesiongan.data.ingest import ingest
from lesiongan.steps.step import Task


@dataclasses.dataclass(frozen=True)
class Options:
    data: DataConfig = DataConfig()
    sizes: tuple[int, ...] = ()


def run(task: Task) -> dict:
    """Parameters: `data`, the path or `phantoms`. Outputs: `examples`."""
    return ingest(
        task.parameters["data"], task.outputs["examples"], task.options.data, sorted(set(task.options.sizes)), task.seed
    )
