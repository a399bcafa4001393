"""The tables of the paper from `metrics.json`: as CSV and as LaTeX, with the intervals and tests the paper lacks."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

#: The metrics of the table, in its order: key and how it reads (`{target}` is the class of interest).
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "target_precision": "{target} precision",
    "target_recall": "{target} recall",
}
#: What stands in the table for each metric, and the end of its column's name.
_FIELDS = {
    "value": "",
    "low": "_low",
    "high": "_high",
    "difference": "_difference",
    "difference_low": "_difference_low",
    "difference_high": "_difference_high",
    "p": "_p",
    "p_holm": "_p_holm",
}


def grid_table(result: Mapping) -> pd.DataFrame:
    """One row a cell, over its seeds.

    Args:
        result: what `evaluate` returns (metrics.json).

    Returns:
        Columns cell, kind, alpha, amount, seeds (how many), train_images, steps, then for each metric M of `METRICS`:
        M, M_low, M_high, M_difference (to the baseline), M_difference_low, M_difference_high, M_p, M_p_holm. What
        does not exist is empty.
    """
    rows = []
    for cell in result["cells"]:
        row = {key: cell[key] for key in ("cell", "kind", "alpha", "amount")}
        row |= {"seeds": len(cell["seeds"]), "train_images": cell["train_images"], "steps": cell["steps"]}
        for metric in METRICS:
            row |= {metric + end: cell["metrics"][metric][field] for field, end in _FIELDS.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def class_table(result: Mapping) -> pd.DataFrame:
    """Table 2's form: one row a cell, precision and recall of each class and the accuracy, means over the seeds."""
    rows = []
    for cell in result["cells"]:
        own = [c for c in result["classifiers"] if c["cell"] == cell["cell"]]
        row = {"cell": cell["cell"], "amount": cell["amount"]}
        for name in result["classes"]:
            for key in ("precision", "recall"):
                values = [c["classes"][name][key] for c in own if c["classes"][name][key] is not None]
                row[f"{name}_{key}"] = sum(values) / len(values) if values else None
        row["accuracy"] = cell["metrics"]["accuracy"]["value"]
        rows.append(row)
    return pd.DataFrame(rows)


def latex(result: Mapping) -> str:
    """The grid table as a LaTeX `tabular` (package booktabs): each metric with its interval, and the paired difference.

    An asterisk marks a difference whose p value after Holm's correction is below 1 - confidence.
    """
    heads = [_escape(text.format(target=result["target"])) for text in METRICS.values()]
    lines = [
        "% " + " ".join(result["verdict"].split()),
        r"\begin{tabular}{lr" + "ll" * len(heads) + "}",
        r"\toprule",
        "classifier & added & " + " & ".join(rf"{head} & \(\Delta\)" for head in heads) + r" \\",
        r"\midrule",
    ]
    for cell in result["cells"]:
        parts = [_escape(cell["cell"]), f"{cell['amount']}"]
        for metric in METRICS:
            m = cell["metrics"][metric]
            parts.append(_interval(m["value"], m["low"], m["high"], "{:.3f}"))
            mark = "*" if m["p_holm"] is not None and m["p_holm"] < 1 - result["confidence"] else ""
            parts.append(_interval(m["difference"], m["difference_low"], m["difference_high"], "{:+.3f}") + mark)
        lines.append(" & ".join(parts) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _interval(value, low, high, form: str) -> str:
    if value is None:
        return "--"
    text = rf"\({form.format(value)}\)"
    return text if low is None else text + rf" [\({form.format(low)}\), \({form.format(high)}\)]"


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in str(text))
