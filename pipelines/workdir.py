"""A run's folder: one writer at a time, a record of each pipeline's run, and what `lesiongan status` tells of them.

workdir/
  lock                      the process that runs (flock)
  runs/<pipeline>.json      the record of the last run of a pipeline: steps, times, outputs, configuration
  logs/<pipeline>/<step>.log
  artifacts/                kfp's pipeline root
  cache/                    kfp's cache of finished steps
  work/<step>-<identity>/   checkpoints and finished parts of steps, from which an interrupted one goes on
  models/<name>             a link to each trained model in artifacts/
  report-<pipeline>.html

Paths in the records are relative to the workdir, which may be copied and renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import disk_used, read_json, write_json
from lesiongan.base.lineage import RECORD_ENDING
from lesiongan.base.locks import is_held
from lesiongan.base.progress import duration

FORMAT = 1
_OF_A_RUN = re.compile(r"[\w-]+-\d{4}(-\d\d){5}-\d+")


def sweep(workdir: Path) -> None:
    """Removes what interrupted runs left: artifacts that no finished step refers to. The caller holds the workdir."""
    finished = "".join(path.read_text(encoding="utf-8") for path in (workdir / "cache").glob("*.json"))
    for folder in (workdir / "artifacts").glob("*"):
        # only what the engine has named, a pipeline and a time
        if folder.is_dir() and _OF_A_RUN.fullmatch(folder.name) and f"/{folder.name}/" not in finished:
            shutil.rmtree(folder, ignore_errors=True)


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
        write_json(self.path, self.data)

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
        self.data |= {"status": status, "seconds": round(time.time() - self.data["started"], 1), **facts}
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
    records = [read_json(path) for path in sorted(folder.glob(f"*{RECORD_ENDING}"))]
    steps = {record["step"]: record for record in sorted(records, key=lambda record: record["started"])}
    lines = [f"  {'done':<12}{name:<24}{duration(record['seconds'])}" for name, record in steps.items()]
    finished = {f"{record['step']}-{record['identity'][:16]}" for record in records}
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
    records = []
    for path in sorted((workdir / "runs").glob("*.json")):
        try:
            record = read_json(path)
            if not all({"name", "status"} <= row.keys() for row in record["steps"]):
                raise KeyError("name, status")
            _ = record["pipeline"], record["status"]
        except (ValueError, KeyError, TypeError, AttributeError, IsADirectoryError):
            raise UsageError(f"{path}: not the record of a run; give the --workdir of a run, or run it again") from None
        records.append(record)
    if not records:
        raise UsageError(f"{workdir}: nothing was run here; give the --workdir of a run")
    return records


def size_text(count: float) -> str:
    """Bytes for a person."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
