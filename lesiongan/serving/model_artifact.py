"""A Model artifact: a folder of named models, each with `saved_model/` and a `model.json` that says what it is.

Pusher writes a model otherwise, as servers want it: `<name>/<version>/` is the SavedModel itself, with `model.json` in
it. Reading the records needs no TensorFlow; `saved_models` loads and writes the models themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.errors import UsageError, first_line
from lesiongan.base.files import digest_text, read_json, write_json
from lesiongan.data.taxonomy import Taxonomy

FORMAT = 1
RECORD = "model.json"
SEEN = "seen.npz"  # see `seen_images`
CARD = "README.md"  # see `model_card`
#: What stands beside the SavedModel's own files where a model is pushed.
BESIDE = (RECORD, SEEN, CARD)
_SEAL = "record_digest"
#: Environment variable: the folder of pushed models, where names are looked up; else `saved_models` below the current
#: folder.
STORE_VARIABLE, STORE = "LESIONGAN_MODELS", "saved_models"


def names(artifact: Path) -> list[str]:
    """The names of the models in a Model artifact, sorted."""
    return sorted(path.parent.name for path in Path(artifact).glob(f"*/{RECORD}"))


def find(directory: str | Path, kind: str = "") -> Path:
    """The folder of one model, whatever folder above it is given.

    Args:
        directory: a model's folder; a pushed model's version; the folder of its versions, of which the latest counts;
            a folder of several models (a Model artifact, `saved_models`) with one of the kind asked for; the folder
            that a training or a run was told to write to; or `NAME` or `NAME:VERSION` of a pushed model (see `store`).
        kind: `classifier`, `acgan` or `cyclegan`; "" takes any.

    Raises:
        UsageError: no such folder, no model in it, several, or one of another kind.
    """
    directory = _named(Path(directory))
    if not directory.is_dir():
        problem = "that is a file" if directory.exists() else f"there is no such folder, and no such model in {store()}"
        raise UsageError(f"{directory}: {problem}; give the folder of a model, or the name of a pushed one")
    if (directory / RECORD).is_file():
        return _of_kind(directory, kind)
    versions = version_folders(directory)
    if versions:
        return _of_kind(versions[-1], kind)
    inside = [folder for folder in sorted(directory.iterdir()) if folder.is_dir() and _holds_a_model(folder)]
    fitting = [folder for folder in inside if not kind or describe(find(folder))["kind"] == kind]
    if len(fitting) == 1:
        return find(fitting[0], kind)
    if not inside:
        for name in _WITHIN:
            if (directory / name).is_dir():
                return find(directory / name, kind)
        raise UsageError(f"{directory}: no model here ({RECORD} is missing); give the folder of a model")
    known = ", ".join(folder.name for folder in fitting or inside)
    what = f"no {kind}" if not fitting else "several models"
    raise UsageError(f"{directory}: {what} here ({known}); give the folder of the one that is meant")


def store() -> Path:
    """The folder of pushed models by name and version."""
    return Path(os.environ.get(STORE_VARIABLE) or STORE)


def _named(path: Path) -> Path:
    """Where a pushed model lies that is meant by `NAME` or `NAME:VERSION`; another path as it is."""
    name, _, version = path.name.partition(":")
    folder = store() / name
    if path.exists() or len(path.parts) != 1 or not version_folders(folder):
        return path
    if version and not (folder / version / RECORD).is_file():
        known = ", ".join(path.name for path in version_folders(folder))
        raise UsageError(f"{path}: {folder} has no version {version}; it has {known}")
    return folder / version if version else folder


def describe(directory: Path) -> dict:
    """`model.json` of one model.

    Raises:
        UsageError: no model there, one whose record cannot be read, or one of a newer format.
    """
    path = Path(directory) / RECORD
    if not path.exists():
        raise UsageError(f"{directory}: no model here ({RECORD} is missing)")
    try:
        record = read_json(path)
        newer = record["format"] > FORMAT
    except (ValueError, KeyError, TypeError, IsADirectoryError):  # JSON's and Unicode's errors are ValueErrors
        raise UsageError(f"{path}: not the record of a model; export the model again") from None
    if newer:
        raise UsageError(
            f"{path}: format {record['format']} is newer than this lesiongan knows ({FORMAT}); update lesiongan"
        )
    if _SEAL in record and record[_SEAL] != _seal(record):
        raise UsageError(f"{path}: was changed after the model was exported; export the model again")
    fault = _fault(record)
    if fault:
        raise UsageError(f"{path}: {fault}; export the model again")
    return record


def _fault(record: dict) -> str:
    """What of a record is none of a model's, "" where nothing is: records of version 0.1 have no digest of themselves,
    and anyone can write one."""
    texts = ("name", "digest", "resize", "version", "source", "target", "class", "guided_by")
    if record.get("kind", "classifier") not in list(_SPOKEN):
        return f"kind {record['kind']!r} is none of {', '.join(_SPOKEN)}"
    if type(record.get("size", 1)) is not int or not 1 <= record.get("size", 1) <= _LARGEST:
        return f"size {record['size']!r} is no number of pixels"
    for key in texts:
        if key in record and not (record[key] is None or isinstance(record[key], str)):
            return f"{key} {record[key]!r} is no text"
    if record.get("resize", "squash") not in ("squash", "crop", "pad"):
        return f"resize {record['resize']!r} is none of squash, crop, pad"
    if "taxonomy" not in record:
        return ""
    try:
        classes = Taxonomy.from_dict(record["taxonomy"]).classes
    except (UsageError, ValueError, KeyError, TypeError) as error:
        return f"its taxonomy is none ({first_line(error)})"
    made = record.get("refines") or []
    if not classes or not isinstance(made, list) or not set(map(str, made)) <= set(classes):
        return f"{made or 'no classes'!r}: not classes of its taxonomy"
    return ""


def check_complete(path: Path, record: dict) -> None:
    """Raises `UsageError` where a record lacks what loading a model takes."""
    missing = [key for key in ("kind", "name", "size", "taxonomy", "digest") if key not in record]
    if missing:
        raise UsageError(f"{path}: its record lacks what a model's says ({missing[0]}); export the model again")


def saved_model(directory: Path) -> Path:
    """Where the SavedModel of a model's folder lies: a pushed one is the SavedModel itself, with files beside it."""
    inner = Path(directory) / "saved_model"
    return inner if inner.is_dir() else Path(directory)


def write_record(directory: Path, record: dict) -> None:
    """Writes `model.json`, with a digest of itself by which `describe` sees that nobody has changed it."""
    write_json(Path(directory) / RECORD, {**record, _SEAL: _seal(record)})


def _seal(record: dict) -> str:
    plain = {key: value for key, value in record.items() if key != _SEAL}
    return digest_text(json.dumps(plain, sort_keys=True, default=str))


def made_classes(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a model's record: abbreviations of the classes that an ACGAN makes or a classifier tells apart."""
    return tuple(record.get("refines") or Taxonomy.from_dict(record["taxonomy"]).classes)


def _holds_a_model(folder: Path) -> bool:
    return (folder / RECORD).is_file() or bool(version_folders(folder))


def version_folders(folder: Path) -> list[Path]:
    """The versions of a pushed model, ascending."""
    found = [path.parent for path in folder.glob(f"*/{RECORD}") if path.parent.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


def _of_kind(directory: Path, kind: str) -> Path:
    own = describe(directory).get("kind", "unknown")
    if kind and own != kind:
        raise UsageError(f"{directory}: a model of kind {own}; give a {_SPOKEN[kind]}'s folder")
    return directory


#: Where trainings and runs put their models.
_WITHIN = ("model", "models", "saved_models")
_LARGEST = 8192  # pixels of a model's squares
_SPOKEN = {"classifier": "classifier", "acgan": "ACGAN", "cyclegan": "CycleGAN"}
