"""Where a run's time went: for each step Python and its imports, compilation, training steps, and the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from lesiongan.base import lineage
from lesiongan.base.errors import UsageError
from lesiongan.base.sealed import DamagedError, read_sealed
from pipelines.workdir import run_records

_LOSSES = "stats.jsonl"


class Times(NamedTuple):
    """Seconds of a step.

    Attributes:
        whole: from its beginning to its end, as the launcher saw it.
        start: until its work began: Python, imports, the look at its inputs; and its end.
        compilation: of training steps: what the first one of each training took beyond a usual one.
        training: all other training steps.
        rest: reading, evaluation, drawing, writing.
    """

    whole: float
    start: float
    compilation: float
    training: float

    @property
    def rest(self) -> float:
        return max(0.0, self.whole - self.start - self.compilation - self.training)


def times_lines(workdir: Path) -> list[str]:
    """A table per run for a person; steps from the cache are left out.

    Raises:
        UsageError: nothing was run here, or a record that cannot be read.
    """
    records = run_records(workdir)
    if not records:
        raise UsageError(f"{workdir}: no pipeline was run here; give the --workdir of a run")
    head = f"  {'':<24}{'whole':>10}{'start':>10}{'compiles':>10}{'trains':>10}{'the rest':>10}"
    lines = []
    for record in records:
        rows = [row for row in record["steps"] if row["status"] == "done"]
        times = {row["name"]: step_times(workdir, row) for row in rows}
        total = Times(*(sum(column) for column in zip(*times.values(), strict=True))) if times else Times(0, 0, 0, 0)
        lines += [f"{record['pipeline']}: seconds of the steps that ran", head]
        lines += [_line(name, row) for name, row in [*times.items(), ("all", total)]]
    return lines


def step_times(workdir: Path, row: dict[str, Any]) -> Times:
    """Of a finished step in a run's record."""
    whole, outputs = float(row["seconds"]), row.get("outputs", {})
    work = max((_worked(workdir / path) for path in outputs.values()), default=0.0)
    compilation = training = 0.0
    if "model_run" in outputs:
        for path in (workdir / outputs["model_run"]).rglob(_LOSSES):
            first, others = _trained(path)
            compilation, training = compilation + first, training + others
    return Times(whole, max(0.0, whole - work) if work else 0.0, compilation, training)


def _worked(artifact: Path) -> float:
    """Seconds of the step's own work by an artifact's record; 0 where there is none."""
    try:
        return float(read_sealed(lineage.lineage_path(artifact), unsealed=lambda data: True)["seconds"])
    except (DamagedError, KeyError, OSError, TypeError, ValueError):
        return 0.0


def _trained(losses: Path) -> tuple[float, float]:
    """Seconds that the first step of a training took beyond a usual one, and all the others."""
    rows = [json.loads(line) for line in losses.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return 0.0, 0.0
    first, last = rows[0], rows[-1]
    usual = (last["seconds"] - first["seconds"]) / max(last["step"] - first["step"], 1)
    compilation = max(0.0, first["seconds"] - first["step"] * usual)
    return compilation, last["seconds"] - compilation


def _line(name: str, times: Times) -> str:
    cells = (times.whole, times.start, times.compilation, times.training, times.rest)
    return f"  {name:<24}" + "".join(f"{cell:>10.1f}" for cell in cells)
