"""What each section of a report shows, read from artifacts on disk; a missing input becomes a sentence that says so."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd

from lesiongan.evaluation import tables
from lesiongan.evaluation.evaluate import NAMES
from lesiongan.evaluation.predictions import BASELINE, CONTROL
from lesiongan.reporting import figures, paper_results
from lesiongan.taxonomy import Taxonomy

_SHOWN_ANOMALIES = 8
_DRAWN_TRAININGS = 24
_DRAWN_CELLS = 60


def section(build: Callable[..., dict], source: Any, what: str, *arguments) -> dict:
    """`build(source, *arguments)`, or `{"missing": sentence}` when its input is absent or cannot be read."""
    if not source:
        return {"missing": f"This run handed no {what} to the report."}
    try:
        return {"missing": None, **build(source, *arguments)}
    except FileNotFoundError as error:
        return {"missing": f"The {what} cannot be shown: {error.filename} is missing."}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return {"missing": f"The {what} at {source} cannot be read ({type(error).__name__}: {error})."}


def examples(directory: str | Path) -> dict:
    """Class distribution, provenance of the images and the files that were not used."""
    directory = Path(directory)
    record = json.loads((directory / "examples.json").read_text(encoding="utf-8"))
    counts = {split: record["counts"][split] for split in sorted(record["counts"], key=_split_order)}
    classes = list(dict.fromkeys(c for split in counts.values() for c in split))
    taxonomy = Taxonomy.from_dict(record["taxonomy"]) if "taxonomy" in record else Taxonomy.of(classes)
    known = dict(zip(taxonomy.classes, zip(taxonomy.names, taxonomy.colours, strict=True), strict=True))
    phantom = bool(record.get("phantom", False))
    return {
        "source": record.get("source", "unknown"),
        "phantom": phantom,
        "isic": not phantom and _is_isic(directory, str(record.get("source", ""))),
        "splits": list(counts),
        "rows": [
            {"class": c, "name": known.get(c, (c,))[0], "counts": [split.get(c, 0) for split in counts.values()]}
            for c in classes
        ],
        "totals": [sum(split.values()) for split in counts.values()],
        "figure": figures.class_distribution(counts, {c: v[1] for c, v in known.items()}, "classes"),
        "leak": record.get("leak_audit", {}),
        "anomalies": _anomalies(directory / "anomalies.csv"),
    }


def _split_order(split: str) -> tuple[int, str]:
    known = ("train", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def _is_isic(directory: Path, source: str) -> bool:
    """Whether the images come from the ISIC archive: their ids or the source's name say so."""
    if "isic" in source.lower():
        return True
    path = directory / "examples.csv"
    if not path.exists():
        return False
    with path.open(newline="", encoding="utf-8") as file:
        return any(row.get("image_id", "").startswith("ISIC_") for row in csv.DictReader(file))


def _anomalies(path: Path) -> dict:
    if not path.exists():
        return {"missing": f"{path.name} is missing: what was left out is not known.", "count": None, "rows": []}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = [{key: row.get(key) or "" for key in ("what", "where", "why")} for row in rows[:_SHOWN_ANOMALIES]]
    return {"missing": None, "count": len(rows), "rows": shown}


def training(path: str | Path, number: int, name: str) -> dict:
    """The curves of one training and its last numbers."""
    path = Path(path)
    path = path / "stats.jsonl" if path.is_dir() else path
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        return {"missing": f"{path} is empty: the training took no step."}
    # Losses may stand in a group of their own.
    lines = [
        {**{k: v for k, v in line.items() if not isinstance(v, Mapping)}, **line.get("losses", {})} for line in lines
    ]
    last = lines[-1]
    seconds, images = last.get("seconds"), last.get("images")
    return {
        "steps": last.get("step"),
        "images": images,
        "seconds": seconds,
        "rate": images / seconds if images and seconds else None,
        "figure": figures.training_curves(lines, f"curves{number}", name),
        "finder": _finder(path.with_name("learning_rate_finder.json"), number),
    }


def _finder(path: Path, number: int) -> str | None:
    """The learning-rate finder's curve, where it ran."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return figures.finder_curve(found["rates"], found["losses"], found["suggestions"], found["used"], f"finder{number}")


def trainings(runs: Mapping[str, str | Path]) -> dict:
    """The curves of every training; of the last ones of very many only the number is said."""
    drawn = list(runs.items())[:_DRAWN_TRAININGS]
    return {
        "runs": [
            {"name": name, **section(training, path, "training statistics", i, name)}
            for i, (name, path) in enumerate(drawn)
        ],
        "left_out": len(runs) - len(drawn),
    }


def evaluation(directory: str | Path, pipeline: str, with_paper: bool) -> dict:
    """The verdict, the table of the experiment, its figures and confusion matrices."""
    result = json.loads((Path(directory) / "metrics.json").read_text(encoding="utf-8"))
    if result.get("format") != 1:
        raise ValueError(
            f"its format {result.get('format')!r} is not known here; make the report with the code that wrote it"
        )
    names = {key: text.format(target=result["target"]) for key, text in NAMES.items()}
    level = 1 - result["confidence"]
    cells = []
    for cell in result["cells"]:
        paper = paper_results.numbers(pipeline, cell["kind"], cell["alpha"], cell["amount"]) if with_paper else {}
        entries = []
        for key in tables.METRICS:
            m = cell["metrics"][key]
            entries.append({**m, "sure": m["p_holm"] is not None and m["p_holm"] < level, "paper": paper.get(key)})
        cells.append({**cell, "entries": entries})
    return {
        **{
            key: result[key]
            for key in ("verdict", "target", "baseline", "confidence", "resamples", "images", "lesions")
        },
        **{key: result[key] for key in ("classes", "excluded", "generated")},
        "several_seeds": any(len(c["seeds"]) > 1 for c in result["cells"]),
        "classifiers": len(result["classifiers"]),
        "heads": [names[key] for key in tables.METRICS],
        "cells": cells,
        "has_paper": any(e["paper"] is not None for c in cells for e in c["entries"]),
        "citation": paper_results.CITATION,
        "keys": _key_numbers(result, names),
        "figures": _figures(result, names, level),
        "confusions": _confusions(result),
        "per_class": _per_class(result),
        "mcnemar": [
            {
                "cell": c["cell"],
                "seed": c["seed"],
                **{f"{k}_{n}": c["mcnemar"][k][n] for k in c["mcnemar"] for n in c["mcnemar"][k]},
            }
            for c in result["classifiers"]
            if c["mcnemar"]
        ],
    }


def _key_numbers(result: Mapping, names: Mapping[str, str]) -> list[dict]:
    numbers = []
    base = next((c for c in result["cells"] if c["cell"] == result["baseline"]), result["cells"][0])
    for key in dict.fromkeys((result["primary"], "accuracy", "target_recall")):
        m = base["metrics"][key]
        if m["value"] is not None:
            note = f"{m['low']:.3f} to {m['high']:.3f}"
            numbers.append({"label": f"{names[key]}, {base['cell']}", "value": f"{m['value']:.3f}", "note": note})
    tested = [c for c in result["cells"] if c["kind"] not in (BASELINE, CONTROL)]
    tested = [c for c in tested if c["metrics"][result["primary"]]["difference"] is not None]
    if tested:
        best = max(tested, key=lambda c: c["metrics"][result["primary"]]["difference"])
        m = best["metrics"][result["primary"]]
        note = f"{signed(m['difference_low'])} to {signed(m['difference_high'])}"
        label = f"best change in {names[result['primary']]}, {best['cell']}"
        numbers.append({"label": label, "value": signed(m["difference"]), "note": note})
    numbers.append({"label": "test lesions", "value": f"{result['lesions']:,}", "note": f"{result['images']:,} images"})
    return numbers


def _figures(result: Mapping, names: Mapping[str, str], level: float) -> list[str]:
    drawn = []
    others = [c for c in result["cells"] if c["cell"] != result["baseline"]][:_DRAWN_CELLS]
    keys = list(dict.fromkeys((result["primary"], "target_recall")))
    for number, key in enumerate(keys):
        rows = [
            {"label": c["cell"], **c["metrics"][key]} for c in others if c["metrics"][key]["difference"] is not None
        ]
        if rows:
            drawn.append(figures.differences(rows, f"differences{number}", names[key], level))
    base = next((c for c in result["cells"] if c["cell"] == result["baseline"]), None)
    for number, key in enumerate(keys):
        series: dict[str, list[tuple]] = {}
        for cell in others:
            if cell["kind"] not in (BASELINE, CONTROL) and cell["metrics"][key]["value"] is not None:
                label = cell["kind"] if cell["alpha"] is None else f"{cell['kind']}, alpha {_fraction(cell['alpha'])}"
                series.setdefault(label, []).append(_point(cell, key))
        if base and any(len(points) > 1 for points in series.values()) and base["metrics"][key]["value"] is not None:
            series = {label: [_point(base, key), *points] for label, points in series.items()}
            drawn.append(figures.learning_curves(series, f"learning{number}", names[key]))
    return drawn


def _point(cell: Mapping, key: str) -> tuple:
    m = cell["metrics"][key]
    return cell["amount"], m["value"], m["low"], m["high"]


def _fraction(alpha: float) -> str:
    """1/8 for 0.125, as the paper writes it; other numbers as they are."""
    fraction = Fraction(alpha)
    return str(fraction) if fraction.denominator <= 64 else f"{alpha:g}"


def _confusions(result: Mapping) -> list[dict]:
    """One matrix a cell, the mean over its seeds: the baseline's and the best cell's first."""
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


def _per_class(result: Mapping) -> dict:
    """Table 2's form as heads and rows."""
    table = tables.class_table(result)
    rows = [[None if pd.isna(v) else v for v in row] for row in table.drop(columns=["amount"]).itertuples(index=False)]
    return {"heads": result["classes"], "rows": rows}


def timings(steps: Sequence[Sequence]) -> dict:
    """Seconds of each step, with its share of the longest."""
    rows = [{"step": str(s), "seconds": float(t), "cached": bool(c)} for s, t, c in steps]
    longest = max([row["seconds"] for row in rows] + [1e-9])
    total = sum(row["seconds"] for row in rows if not row["cached"])
    return {"rows": [{**row, "share": row["seconds"] / longest} for row in rows], "total": total}


def signed(value: float) -> str:
    """Three decimals with a sign (a minus as wide as the plus)."""
    return f"{value:+.3f}".replace("-", "−")


def flat(options: Mapping, where: str = "") -> list[tuple[str, str]]:
    """Nested options as (dotted name, value) pairs."""
    pairs: list[tuple[str, str]] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            pairs += flat(value, f"{where}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            pairs.append((f"{where}{key}", text))
    return pairs
