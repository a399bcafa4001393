"""Trainer: the parts of a grid that machines trained side by side, as one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pandas as pd

from lesiongan.base.errors import LesionganError
from lesiongan.base.files import write_text
from lesiongan.data.csv_files import as_csv
from lesiongan.steps.step import Task

OUTPUTS = ("predictions", "model_run")


@dataclasses.dataclass(frozen=True)
class Options:
    cells: tuple[str, ...] = ()  # the names of all cells, in the table's order
    seeds: int = 1


def run(task: Task[Options]) -> dict:
    """Inputs: `parts`, `part_runs` (lists, one entry per part). Outputs: `predictions`, `model_run`.

    Raises:
        LesionganError: a cell is missing, is there twice, or the parts were tested on different images.
    """
    parts, output = task.artifacts("parts"), task.outputs["predictions"]
    tables = [_text_table(part / "cells.csv") for part in parts]
    _check_truth(parts)
    rows = pd.concat(tables, ignore_index=True)
    wanted = [(str(seed), cell) for seed in range(task.options.seeds) for cell in task.options.cells]
    present = list(zip(rows["seed"], rows["cell"], strict=True))
    for seed, cell in wanted:
        if present.count((seed, cell)) != 1:
            raise LesionganError(
                f"cell {cell}, seed {seed}: {present.count((seed, cell))} of the parts have it, not one"
            )
    for part in parts:
        shutil.copytree(part, output, dirs_exist_ok=True)
    write_text(output / "cells.csv", as_csv(rows.iloc[[present.index(key) for key in wanted]]))
    for folder in task.artifacts("part_runs"):
        shutil.copytree(folder, task.outputs["model_run"], dirs_exist_ok=True)
    return {"classifiers": len(rows)}


def _check_truth(parts: list[Path]) -> None:
    """All parts must have been tested on the same images."""
    for path in sorted(parts[0].rglob("truth.csv")):
        name = path.relative_to(parts[0])
        for part in parts[1:]:
            if not (part / name).is_file() or (part / name).read_bytes() != path.read_bytes():
                raise LesionganError(f"{part / name}: other test images than in {path}; train the grid again")


def _text_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
