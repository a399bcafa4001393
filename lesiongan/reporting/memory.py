"""What the audit of remembered training images found, as sentences, a table and galleries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json
from lesiongan.reporting.quality import always

RESULT, GALLERIES = "memorisation.json", "suspected_copies"
_METRICS = (
    "AuthPct, C_T and membership are in the features of {judge}, which no training used. AuthPct: the share farther "
    "from its nearest training image than that one is from another, towards 0 for copies. C_T: far below 0 for copies, "
    "above 0 for images farther from training than held-out ones. Membership: how often a training image is nearer to "
    "a generated one than a held-out image is; 0.5 is a coin. Its control asks two halves of the training set."
)
_HEADS = ("images", "suspected copies", "withheld before", "AuthPct", "C_T", "membership AUC", "its control", "moved")


def section(evaluation: Path | None) -> dict[str, Any]:
    """`sentences` and `rows` (generator -> head -> a number or value, low, high); empty where there was no audit."""
    if evaluation is None or not (evaluation / RESULT).exists():
        return {}
    found = read_json(evaluation / RESULT)
    rows = {row["generator"]: _row(row) for row in found["generators"]}
    heads = [head for head in _HEADS if any(entries[head] is not None for entries in rows.values())]
    return {
        "sentences": list(_sentences(found)),
        "rows": {name: {head: entries[head] for head in heads} for name, entries in rows.items()},
    }


def galleries(evaluation: Path | None) -> list[tuple[Path, str]]:
    """The pictures of suspected copies, and what each shows."""
    if evaluation is None:
        return []
    return [
        (path, f"{path.stem.removeprefix(f'{GALLERIES}-')}: suspected copies, above the training images they resemble.")
        for path in sorted(evaluation.glob(f"{GALLERIES}-*.png"))
    ]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    membership, moved, withheld = row["membership"], row["moved"], row["withheld"]
    return {
        "images": str(row["images"]),
        "suspected copies": always(row["suspected"]),
        "withheld before": f"{withheld['withheld']} of {withheld['images']}" if withheld else None,
        "AuthPct": row["authenticity"] and always(row["authenticity"]),
        "C_T": row["copying"] and row["copying"]["value"],
        "membership AUC": membership and always(membership["auc"]),
        "its control": membership and always(membership["control"]),
        "moved": moved and always({**moved, "value": moved["median"]}),
    }


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    limits, alarms = found["limits"], found["false_alarms"]
    held, rate = f"{limits['held_out']:,} held-out real images", f"{limits['rate']:.1%}"
    if all(value < 0 for value in limits["values"].values()):
        yield (
            f"No picture can be called a suspected copy: {held} are too few for a limit at {rate} false alarms "
            "(evaluation.false_alarms)."
        )
    else:
        ways = "structure, a perceptual hash or features" if found["features"] else "structure or a perceptual hash"
        yield (
            f"A picture is suspected where it is nearer to a training image, by {ways}, than the limits that {held} "
            f"give for {rate} false alarms.{_measured(alarms)}"
        )
    for row in found["generators"]:
        moved = row["moved"]
        if moved and moved["still"]:
            still = f"{moved['still']:,} of {moved['images']:,} images"
            yield f"{row['generator']}: {still} are their own source, unchanged."
    if found["features"]:
        yield _METRICS.format(judge=found["features"])


def _measured(alarms: Mapping[str, Any] | None) -> str:
    if not alarms or alarms["value"] is None:
        return ""
    ends = f"{alarms['low']:.1%} to {alarms['high']:.1%}"
    return f" Of {alarms['images']:,} real test images they suspect {alarms['value']:.1%} ({ends})."
