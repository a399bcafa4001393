"""What the report shows of the evaluation artifact: verdict, tables, figures, confusion matrices of each test set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from lesiongan.evaluation import groups
from lesiongan.evaluation.comparison import is_tested, significant
from lesiongan.evaluation.evaluate import FORMAT, RESULT
from lesiongan.evaluation.predictions import SETS
from lesiongan.evaluation.verdict import metric_name
from lesiongan.reporting import drawing, result_figures
from lesiongan.tables import layout, paper_results
from lesiongan.tables.rendering import places, signed

_DRAWN_CELLS = 60


def read(directory: str | Path) -> dict:
    """A test set's `metrics.json`; raises ValueError where its format is not known here."""
    result = json.loads((Path(directory) / RESULT).read_text(encoding="utf-8"))
    if result.get("format") != FORMAT:
        raise ValueError(
            f"its format {result.get('format')!r} is not known here; make the report with the code that wrote it"
        )
    return result


def evaluation(directory: str | Path, with_paper: bool) -> dict:
    """The usual test set, and under `further` the others, each with less.

    Args:
        directory: the evaluation artifact.
        with_paper: set the paper's numbers beside ours.
    """
    result = read(directory)
    others = [read(Path(directory) / SETS / name) for name in result["further"]]
    return {
        **test_set(result, with_paper),
        "citation": paper_results.CITATION,
        "keys": key_numbers(result),
        "pair": _pair(result),
        "calibration": _calibration(result),
        "groups": _groups(result),
        "further": [{**test_set(other, False), "groups": _groups(other)} for other in others],
    }


def test_set(result: Mapping, with_paper: bool) -> dict:
    """The tables and figures that every test set has."""
    copied = ("verdict", "target", "baseline", "confidence", "resamples", "images", "lesions", "classes", "excluded")
    mcnemar = [
        {"cell": c["cell"], "seed": c["seed"], **{f"{k}_{n}": v[n] for k, v in c["mcnemar"].items() for n in v}}
        for c in result["classifiers"]
        if c["mcnemar"]
    ]
    main, grid, *others, _ = layout.of_evaluation(result, with_paper)
    shown = _shown(result)
    return {
        **{key: result[key] for key in copied},
        "name": result["set"],
        "several_seeds": any(len(c["seeds"]) > 1 for c in result["cells"]),
        "main": main,
        "table": grid,
        "paper_tables": others,
        "per_class": layout.per_class_table(result, shown),
        "has_paper": any(table.has_paper for table in (grid, *others)),
        "figures": _figures(result),
        "confusions": _confusions(result),
        "mcnemar": mcnemar,
    }


def key_numbers(result: Mapping) -> list[dict]:
    """The baseline's main numbers, the best change and the size of the test set."""
    numbers = []
    base = _baseline(result) or result["cells"][0]
    primary = result["primary"]
    for key in dict.fromkeys((primary, "accuracy", "target_recall")):
        m = base["metrics"][key]
        if m["value"] is not None:
            note = f"{places(m['low'])} to {places(m['high'])}"
            label = f"{metric_name(result, key)}, {base['cell']}"
            numbers.append({"label": label, "value": places(m["value"]), "note": note})
    best = best_cell(result)
    if best:
        m = best["metrics"][primary]
        note = f"{signed(m['difference_low'])} to {signed(m['difference_high'])}"
        label = f"best change in {metric_name(result, primary)}, {best['cell']}"
        numbers.append({"label": label, "value": signed(m["difference"]), "note": note})
    numbers.append({"label": "test lesions", "value": f"{result['lesions']:,}", "note": f"{result['images']:,} images"})
    return numbers


def best_cell(result: Mapping) -> dict | None:
    """The experiment's cell with the largest gain in the primary metric."""
    tested = [c for c in result["cells"] if is_tested(c) and c["metrics"][result["primary"]]["difference"] is not None]
    return max(tested, key=lambda c: c["metrics"][result["primary"]]["difference"], default=None)


def _shown(result: Mapping) -> list[str]:
    """The baseline and the best cell, for where a page has no space for more."""
    return [c["cell"] for c in (_baseline(result), best_cell(result)) if c] or [result["cells"][0]["cell"]]


def _baseline(result: Mapping) -> dict | None:
    return next((c for c in result["cells"] if c["cell"] == result["baseline"]), None)


def _figures(result: Mapping) -> list[drawing.Drawing]:
    """Forest plots and learning curves; figures' names begin with the test set, so that they differ on a page."""
    drawn, base = [], _baseline(result)
    prefix = f"{drawing.slug(result['set'])}-" if result["set"] else ""
    others = [c for c in result["cells"] if c["cell"] != result["baseline"]][:_DRAWN_CELLS]
    keys = [
        k
        for k in dict.fromkeys((result["primary"], "target_recall", "target_auc"))
        if k in result["cells"][0]["metrics"]
    ]
    for key in keys:
        rows = [
            {"label": c["cell"], **c["metrics"][key], "sure": significant(c["metrics"][key], result["confidence"])}
            for c in others
            if c["metrics"][key]["difference"] is not None
        ]
        if rows:
            drawn.append(result_figures.differences(rows, f"{prefix}change-in-{key}", metric_name(result, key)))
    for key in keys:
        series = learning_series(result, key)
        if base and base["metrics"][key]["value"] is not None and any(len(points) > 2 for points in series.values()):
            drawn.append(result_figures.learning_curves(series, f"{prefix}{key}-by-amount", metric_name(result, key)))
    return drawn


def learning_series(result: Mapping, key: str) -> dict[str, list[tuple]]:
    """Source of added images -> (amount, value, low, high) of each cell; the baseline begins every series."""
    series: dict[str, list[tuple]] = {}
    base = _baseline(result)
    for cell in result["cells"]:
        if is_tested(cell) and cell["metrics"][key]["value"] is not None:
            source = cell["cell"].rpartition(" + ")[
                0
            ]  # see `cells.Cell.name`: two folders of images made elsewhere are two lines
            label = source if cell["alpha"] is None else f"alpha {_fraction(cell['alpha'])}"
            series.setdefault(label, [_point(base, key)] if base else []).append(_point(cell, key))
    return series


def _point(cell: Mapping, key: str) -> tuple:
    m = cell["metrics"][key]
    return cell["amount"], m["value"], m["low"], m["high"]


def _fraction(alpha: float) -> str:
    """1/8 for 0.125, as the paper writes it; other numbers as they are."""
    fraction = Fraction(alpha)
    return str(fraction) if fraction.denominator <= 64 else f"{alpha:g}"


def _confusions(result: Mapping) -> list[dict]:
    """One matrix per cell, the mean over its seeds: the baseline's and the best cell's first."""
    primary = result["primary"]

    def rank(cell):
        return cell["cell"] != result["baseline"], -(cell["metrics"][primary]["value"] or 0)

    shown = []
    for cell in sorted(result["cells"], key=rank)[:_DRAWN_CELLS]:
        matrices = [c["confusion"] for c in result["classifiers"] if c["cell"] == cell["cell"]]
        rows = []
        for i, name in enumerate(result["classes"]):
            counts = [sum(m[i][j] for m in matrices) / len(matrices) for j in range(len(result["classes"]))]
            total = sum(counts)
            shares = [n / total if total else 0.0 for n in counts]
            rows.append({"class": name, "cells": list(zip(counts, shares, strict=True))})
        shown.append({"cell": cell["cell"], "seeds": len(matrices), "rows": rows})
    return shown


def _pair(result: Mapping) -> dict | None:
    """The target against the class to tell it from: both counts of confused images, and sensitivities at fixed
    specificities."""
    if result["against"] is None:
        return None
    wanted = list(dict.fromkeys(key for c in result["cells"] for key in c["pair"]["at_specificity"]))
    rows = [
        {
            "cell": c["cell"],
            **c["pair"]["confused"],
            "auc": c["metrics"]["target_auc"],
            "at": [c["pair"]["at_specificity"].get(key) for key in wanted],
        }
        for c in result["cells"]
    ]
    return {
        "target": result["target"],
        "against": result["against"],
        "specificities": [float(key) for key in wanted],
        "validated": result["validated"],
        "rows": rows,
    }


def _calibration(result: Mapping) -> dict:
    """Errors of every cell, and the curves of the baseline and of the best cell."""
    shown = _shown(result)
    curves = {c["cell"]: c["calibration"]["bins"] for c in result["cells"] if c["cell"] in shown}
    return {
        "figure": result_figures.reliability(curves, "reliability"),
        "rows": [{"cell": c["cell"], **c["calibration"]} for c in result["cells"]],
        "validated": result["validated"],
    }


def _groups(result: Mapping) -> dict:
    """The baseline and the best cell in every group that is large enough."""
    shown = _shown(result)
    rows = [
        {**row, "numbers": [[row["cells"].get(cell, {}).get(m) for m in groups.METRICS] for cell in shown]}
        for row in result["groups"]
    ]
    return {
        "rows": rows,
        "cells": shown,
        "heads": [metric_name(result, m) for m in groups.METRICS],
        "least": groups.LEAST_LESIONS,
        "least_of_class": groups.LEAST_OF_CLASS,
    }
