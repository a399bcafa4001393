"""The entries of kfp's cache, each of which names the outputs of a finished step; read without kfp, which takes seconds
to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lesiongan.base.sealed import DamagedError, read_sealed

_ARTIFACT = "__kfp_artifact__"


def read_entry(entry: Path) -> dict[str, dict[str, Any]]:
    """What an entry of the cache names, by output: `uri`, `metadata`, `schema_title`; nothing says that it is there.

    Raises:
        DamagedError: it is not an entry of kfp's, or not as it was written.
    """
    where = f"{entry.parent.name}/{entry.name}"
    try:
        data = read_sealed(entry, of=entry.stem, unsealed=_all_artifacts)  # kfp's own entries are without a seal
    except DamagedError as error:
        raise DamagedError(f"{where} {error}") from None
    if not _all_artifacts(data):
        raise DamagedError(f"{where} is not an entry of the cache that this version knows")
    return data


def _all_artifacts(data: dict[str, Any]) -> bool:
    return bool(data) and all(_is_artifact(value) for value in data.values())


def _is_artifact(value: Any) -> bool:
    if not isinstance(value, dict) or value.get(_ARTIFACT) is not True:
        return False
    texts = all(isinstance(value.get(key), str) and value[key] for key in ("name", "uri", "schema_title"))
    metadata = value.get("metadata")
    if not texts or not isinstance(metadata, dict):
        return False
    # a confusion matrix is the one that is no number or text
    kinds = (str, int, float, dict) if value["schema_title"] == "system.ClassificationMetrics" else (str, int, float)
    return all(isinstance(v, kinds) for v in metadata.values())
