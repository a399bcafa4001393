"""ExampleGen: a folder as it was downloaded (or phantoms) -> Examples."""

from __future__ import annotations

import dataclasses

from lesiongan.config.data import DataConfig
from lesiongan.data import examples
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.ingest import ingest
from lesiongan.steps.step import Task

_SHOWN = 10


OUTPUTS = ("examples",)


@dataclasses.dataclass(frozen=True)
class Options:
    data: DataConfig = DataConfig()
    sizes: tuple[int, ...] = ()


def run(task: Task[Options]) -> dict:
    """Parameters: `data`, the path or `phantoms`. Outputs: `examples`, with `preview.png`."""
    output, sizes = task.outputs["examples"], sorted(set(task.options.sizes))
    scratch = task.run_dir / "decoding"
    info = ingest(task.parameters["data"], output, task.options.data, sizes, task.seed, scratch=scratch)
    rows = examples.first_of_each_class(output, sizes[-1], "train", _SHOWN)
    save_sheet(contact_sheet(rows, info["taxonomy"]["classes"], cell=72), output / "preview.png")
    return {key: info[key] for key in ("rows", "images", "missing", "unusable")}
