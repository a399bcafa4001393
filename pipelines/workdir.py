"""A run's folder: one writer at a time, a record of each pipeline's run, and what `lesiongan status` tells of them.

workdir/
  lock                      the process that runs (flock)
  runs/<pipeline>.json      the record of the last run of a pipeline: steps, times, outputs, configuration
  logs/<pipeline>/<step>.log
  artifacts/                kfp's pipeline root
  cache/                    kfp's cache of finished steps
  tmp/                      temporary files of a run; not there without one
  work/<step>-<identity>/   checkpoints and finished parts of steps, from which an interrupted one goes on
  models/<name>             a link to each trained model in artifacts/
  report-<pipeline>.html

Paths in the records are relative to the workdir, which may be copied and renamed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import time
from pathlib import Path

from lesiongan.base import lineage
from lesiongan.base.errors import UsageError
from lesiongan.base.files import disk_used, sweep_temporaries
from lesiongan.base.lineage import RECORD_ENDING
from lesiongan.base.locks import is_held
from lesiongan.base.progress import duration
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed
from pipelines.entries import read_entry

FORMAT = 2  # of a record; 2: sealed
_OF_A_RUN = re.compile(r"[\w-]+-\d{4}(-\d\d){5}-\d+")


def sweep(workdir: Path) -> None:
    """Removes what interrupted runs left: artifacts that no finished step refers to, and files and folders that were
    being written. The caller holds the workdir."""
    sweep_temporaries(workdir)
    used = _used(workdir)
    for folder in (workdir / "artifacts").glob("*"):
        # only what the engine has named, a pipeline and a time
        if folder.is_dir() and _OF_A_RUN.fullmatch(folder.name):
            _prune(folder, used)


def _used(workdir: Path) -> set[Path]:
    """The folders of finished steps, which hold their artifacts, and all above them."""
    used: set[Path] = set()
    for path in (workdir / "cache").glob("*.json"):
        try:
            artifacts = read_entry(path).values()
        except DamagedError:  # its step is run again
            continue
        for artifact in artifacts:
            # a copied workdir's entries of version 0.2 name the artifacts of the original by their whole paths
            within = artifact["uri"].rpartition("artifacts/")[2]
            used.update((workdir / "artifacts" / within).parents)
    return used


def _prune(folder: Path, used: set[Path]) -> None:
    if folder not in used:
        shutil.rmtree(folder, ignore_errors=True)
    elif not (folder / "executor_output.json").exists():  # which kfp writes where a step has its outputs
        for child in folder.iterdir():
            if child.is_dir():
                _prune(child, used)


def link_models(workdir: Path, artifact: str) -> None:
    """Makes the models of an artifact (a path within the workdir) found by their names, in `models/`."""
    for model in sorted((workdir / artifact).glob("*/model.json")):
        link = workdir / "models" / model.parent.name
        with contextlib.suppress(OSError):  # a file system without links; the models are where they are
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(model.parent, link.parent), target_is_directory=True)


class RunRecord:
    """`runs/<pipeline>.json`, rewritten after each step, so that `status` sees a run while it goes on."""

    def __init__(self, workdir: Path, pipeline: str, **facts):
        self.path = workdir / "runs" / f"{pipeline}.json"
        self._begin = time.monotonic()  # a clock may be set while it runs
        self.data = {
            "format": FORMAT,
            "pipeline": pipeline,
            "status": "running",
            "started": time.time(),
            "steps": [],
            **facts,
        }
        self.write()

    def write(self) -> None:
        write_sealed(self.path, self.data)

    def step(self, name: str, **facts) -> None:
        """Adds a step, or changes what is known of it."""
        for row in self.data["steps"]:
            if row["name"] == name:
                row.update(facts)
                break
        else:
            self.data["steps"].append({"name": name, **facts})
        self.write()

    def finish(self, status: str, **facts) -> None:
        self.data |= {"status": status, "seconds": round(time.monotonic() - self._begin, 1), **facts}
        self.write()


def status_lines(workdir: Path) -> list[str]:
    """What ran, what came from the cache, what failed, and the disk used, for a person.

    Raises:
        UsageError: no such folder, nothing was run in it, or a record that cannot be read.
    """
    if not (workdir / "runs").is_dir() and (
        any(workdir.glob(f"*{RECORD_ENDING}")) or any((workdir / "work").glob("train*"))
    ):
        return _training_lines(workdir)
    records = _records(workdir)
    running, lines = is_held(workdir), []
    for record in records:
        state = record["status"]
        if state == "running" and not running:
            state = "interrupted; the same command goes on from here"
        lines.append(f"{record['pipeline']}: {state}")
        for row in record["steps"]:
            shown = "interrupted" if row["status"] == "running" and not running else row["status"]
            text = f"  {shown:<12}{row['name']:<24}{duration(row['seconds']) if 'seconds' in row else ''}"
            lines.append(text.rstrip() + (f"  {row['error']}" if row.get("error") else ""))
        if record.get("report"):
            lines.append(f"  report: {workdir / record['report']}")
    return [*lines, _disk_line(workdir)]


def _training_lines(folder: Path) -> list[str]:
    """The same of a folder that `lesiongan train` wrote to."""
    found = lineage.records(folder, "*")
    steps = {record["step"]: record for record in sorted(found, key=lambda record: record["started"])}
    lines = [f"  {'done':<12}{name:<24}{duration(record['seconds'])}" for name, record in steps.items()]
    finished = {f"{record['step']}-{record['identity'][:16]}" for record in found}
    for place in sorted((folder / "work").glob("*-*")):
        if place.name not in finished:
            lines.append(f"  {'unfinished':<12}{place.name.rpartition('-')[0]:<24}the same command goes on from here")
    models = [f"  model: {path.parent}" for path in sorted(folder.glob("model/*/model.json"))]
    return ["training", *lines, *models, _disk_line(folder)]


def _disk_line(folder: Path) -> str:
    parts = ", ".join(f"{p.name} {size_text(disk_used(p))}" for p in sorted(folder.iterdir()) if p.is_dir())
    return f"disk used: {size_text(disk_used(folder))} ({parts})"


def status_json(workdir: Path) -> str:
    """The run records as one JSON text, for programs."""
    return json.dumps(_records(workdir), indent=1)


def _records(workdir: Path) -> list[dict]:
    if not workdir.is_dir():
        problem = "that is a file" if workdir.exists() else "no such folder"
        raise UsageError(f"{workdir}: {problem}; give the --workdir of a run")
    records = run_records(workdir)
    if not records:
        raise UsageError(f"{workdir}: nothing was run here; give the --workdir of a run")
    return records


def run_records(workdir: Path) -> list[dict]:
    """The records of a workdir's runs; raises `UsageError` where one cannot be read."""
    records = []
    for path in sorted((workdir / "runs").glob("*.json")):
        try:
            record = read_sealed(path, unsealed=lambda data: data.get("format") == 1)
            if not _is_record(record):
                raise DamagedError("is not a record")
        except DamagedError as error:
            raise UsageError(
                f"{path}: not the record of a run (it {error}); give the --workdir of a run, or run it again"
            ) from None
        records.append(record)
    return records


def _is_record(data: dict) -> bool:
    rows = data.get("steps")
    texts = all(isinstance(data.get(key), str) for key in ("pipeline", "status"))
    return (
        texts
        and isinstance(data.get("report", ""), str)
        and isinstance(rows, list)
        and all(
            isinstance(row, dict)
            and all(isinstance(row.get(key), str) for key in ("name", "status"))
            and isinstance(row.get("seconds", 0), (int, float))
            and math.isfinite(row.get("seconds", 0))
            and isinstance(row.get("error", ""), str)
            for row in rows
        )
    )


def size_text(count: float) -> str:
    """Bytes for a person."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
