"""Errors that a user can do something about, each with its exit code.

A message is one line: what was wrong, where, what to do. The table of exit codes stands in `ExitCode` and nowhere else.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import shutil
from collections.abc import Iterator, Sequence

from lesiongan.base.shown import one_line


class ExitCode(enum.IntEnum):
    """What the process's exit code says."""

    DONE = 0
    FAILED = 1  # a step failed
    USAGE = 2  # wrong usage or wrong input
    MACHINE = 3  # the machine: disk full, out of memory, another run holds the workdir, a training's process is gone
    INTERRUPTED = 130  # Ctrl-C; the same command goes on
    TERMINATED = 143  # SIGTERM, as a cluster sends it; the same command goes on


class LesionganError(Exception):
    """An error shown as one line, without a traceback."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str):
        super().__init__(one_line(" ".join(str(message).split())))


class UsageError(LesionganError):
    """Wrong usage or wrong input: the user changes the command or the data."""

    exit_code = ExitCode.USAGE


class MachineError(LesionganError):
    """The machine cannot do it now: disk full, out of memory, workdir held by another run, another process of
    a training gone."""

    exit_code = ExitCode.MACHINE


class Interrupted(KeyboardInterrupt):
    """A signal ended the work in order: what was done is kept.

    It is no `Exception`, as Ctrl-C is none: nothing that handles failures takes it for one.

    Args:
        message: one line.
        exit_code: of the process.
    """

    def __init__(self, message: str = "interrupted", exit_code: ExitCode = ExitCode.INTERRUPTED):
        super().__init__(message)
        self.exit_code = exit_code


#: The errors of a disk, and what they are for a person.
_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full for this user",
    errno.EFBIG: "the file system takes no file of this size",
    errno.EROFS: "the disk cannot be written",
    errno.EIO: "the disk has a fault",
    errno.ESTALE: "the network's disk has gone",
}


def as_machine_error(error: BaseException, *places: str | os.PathLike) -> MachineError | None:
    """A fault of the disk or of memory as one line; None where an error is something else.

    Libraries have errors of their own for a full disk (TensorFlow says that a resource is exhausted, HDF5 that it
    cannot flush), with the system's words in their text.

    Args:
        error: what was raised.
        places: folders that were written to; of a full disk the fullest is named.
    """
    for each in _chain(error):
        for code, words in _DISK.items():
            in_text = not isinstance(each, LesionganError) and os.strerror(code) in str(each)
            if getattr(each, "errno", None) == code or in_text:
                full = code in (errno.ENOSPC, errno.EDQUOT)
                where = getattr(each, "filename", None) or (full and _fullest(places))
                said = f"{words} ({os.strerror(code)})" + (f": {where}" if where else "")
                return MachineError(f"{said}; once that is mended the same command goes on from here")
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return OutOfMemory()
    if type(error).__name__ == "ResourceExhaustedError":
        return OutOfMemory(" on the device")
    return None


class OutOfMemory(MachineError):
    """This process got no more memory."""

    def __init__(self, where: str = ""):
        super().__init__(f"out of memory{where}: lower the batch or the image size, then give the command again")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _fullest(places: Sequence[str | os.PathLike]) -> str:
    """The place whose disk has the least room; "" where none is there."""
    free = {}
    for place in places:
        with contextlib.suppress(OSError):
            free[str(place)] = shutil.disk_usage(place).free
    return min(free, key=lambda place: free[place], default="")


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line; its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
