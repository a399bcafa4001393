"""Errors that a user can do something about, each with its exit code.

A message is one line: what was wrong, where, what to do. The table of exit codes stands in `ExitCode` and nowhere else.
"""

from __future__ import annotations

import enum

from lesiongan.base.shown import one_line


class ExitCode(enum.IntEnum):
    """What the process's exit code says."""

    DONE = 0
    FAILED = 1  # a step failed
    USAGE = 2  # wrong usage or wrong input
    MACHINE = 3  # the machine: disk full, out of memory, another run holds the workdir
    INTERRUPTED = 130


class LesionganError(Exception):
    """An error shown as one line, without a traceback."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str):
        super().__init__(one_line(" ".join(str(message).split())))


class UsageError(LesionganError):
    """Wrong usage or wrong input: the user changes the command or the data."""

    exit_code = ExitCode.USAGE


class MachineError(LesionganError):
    """The machine cannot do it now: disk full, out of memory, workdir held by another run."""

    exit_code = ExitCode.MACHINE


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
