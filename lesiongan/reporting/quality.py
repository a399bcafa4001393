"""Image quality as a table: a row per generated set and class with its floor below, a column per metric."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json

RESULT = "image_quality.json"
_METRICS = {"kid": "KID", "mmd": "MMD", "fid": "FID"} | {
    name: name for name in ("precision", "recall", "density", "coverage")
}
_AGREEMENT = "called the intended class"
_OWN = "classifier"  # the judge of a row, where it is the run's own
_NETWORKS = {"imagenet": "EfficientNet-Lite2 with ImageNet weights"}


def rows(evaluation: Path | None) -> dict[str, dict]:
    """What the Evaluator measured, by row of the table: `images`, and metric -> value, low, high, or a number.

    A set is compared in as many images as its floor has: only then do the two rows compare.
    """
    if evaluation is None or not (evaluation / RESULT).exists():
        return {}
    table: dict[str, dict] = {}
    floors: dict[str, dict] = {}
    for row in read_json(evaluation / RESULT):
        entries: dict[str, Any] = {
            "images": f"{row['images']:,}" if "images" in row else "",
            _AGREEMENT: row["agreement"],
        }
        quality = row["quality"]
        if quality:
            entries |= _entries(quality["matched"], "made")
            floor = _entries(quality["floor"], "other")
            name = f"{row['class']}, floor: other real images" + ("" if _is_own(row) else ", as of the guided ones")
            if floors.setdefault(name, floor) != floor:  # a set of fewer images has a floor of as few
                floors[f"{row['class']}, floor: as many as {row['generator']}"] = floor
        table[f"{row['class']}, {row['generator']}" + ("" if _is_own(row) else ", guided by the classifier")] = entries
    return dict(sorted((table | floors).items(), key=lambda item: (item[0].split(",")[0], ", floor: " in item[0])))


def feature_space(evaluation: Path | None) -> str:
    """In which features the numbers of `rows` are; "" where none were measured."""
    if evaluation is None or not (evaluation / RESULT).exists():
        return ""
    measured = [row for row in read_json(evaluation / RESULT) if row["quality"]]
    own, others = ([row for row in measured if _is_own(row) == wanted] for wanted in (True, False))
    if not measured:
        return ""
    scaled = (
        ", in one scale (divided by their root mean square over real test images)"
        if measured[0]["quality"].get("normalised")
        else ""
    )
    spaces = [f"the {own[0]['quality']['features']} features of this run’s own classifier"] if own else []
    if others:
        judge, features = others[0]["judge"], others[0]["quality"]["features"]
        spaces.append(
            f"the {features} features of {_NETWORKS.get(judge, judge)} (of generators that the classifier helped to "
            "train, of which it is no judge)"
        )
    return " or ".join(spaces) + scaled


def _is_own(row: Mapping[str, Any]) -> bool:
    """Whether the run's own classifier judged a set; an earlier version had no other judge."""
    return row.get("judge", _OWN) == _OWN


def matrix(values: Mapping[str, Any]) -> dict:
    """The table as a page shows it.

    Args:
        values: row -> number, or {"value", "low", "high"}, or a mapping of such by metric, which may say in `images`
            how many there were.

    Returns:
        `heads`, the metrics, and `rows` with `name` and `cells`: each None where there is no number, or `text` and
        `note`. An interval wider than its value is not shown as a number, unless the entry is one of `always`.
    """
    grouped = {name: entry if _is_group(entry) else {"value": entry} for name, entry in values.items()}
    heads = list(dict.fromkeys(metric for entries in grouped.values() for metric in entries if metric != "images"))
    with_images = any(entries.get("images") for entries in grouped.values())
    rows = [
        {
            "name": name,
            "images": entries.get("images", ""),
            "cells": [_cell(entries.get(metric), entries.get("images", "")) for metric in heads],
        }
        for name, entries in grouped.items()
    ]
    return {"heads": heads, "rows": rows, "with_images": with_images}


def always(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A number that means something however wide its interval: a share, a mean."""
    return {"value": entry["value"], "low": entry["low"], "high": entry["high"], "always": True}


def _is_group(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "value" not in entry


def _cell(entry: Any, images: str) -> dict[str, str] | None:
    if entry is None or (isinstance(entry, Mapping) and entry.get("value") is None):
        return None
    if not isinstance(entry, Mapping):
        return {"text": f"{entry:.3g}" if isinstance(entry, float) else str(entry), "note": ""}
    value, low, high = entry["value"], entry.get("low"), entry.get("high")
    if low is None or high is None:
        return {"text": f"{value:.3g}", "note": ""}
    if high - low > abs(value) and not entry.get("always"):
        counted = entry.get("images") or (f"{images} images" if images else "")
        return {"text": "", "note": f"not measurable with {counted}" if counted else "not measurable"}
    return {"text": f"{value:.3g}", "note": f"({low:.3g} to {high:.3g})"}


def _entries(measured: Mapping, other: str) -> dict[str, Any]:
    """Metric -> value, low, high, and how many images of both sides each is from."""
    counted = (
        f"{measured['images'][other]:,} images against {measured['images']['real']:,}" if "images" in measured else ""
    )
    # what an earlier version has measured lacks MMD
    known = {metric: name for metric, name in _METRICS.items() if metric in measured}
    return {name: {**measured[metric], "images": counted} for metric, name in known.items()}
