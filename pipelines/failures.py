"""Why a step failed: one line that says what to do, and an exit code of the table."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.errors import ExitCode, LesionganError, as_machine_error
from lesiongan.base.files import read_json

_TAIL = 15  # lines of a step's log that are shown where it failed without saying why
_FULL = 1 << 16  # bytes: less than that is no room
_KILLED = (137, -9)  # what a shell says of a process that signal 9 has ended, and what Python says of the shell
#: Step -> the options that decide how much memory it takes: how many pictures at once, and of how many pixels.
_MEMORY = {
    "train-classifier": ("classifier.batch", "classifier.size"),
    "train-grid": ("classifier.batch", "classifier.size"),
    "train-acgan": ("acgan.batch", "acgan.size"),
    "sample-images": ("acgan.size",),
    "train-cyclegan": ("cyclegan.batch", "cyclegan.size"),
    "translate-images": ("cyclegan.size",),
    "path-rank-filter": ("classifier.size",),
}


class StepFailed(LesionganError):
    """A step said why it failed; its exit code is the run's."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = ExitCode(exit_code)


def failure_of(
    task: str, exit_code: int, error: Path, log: Path, said: dict[str, Any], config: Mapping[str, Any]
) -> StepFailed:
    """What the step that failed said, in one line.

    Args:
        task: the step.
        exit_code: of its process.
        error: where it says why.
        log: its lines.
        said: what it said on its output, where it could not write `error`.
        config: the run's options.
    """
    said = _read(error) or said
    if said.get("memory"):
        return StepFailed(f"step {task}: out of memory; {_less_memory(task, config)}", ExitCode.MACHINE)
    if said:
        where = "" if said["expected"] else f" (log: {log})"
        return StepFailed(f"{said['message']}{where}", said["exit_code"])
    if exit_code in _KILLED:
        return StepFailed(
            f"step {task} was killed (signal 9), mostly because the memory is full; {_less_memory(task, config)}",
            ExitCode.MACHINE,
        )
    last = _lines(log)[-_TAIL:]
    words = os.strerror(errno.ENOSPC)  # kfp writes too, and the log may be as short as the disk
    if any(words in line for line in last) or _is_full(log.parent):
        return StepFailed(str(as_machine_error(OSError(errno.ENOSPC, words), log.parent)), ExitCode.MACHINE)
    for line in last:
        print(f"    {line}", file=sys.stderr)
    text = f"step {task} ended without saying why (exit code {exit_code}). Log: {log}"
    return StepFailed(f"{text}; the same command goes on from here", ExitCode.FAILED)


def _read(error: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return read_json(error)
    return {}


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _FULL
    return False


def _lines(log: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def _less_memory(task: str, config: Mapping[str, Any]) -> str:
    for option in _MEMORY.get(task.rstrip("-0123456789"), ()):  # `-2`: of a loop's second turn
        group, _, name = option.partition(".")
        value = config[group][name]
        if value > 1:
            return f"--set {option}={value // 2} (it is {value}) takes less, or free some; finished steps stay"
    return "free some, then give the same command again: it goes on from here"
