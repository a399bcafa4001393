"""The results of Fossen-Romsaas, Storm-Johannessen and Lundervold (NIK 2020), Tables 1 to 3, to set beside ours."""

from __future__ import annotations

import csv
from importlib import resources

CITATION = (
    "Fossen-Romsaas, Storm-Johannessen and Lundervold: Synthesizing skin lesion images using CycleGANs "
    "- a case study. NIK 2020"
)


def table(number: int) -> list[dict[str, str]]:
    """The rows of Table 1 (the split), 2 (noise to lesion) or 3 (nevus to melanoma), as strings."""
    text = resources.files("lesiongan.reporting").joinpath("paper", f"table{number}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def numbers(pipeline: str, kind: str, alpha: float | None, amount: int) -> dict[str, float]:
    """What the paper reports for a cell, by metric; empty where it has no such cell.

    Args:
        pipeline: `noise_to_lesion` (Table 2) or `nevus_to_melanoma` (Table 3); others have no numbers.
        kind: the cell's kind: `baseline`, `acgan`, `cyclegan`.
        alpha: the cell's alpha, in experiment 2.
        amount: images added.

    Returns:
        Some of `accuracy`, `balanced_accuracy` (the mean of the paper's recalls), `target_precision`, `target_recall`
        (of MEL).
    """
    if pipeline == "noise_to_lesion":
        model = "ISIC" if kind == "baseline" else kind
        amount = 0 if kind == "baseline" else amount
        rows = [r for r in table(2) if r["model"].split("-")[0] == model and int(r["synthetic_images"]) == amount]
    elif pipeline == "nevus_to_melanoma" and kind == "baseline":
        rows = [r for r in table(3) if int(r["synthetic_images"]) == 0][:1]
    elif pipeline == "nevus_to_melanoma" and kind == "cyclegan" and alpha is not None:
        rows = [r for r in table(3) if float(r["alpha"]) == alpha and int(r["synthetic_images"]) == amount]
    else:
        rows = []
    if not rows:
        return {}
    row = rows[0]
    found = {"accuracy": row["accuracy"], "target_precision": row["MEL_precision"], "target_recall": row["MEL_recall"]}
    recalls = [float(value) for key, value in row.items() if key.endswith("_recall")]
    if len(recalls) > 1:  # Table 3 has the melanomas' only
        found["balanced_accuracy"] = sum(recalls) / len(recalls)
    return {key: float(value) for key, value in found.items()}
