"""The results of Fossen-Romsaas, Storm-Johannessen and Lundervold (NIK 2020), Tables 1 to 3, to set beside ours."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources

from lesiongan.evaluation.scores import Key

CITATION = (
    "Fossen-Romsaas, Storm-Johannessen and Lundervold: Synthesizing skin lesion images using CycleGANs "
    "- a case study. NIK 2020"
)


def table(number: int) -> list[dict[str, str]]:
    """The rows of Table 1 (the split), 2 (noise to lesion) or 3 (nevus to melanoma), as strings."""
    text = resources.files("lesiongan.tables").joinpath("paper", f"table{number}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def split() -> dict[str, dict[str, int]]:
    """Table 1: split -> class -> images."""
    return {side: {row["class"]: int(row[side]) for row in table(1)} for side in ("train", "validation", "test")}


def experiment(result: Mapping) -> str:
    """`nevus_to_melanoma` where a cell has an alpha, "" where all added images were made elsewhere, else
    `noise_to_lesion`."""
    if any(c["alpha"] is not None for c in result["cells"]):
        return "nevus_to_melanoma"
    kinds = {c["kind"] for c in result["cells"]}
    return "" if "synthetic" in kinds and not kinds & {"acgan", "cyclegan"} else "noise_to_lesion"


def numbers(result: Mapping, cell: Mapping) -> dict[Key, float]:
    """What the paper reports for a cell, by the keys of `lesiongan.evaluation.scores`; empty where it has no such cell
    or experiment.

    Args:
        result: a test set's `metrics.json`. Experiment 2 has numbers for nevus to melanoma alone.
        cell: one of its rows: `kind` (`baseline`, `acgan`, `cyclegan`), `alpha`, `amount`.
    """
    kind, amount = cell["kind"], 0 if cell["kind"] == "baseline" else cell["amount"]
    if not experiment(result):
        return {}
    if experiment(result) == "noise_to_lesion":
        model = "ISIC" if kind == "baseline" else kind
        rows = [r for r in table(2) if r["model"].split("-")[0] == model and int(r["synthetic_images"]) == amount]
    elif (result["target"], result["against"]) != ("MEL", "NV"):
        rows = []
    elif kind == "baseline":
        rows = [r for r in table(3) if int(r["synthetic_images"]) == 0][:1]
    elif kind == "cyclegan":
        rows = [r for r in table(3) if float(r["alpha"]) == cell["alpha"] and int(r["synthetic_images"]) == amount]
    else:
        rows = []
    if not rows:
        return {}
    row = {key: float(value) for key, value in rows[0].items() if key != "model"}
    reported: dict[Key, float] = {("metrics", "accuracy"): row["accuracy"]}
    for key, value in row.items():
        name, _, metric = key.rpartition("_")
        if metric in ("precision", "recall"):
            reported["classes", name, metric] = value
            if name == result["target"]:
                reported["metrics", f"target_{metric}"] = value
    recalls = [value for key, value in reported.items() if key[0] == "classes" and key[2] == "recall"]
    if len(recalls) > 1:  # Table 3 has the melanomas' only
        reported["metrics", "balanced_accuracy"] = sum(recalls) / len(recalls)
    return reported
