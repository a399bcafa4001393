"""Where an artifact comes from: the record that stands beside it, and the code that it was made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base import contents
from lesiongan.base.code_version import code_version
from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_directory, write_text
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed

#: Set where a change of the code is accepted: the folder with the steps' working folders (`--accept-code-change`).
ACCEPT_VARIABLE = "LESIONGAN_ACCEPT_CODE_CHANGE"
RECORD_ENDING = ".lineage.json"
FORMAT = 2  # of a record; 2: sealed, with a digest of each file
_RECORDS = "records"  # the folder, beside the working folders, with records by the digest of what they are of
_CODE = "code"  # the folder, beside the working folders, that says with which code each step was last run
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "kfp", "tensorflow-datasets", "scikit-learn")


def lineage_path(artifact: Path) -> Path:
    """The record of an artifact: `<artifact>.lineage.json`, beside it."""
    return artifact.with_name(artifact.name + RECORD_ENDING)


def write_record(artifact: Path, facts: Mapping[str, Any]) -> None:
    """Writes the record of an artifact: the facts, the digest of its content, by which later steps know it, and that of
    each file's bytes, by which `read_record` sees that it is still what was made."""
    files = contents.file_digests(artifact)
    digest_of_content = contents.digest(artifact)
    write_sealed(lineage_path(artifact), {"format": FORMAT, **facts, "digest": digest_of_content, "files": files})


def read_record(artifact: Path) -> dict[str, Any]:
    """The record of an artifact, after a look at all its bytes (about 2 s per GB).

    Raises:
        DamagedError: the record is missing or damaged, or the artifact's files are not those of it.
    """
    path = lineage_path(artifact)
    if not os.path.lexists(artifact):
        raise DamagedError(f"{artifact} is missing")
    try:
        record = _read(path)
    except DamagedError as error:
        raise DamagedError(f"{path} {error}") from None
    if record["format"] > 1:
        contents.check(artifact, record["files"])
        return record
    try:  # of versions up to 0.2, which knew the artifact as a whole
        whole = digest_directory(artifact) == record["digest"]
    except OSError as error:
        raise DamagedError(f"{error.filename or artifact} cannot be read ({error.strerror})") from None
    if not whole:
        raise DamagedError(f"{artifact} is not what was made")
    return record


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    """A record of the shape that this version knows."""
    texts = all(isinstance(record.get(key), str) for key in ("step", "artifact", "identity", "digest"))
    timed = isinstance(record.get("seconds"), (int, float)) and isinstance(record.get("started"), str)
    listed = record.get("format") == 1 or (record.get("format") == FORMAT and isinstance(record.get("files"), dict))
    if not (texts and timed and listed):
        raise DamagedError("is not the record of an artifact")
    return record


def records(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """The records in a folder that can be read, whatever has become of their artifacts."""
    found = []
    for path in sorted(folder.glob(f"{pattern}{RECORD_ENDING}")):
        with contextlib.suppress(DamagedError):
            found.append(_read(path))
    return found


def _read(path: Path) -> dict[str, Any]:
    return _checked(read_sealed(path, unsealed=lambda data: data.get("format") == 1 and "files" not in data))


def digest(artifact: Path) -> str:
    """The digest of an artifact's content, by its lineage record where there is one.

    Raises:
        UsageError: it is damaged.
    """
    if not lineage_path(artifact).exists():
        return contents.digest(artifact)
    try:
        return read_record(artifact)["digest"]
    except DamagedError as error:
        raise UsageError(f"{error}; make it again") from None


def keep_record(artifact: Path, work_dir: Path) -> None:
    """Puts a copy of an artifact's record into `work_dir`: where an engine carries artifacts from machine to machine,
    what lies beside them stays behind."""
    record = read_sealed(lineage_path(artifact))
    write_sealed(work_dir / _RECORDS / f"{record['digest']}.json", record)


def fetch_record(artifact: Path, work_dir: Path) -> None:
    """Puts the record of an artifact that was carried here without it beside it, where `work_dir` has kept one of the
    same content."""
    if lineage_path(artifact).exists() or not (work_dir / _RECORDS).is_dir():
        return
    kept = work_dir / _RECORDS / f"{contents.digest(artifact)}.json"
    if kept.exists():
        with contextlib.suppress(OSError, DamagedError):  # the work needs none
            write_sealed(lineage_path(artifact), read_sealed(kept))


def machine() -> dict[str, Any]:
    """What a record says of the machine; no host name, since records are shared."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "device": device(),
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that results depend on."""
    installed = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def device() -> str:
    """What this process computes on: the GPUs that TensorFlow sees, where it was imported, else the processor."""
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
        names = [each.get("device_name", "GPU") for each in details]
        if names:
            return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return _processor()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def code_in_use(step: str, code: str, work_dir: Path) -> str:
    """The version of the code that a step's identity is made of: `code`, its own, or, where a change of the code is
    accepted, the one with which the step was last run in `work_dir`."""
    if not os.environ.get(ACCEPT_VARIABLE):
        return code
    last = work_dir / _CODE / step
    return last.read_text(encoding="utf-8").strip() if last.exists() else code


def changed_code(package: str, work_dir: Path) -> list[str]:
    """The steps whose code is not the one that they were last run with in `work_dir`.

    Args:
        package: where steps are modules, `lesiongan.steps`.
    """
    folder = work_dir / _CODE
    changed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with contextlib.suppress(ModuleNotFoundError):  # a step that is no more
            if path.read_text(encoding="utf-8").strip() != code_version([f"{package}.{path.name}"]):
                changed.append(path.name)
    return changed


def remember_code(step: str, code: str, work_dir: Path) -> None:
    """Notes the version of the code that a step is run with in `work_dir`, for `code_in_use`."""
    write_text(work_dir / _CODE / step, code + "\n")
