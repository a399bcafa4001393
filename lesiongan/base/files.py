"""Files written whole or not at all, and digests of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file open for writing that replaces `path` when the block ends without an error: a reader sees the old content
    or the new, never a part of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def write_arrays(path: str | os.PathLike, **arrays: np.ndarray | np.generic) -> None:
    """Arrays as an uncompressed .npz."""
    named: dict[str, Any] = arrays  # `savez` has an option among the names
    with whole_file(path) as file:
        np.savez(file, **named)


def write_json(path: str | os.PathLike, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


@contextlib.contextmanager
def whole_directory(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary sibling folder that replaces `path` when the block ends without an error, and is removed
    otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    os.chmod(temporary, 0o755)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def digest_text(*texts: str) -> str:
    """SHA-256 of texts, each length-prefixed, as 64 hex digits."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8")
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
