"""Files written whole or not at all, and digests of them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

#: What a killed process leaves of a file or folder that it was writing: `.<name>.<8 characters>.part`.
_PART = ".part"
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part|\.kfp_cache_[a-z0-9_]+\.tmp")


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A file open for writing that replaces `path` when the block ends without an error: a reader sees the old content
    or the new, never a part of it.

    Args:
        path: the file.
        durable: the same holds after a power cut; costs a disk's wait (measured: 9 ms), so pictures are without.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8; a byte of a file's name that is none is written by its number."""
    with whole_file(path, durable=True) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_arrays(path: str | os.PathLike, **arrays: np.ndarray | np.generic) -> None:
    """Arrays as an uncompressed .npz."""
    named: dict[str, Any] = arrays  # `savez` has an option among the names
    with whole_file(path, durable=True) as file:
        np.savez(file, **named)


def write_json(path: str | os.PathLike, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


@contextlib.contextmanager
def whole_directory(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary sibling folder that replaces `path` when the block ends without an error, and is removed
    otherwise. What it holds is on the disk before it gets its name: checkpoints may go once a model has it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _sibling(path)
    os.chmod(temporary, 0o755)
    try:
        yield temporary
        _to_disk(temporary)
        if path.exists():
            # two renames: to remove a folder takes long enough for a kill in the middle
            old = _sibling(path)
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
        _to_disk_one(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sibling(path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART))


def _to_disk(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            _to_disk_one(Path(root, name))
        _to_disk_one(Path(root))


def _to_disk_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # a file system that knows no such thing
            raise
    finally:
        os.close(handle)


def sweep_temporaries(folder: str | os.PathLike, older: float = 0.0) -> None:
    """Removes what killed processes left of files and folders that they were writing, in all of a folder.

    Args:
        folder: nobody else may be writing to it,
        older: except what is younger than this many seconds.
    """
    for root, folders, names in os.walk(Path(folder)):
        for name in [*folders, *names]:
            path = Path(root, name)
            if _TEMPORARY.fullmatch(name) and (not older or time.time() - path.lstat().st_mtime > older):
                if name in folders:
                    folders.remove(name)
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def digest_text(*texts: str) -> str:
    """SHA-256 of texts, each length-prefixed, as 64 hex digits."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def digest_directory(path: str | os.PathLike, without: Collection[str] = ()) -> str:
    """SHA-256 over the names and contents of a folder's files (or of one file), as 64 hex digits; those of the names
    `without` in the folder itself do not count."""
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file.parent == path and file.name in without:
            continue
        digest.update(b"" if file == path else file.relative_to(path).as_posix().encode())
        digest.update(f"\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def disk_used(path: str | os.PathLike[str]) -> int:
    """Bytes that the files below a folder take, each counted once."""
    seen: dict[tuple[int, int], int] = {}
    for root, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(root, name))
                seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())
