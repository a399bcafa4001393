"""Artefacts and skin tones of generated and real pictures, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json
from lesiongan.evaluation.skin_tone import GROUPS, UNKNOWN
from lesiongan.reporting import quality

RESULT = "appearance.json"
_NAMES = {
    "frame": "black frame",
    "vignette": "vignette",
    "lines": "thin lines (hair)",
    "ruler": "regular marks (ruler)",
    "border": "outermost line of pixels (1: like the next)",
    "blocks": "blocks of a quarter of the side (1: none)",
    "grain": "grain (grey levels)",
    "lightness": "skin L*",
    "red": "skin a*",
    "yellow": "skin b*",
}


def section(evaluation: Path | None) -> dict[str, Any]:
    """`statistics` and `tones` (row -> head -> number), and `sentences`; empty where nothing was looked at."""
    if evaluation is None or not (evaluation / RESULT).exists():
        return {}
    rows = read_json(evaluation / RESULT)
    names = {f"{row['class']}, {row['set']}": row for row in rows}
    return {
        "statistics": {
            name: {"images": f"{row['images']:,}", **_means(row["statistics"])} for name, row in names.items()
        },
        "tones": {
            name: {"images": f"{row['images']:,}", **{group: row["tones"][group] for group in (*GROUPS, UNKNOWN)}}
            for name, row in names.items()
        },
        "sentences": list(_sentences(rows)),
    }


def _means(statistics: Mapping[str, Any]) -> dict[str, Any]:
    return {text: statistics[key] and quality.always(statistics[key]) for key, text in _NAMES.items()}


def _sentences(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row.get("differs"):
            words = ", ".join(f"{_NAMES[key]} ({_amount(value)})" for key, value in row["differs"].items())
            yield f"{row['class']}, {row['set']} differs from real images: {words}."


def _amount(difference: float | None) -> str:
    return "no real image has such a value" if difference is None else f"{difference:+.1f} SD"
