"""What an artifact holds, as a digest: trainings with equal results have equal ones, whenever and wherever they ran.

Keys are made of it, so that what was made again, from the same and to the same, is known for the same. Bytes that only
say when a file was written do not count: times in logs and in archives, TensorBoard's files. `file_digests` is of
every byte: by that damage is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.files import digest_text
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed

#: By ending or name of a file: keys of its JSON that say when or where it was made, not what it is.
_UNCOUNTED = {
    ".jsonl": ("seconds",),
    "blessing.json": ("latency", "memory"),
    "pushed.json": ("path",),
    "metrics": ("seconds", "images_per_second"),
    "config.json": ("shared_object_id",),  # of a Keras model: an address in memory
}
_DATED = "metadata.json"  # of a Keras model: nothing but Keras's version and the date


def digest(artifact: str | os.PathLike) -> str:
    """The digest of what a folder (or one file) holds, as 64 hex digits."""
    parts = [text for name, path in _files(Path(artifact)) for text in (name, _content(path)) if _counts(path)]
    return digest_text(*parts)


def file_digests(artifact: str | os.PathLike) -> dict[str, str]:
    """SHA-256 of each file of a folder, by its path in it; of one file by the name ""."""
    return {name: _bytes(path) for name, path in _files(Path(artifact))}


def check(artifact: Path, files: Mapping[str, str]) -> None:
    """Raises `DamagedError`, which names a file, where an artifact's are not those of `file_digests`."""
    try:
        found = file_digests(artifact)
    except OSError as error:
        raise DamagedError(f"{error.filename or artifact} cannot be read ({error.strerror})") from None
    for name in sorted({*found, *files}):
        if found.get(name) != files.get(name):
            fault = "is missing" if name not in found else "is not what was made" if name in files else "is new there"
            raise DamagedError(f"{artifact / name if name else artifact} {fault}")


def seal_part(folder: Path) -> None:
    """Notes, beside a finished part of a step, what its files are."""
    write_sealed(_part_record(folder), {"files": file_digests(folder)})


def check_part(folder: Path) -> bool:
    """Whether a part is finished and sealed.

    Raises:
        DamagedError: it is finished, and not what it was.
    """
    if not _part_record(folder).exists():
        return False
    try:
        files = read_sealed(_part_record(folder))["files"]
    except DamagedError as error:
        raise DamagedError(f"{_part_record(folder)} {error}") from None
    check(folder, files)
    return True


def _part_record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.files.json")


def _files(artifact: Path) -> Iterator[tuple[str, Path]]:
    if artifact.is_file():
        yield "", artifact
    for path in sorted(p for p in artifact.rglob("*") if p.is_file()):
        yield path.relative_to(artifact).as_posix(), path


def _counts(path: Path) -> bool:
    return not path.name.startswith("events.out.tfevents.")


def _content(path: Path) -> str:
    try:
        if path.suffix in (".keras", ".npz"):
            return _archive(path)
        if keys := _UNCOUNTED.get(path.name) or _UNCOUNTED.get(path.suffix):
            return _without(path.read_bytes(), keys)
    except (ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):  # not what its name says
        pass
    return _bytes(path)


def _bytes(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _archive(path: Path) -> str:
    """Of an archive what is in it: how it is packed depends on the machine's zlib."""
    texts = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(set(archive.namelist()) - {_DATED}):
            keys = _UNCOUNTED.get(name)
            content = archive.read(name)
            texts += [name, _without(content, keys) if keys else hashlib.sha256(content).hexdigest()]
    return digest_text(*texts)


def _without(content: bytes, keys: Collection[str]) -> str:
    """The digest of lines of JSON, or of one text of JSON, without these keys."""

    def left(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: left(each) for key, each in value.items() if key not in keys}
        return [left(each) for each in value] if isinstance(value, list) else value

    text = content.decode()
    try:
        values = [json.loads(text)]
    except ValueError:
        values = [json.loads(line) for line in text.splitlines()]
    return digest_text(*(json.dumps(left(value), sort_keys=True) for value in values))
