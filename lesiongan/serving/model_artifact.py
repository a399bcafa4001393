"""A Model artifact: a folder of named models, each with `saved_model/` and a `model.json` that says what it is.

Reading it needs no TensorFlow; `saved_models` loads and writes the models themselves.
"""

from __future__ import annotations

from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import read_json

FORMAT = 1


def names(artifact: Path) -> list[str]:
    """The names of the models in a Model artifact, sorted."""
    return sorted(path.parent.name for path in Path(artifact).glob("*/model.json"))


def describe(directory: Path) -> dict:
    """`model.json` of one model.

    Raises:
        UsageError: no model there, or one of a newer format.
    """
    path = Path(directory) / "model.json"
    if not path.exists():
        raise UsageError(f"{directory}: no model here (model.json is missing)")
    record = read_json(path)
    if record["format"] > FORMAT:
        raise UsageError(
            f"{path}: format {record['format']} is newer than this lesiongan knows ({FORMAT}); update lesiongan"
        )
    return record
