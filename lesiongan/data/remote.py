"""Data in object storage (`s3://`, `gs://`), copied to where a step can read them as files.

What identifies an object there (its ETag or generation, and its size) is noted beside the copies, so that an
interrupted copy goes on, and what has changed is copied again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.base.files import read_json, write_json
from lesiongan.base.progress import say

_SCHEMES = {"s3://": "s3fs", "gs://": "gcsfs"}
_AT_ONCE = 256  # objects that are asked for together
_INDEX = "fetched.json"


def is_remote(data: str) -> bool:
    """Whether data lie in object storage."""
    return data.startswith(tuple(_SCHEMES))


def fetch(url: str, folder: Path) -> Path:
    """Copies the objects below a URL, or the one that it names, into `folder`.

    Rights come from where the storage's own tools take them: environment variables, a service account, the machine.

    Args:
        url: `s3://BUCKET/KEY` or `gs://BUCKET/KEY`.
        folder: may hold what an interrupted copy has left.

    Returns:
        The copy: a folder, or a file, with the URL's last name.

    Raises:
        UsageError: there is nothing, or it may not be read, or has names that no file can have.
        MachineError: the storage does not answer, or the library for it is missing.
    """
    storage = _storage(url)
    root = url.rstrip("/").partition("://")[2]
    target = folder / PurePosixPath(root).name
    with _plain(url):
        if storage.isfile(root):
            found = {"": storage.info(root)}
        else:
            found = {
                key.removeprefix(f"{root}/"): info
                for key, info in storage.find(root, detail=True).items()
                if not key.endswith("/")  # what consoles put for a folder
            }
    if not found:
        raise UsageError(f"{url}: there is nothing below it")
    for name in found:
        if {"..", "."} & set(PurePosixPath(name).parts) or name.startswith("/") or "\0" in name:
            raise UsageError(f"{url}: {name!r} is no name for a file; rename the object")
    if target.is_dir():
        for path in [p for p in target.rglob("*") if p.is_file() and p.relative_to(target).as_posix() not in found]:
            path.unlink()  # gone from the storage since an interrupted copy
    index = read_json(folder / _INDEX) if (folder / _INDEX).exists() else {}
    wanted = {name: _identity(info) for name, info in found.items()}
    missing = [name for name in sorted(wanted) if index.get(name) != wanted[name] or not _copy(target, name).is_file()]
    total = sum(size for size, _ in wanted.values())
    say(f"{url}: {len(wanted):,} files, {total / 1e9:.1f} GB, {len(missing):,} to copy")
    for begin in range(0, len(missing), _AT_ONCE):
        names = missing[begin : begin + _AT_ONCE]
        _get(storage, url, root, target, names)
        index |= {name: wanted[name] for name in names}
        write_json(folder / _INDEX, index)
        say(f"copied {begin + len(names):,} of {len(missing):,} files")
    return target


def _get(storage: Any, url: str, root: str, target: Path, names: list[str]) -> None:
    """Copies objects; each file appears whole or not at all."""
    parts = []
    for name in names:
        copy = _copy(target, name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        parts.append(copy.with_name(f".{copy.name}.part"))
    with _plain(url):
        storage.get([f"{root}/{name}" if name else root for name in names], [str(part) for part in parts])
    for name, part in zip(names, parts, strict=True):
        os.replace(part, _copy(target, name))


def _copy(target: Path, name: str) -> Path:
    return target / name if name else target


def _identity(info: Mapping[str, Any]) -> list:
    """What changes when an object does: size, and ETag (S3) or generation (Google)."""
    return [info.get("size") or 0, str(info.get("ETag") or info.get("generation") or info.get("etag") or "")]


def _storage(url: str) -> Any:
    library = next(library for scheme, library in _SCHEMES.items() if url.startswith(scheme))
    import fsspec

    try:
        return fsspec.filesystem(url.partition("://")[0], use_listings_cache=False)
    except ImportError:
        raise MachineError(f"{url}: the library {library} is missing: pip install 'lesiongan[cloud]'") from None


@contextlib.contextmanager
def _plain(url: str) -> Iterator[None]:
    """Errors of the storage as one line; those of the own disk are left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"{url}: there is no such bucket, or nothing below it") from None
    except PermissionError as error:
        raise UsageError(f"{url}: it may not be read ({error}); see storage.secret and docs/kubeflow.md") from None
    except OSError as error:
        if error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            raise
        raise MachineError(f"{url}: the storage does not answer ({error})") from None
    except Exception as error:  # each storage has its own: no credentials, no such host
        raise MachineError(f"{url}: {type(error).__name__}: {error}") from None
