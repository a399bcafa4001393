"""JSON and arrays that tell whether they are still what was written: records, entries and finished parts that a later
run relies on.

A flipped bit or a changed digit must end in work that is done again, never in a result that nobody computed.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lesiongan.base.files import digest_text, write_json

SEAL = "seal"


class DamagedError(Exception):
    """What was kept is not what was written; the message says how, without the path."""


def write_sealed(path: str | os.PathLike, data: Mapping[str, Any], of: str = "") -> None:
    """Writes an object of JSON with a digest of itself.

    Args:
        path: the file.
        data: its content, without a key `seal`.
        of: what it belongs to, a part of the digest: a copy elsewhere is no more valid than a changed one.
    """
    write_json(path, {**data, SEAL: _seal(data, of)})


def read_sealed(
    path: str | os.PathLike, of: str = "", *, unsealed: Callable[[dict[str, Any]], bool] = lambda data: False
) -> dict[str, Any]:
    """Reads what `write_sealed` wrote, without its seal.

    Args:
        path: the file.
        of: as when it was written.
        unsealed: says whether content without a seal will do, of an earlier version.

    Raises:
        DamagedError: it is not there, cannot be read, or is not as it was written.
    """
    try:
        data = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise DamagedError("is missing") from None
    except (OSError, RecursionError, ValueError):  # JSON's and Unicode's errors are ValueErrors
        raise DamagedError("cannot be read") from None
    if not isinstance(data, dict):
        raise DamagedError("is not a record")
    seal = data.pop(SEAL, None)
    if seal is None and unsealed(data):
        return data
    try:
        right = _seal(data, of)
    except (RecursionError, ValueError):  # lone surrogates, which no writer writes
        right = ""
    if not seal or seal != right:
        raise DamagedError("is not as it was written")
    return data


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads what `files.write_arrays` wrote; an archive has a CRC-32 of each of its arrays.

    Raises:
        DamagedError: it is not there, cannot be read, or is not as it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise DamagedError("is not as it was written")
        with np.load(path) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise DamagedError("is missing") from None
    # what zipfile and NumPy say of bytes that are none of theirs; RuntimeError: encrypted
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error):
        raise DamagedError("cannot be read") from None


def _seal(data: Mapping[str, Any], of: str) -> str:
    return digest_text(of, json.dumps(data, sort_keys=True))
