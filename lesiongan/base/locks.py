"""One writer at a time in the folder of a run or a training, and none in a folder of something else."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.base.lineage import RECORD_ENDING

#: One of these is in every folder that a run or a training has written to.
_OWN = ("lock", "runs/*.json", "work/code", f"*{RECORD_ENDING}")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Makes the folder of a run or a training and holds its lock; the lock ends with the process, however that ends.

    Raises:
        UsageError: it cannot be made or written, or is a folder of something else.
        MachineError: another run holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not any(any(folder.glob(pattern)) for pattern in _OWN):
            raise UsageError(f"{folder}: there are other things in this folder; name a new one, or an empty one")
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror}; name a folder that can be written with --workdir or -o"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 200).decode(errors="replace").strip()
        os.close(handle)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise UsageError(f"{folder}: cannot be locked ({error.strerror}); use a local disk") from None
        raise MachineError(
            f"{folder}: another run or training holds it ({holder or 'unknown'}); wait for it, or name another folder"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a run or a training holds the folder now."""
    try:
        handle = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(handle)
