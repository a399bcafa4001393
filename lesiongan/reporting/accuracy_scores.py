"""Classification accuracy scores as a table: classifiers trained on generated images alone, each beside one trained on
as many real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json
from lesiongan.reporting.quality import always

RESULT = "accuracy_scores.json"
_HEADS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
_SIDES = {"generated": "{} alone", "real": "as many real, beside {}"}


def section(evaluation: Path | None) -> dict[str, Any]:
    """`rows` (row -> head -> value, low, high), and `sentences`, why some were not measured; empty where none were."""
    if evaluation is None or not (evaluation / RESULT).exists():
        return {}
    scores = read_json(evaluation / RESULT)
    rows = {
        name.format(row["generator"]): _entries(row, row[side])
        for row in scores
        if "reason" not in row
        for side, name in _SIDES.items()
    }
    reasons = [f"{row['generator']} was not measured: {row['reason']}." for row in scores if "reason" in row]
    return {"rows": rows, "sentences": reasons}


def _entries(row: Mapping[str, Any], score: Mapping[str, Any]) -> dict[str, Any]:
    entries: dict[str, Any] = {"images": f"{sum(row['images'].values()):,}"}
    entries |= {head: always(score[key]) for key, head in _HEADS.items()}
    return entries | {f"{name} recall": always(value) for name, value in score["recall"].items()}
