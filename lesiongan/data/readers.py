"""Readers of one picture of a source. They go to worker processes, so they are small and import little."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np

from lesiongan.base.errors import MachineError
from lesiongan.data.pictures import Unusable

#: Stands between archive and entry in a location.
INSIDE = "::"
_MAX_BYTES = 1 << 30  # of one picture's file
#: What a system says of a file that was listed and whose folder was then removed, renamed or unmounted.
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENOTCONN, errno.ESTALE)


class Reader(Protocol):
    """Reads one picture; small and picklable, for it goes to every worker process."""

    def read(self, location: str) -> bytes | np.ndarray:
        """An encoded file, or uint8 `[h, w, 3]`; raises `Unusable`."""


@dataclasses.dataclass(frozen=True)
class FileReader:
    """Reads files below a folder and entries of the zip files in it (location `archive.zip::entry`)."""

    root: str

    def read(self, location: str) -> bytes:
        """An encoded file.

        Raises:
            Unusable: it cannot be read.
            MachineError: it is not there any more.
        """
        name, _, entry = location.rpartition(INSIDE)
        try:
            status = os.stat(os.path.join(self.root, name or location))
            if not name:
                _check_size(status.st_size)
                return Path(self.root, location).read_bytes()
            archive = _archive(os.path.join(self.root, name), status.st_mtime_ns, status.st_size)
            info = archive.getinfo(entry)
            _check_size(info.file_size)
            return archive.read(info)
        except (Unusable, MemoryError):
            raise
        except OSError as error:
            if error.errno in _VANISHED:
                raise MachineError(
                    f"{os.path.join(self.root, name or location)}: vanished while the pictures were read "
                    f"({error.strerror}); once the data are back the same command goes on from here"
                ) from None
            raise Unusable(f"cannot be read: {error.strerror or error}") from None
        except Exception as error:  # BadZipFile, zlib.error, and whatever the other decompressors raise
            raise Unusable(f"damaged in the archive: {error}") from error


@functools.lru_cache(maxsize=4)
def _archive(path: str, mtime_ns: int, size: int) -> zipfile.ZipFile:
    """An archive kept open; its time and size are part of the key, so that a new file is opened anew."""
    return zipfile.ZipFile(path)


def _check_size(size: int) -> None:
    if size > _MAX_BYTES:
        raise Unusable(f"the file is larger than {_MAX_BYTES >> 30} GB")


@dataclasses.dataclass(frozen=True)
class PhantomReader:
    """Draws a phantom from its location `class/lesion_seed/view_seed`."""

    size: int

    def read(self, location: str) -> np.ndarray:
        from lesiongan.data import phantoms

        abbreviation, lesion_seed, view_seed = location.split("/")
        return phantoms.render(abbreviation, int(lesion_seed), self.size, view_seed=int(view_seed))
