"""ExampleGen: a folder as it was downloaded (or phantoms) -> Examples."""

from __future__ import annotations

import dataclasses
import shutil

from lesiongan.config.data import DataConfig
from lesiongan.data import examples, remote
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
    """Parameters: `data`, a path, `phantoms`, or a URL of object storage. Outputs: `examples`, with `preview.png`."""
    output, sizes = task.outputs["examples"], sorted(set(task.options.sizes))
    scratch, data = task.run_dir / "decoding", task.parameters["data"]
    fetched = task.run_dir / "fetched"
    if remote.is_remote(data):
        data = str(remote.fetch(data, fetched))
    info = ingest(data, output, task.options.data, sizes, task.seed, scratch=scratch)
    rows = examples.first_of_each_class(output, sizes[-1], "train", _SHOWN)
    save_sheet(contact_sheet(rows, info["taxonomy"]["classes"], cell=72), output / "preview.png")
    shutil.rmtree(fetched, ignore_errors=True)
    return {key: info[key] for key in ("rows", "images", "missing", "unusable")}
