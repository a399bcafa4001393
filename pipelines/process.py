"""What a run needs of its process: a folder for temporary files, and its output line by line."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def temporary_folder(folder: Path) -> Iterator[None]:
    """The temporary files of this process and of the steps go to a folder that is removed, whoever leaves them: kfp
    leaves two folders per step, a killed TensorFlow its generated code."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variable, default = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = default
        os.environ.pop("TMPDIR") if variable is None else os.environ.update(TMPDIR=variable)
        shutil.rmtree(folder, ignore_errors=True)


def empty(folder: Path) -> None:
    for path in folder.glob("*"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


class Lines(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(self, take: Callable[[str], None]):
        self.take, self.rest = take, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.take(line)
        return len(text)

    def flush(self) -> None:
        pass
