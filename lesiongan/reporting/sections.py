"""What each section of a report shows, read from artifacts on disk; a missing input becomes a sentence that says so."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation import translation
from lesiongan.reporting import drawing, figures, result_figures
from lesiongan.tables.layout import split_order, split_table

_SHOWN_ANOMALIES = 8
_DRAWN_TRAININGS = 24
_SHOWN_WARNINGS = 5


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


def examples(directory: str | Path, with_paper: bool) -> dict:
    """Class distribution, provenance of the images and the files that were not used. The paper's numbers mean nothing
    beside phantoms."""
    directory = Path(directory)
    record = json.loads((directory / "examples.json").read_text(encoding="utf-8"))
    counts = {split: record["counts"][split] for split in sorted(record["counts"], key=split_order)}
    classes = list(dict.fromkeys(c for split in counts.values() for c in split))
    taxonomy = Taxonomy.from_dict(record["taxonomy"]) if "taxonomy" in record else Taxonomy.of(classes)
    known = dict(zip(taxonomy.classes, zip(taxonomy.names, taxonomy.colours, strict=True), strict=True))
    phantom = bool(record.get("phantom", False))
    return {
        "source": record.get("source", "unknown"),
        "phantom": phantom,
        "isic": not phantom and _is_isic(directory, str(record.get("source", ""))),
        "paper": with_paper and not phantom,
        "table": split_table(counts, with_paper and not phantom),
        "names": {c: known[c][0] for c in classes if known.get(c, (c,))[0] != c},
        "figure": figures.class_distribution(counts, {c: v[1] for c, v in known.items()}, "images-by-class"),
        "leak": record.get("leak_audit", {}),
        "anomalies": _anomalies(directory / "anomalies.csv"),
    }


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
    # Losses may be in a group of their own.
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
        "figure": figures.training_curves(lines, f"training-{number}-{drawing.slug(name)}", name),
        "finder": _finder(path.with_name("learning_rate_finder.json"), number, name),
        "warnings": _warnings(path.with_name("warnings.jsonl")),
    }


def _finder(path: Path, number: int, name: str) -> drawing.Drawing | None:
    """The learning-rate finder's curve, where it ran."""
    if not path.is_file():
        return None
    curve = json.loads(path.read_text(encoding="utf-8"))
    stem = f"learning-rate-finder-{number}-{drawing.slug(name)}"
    return figures.finder_curve(curve["rates"], curve["losses"], curve["suggestions"], curve["used"], stem)


def _warnings(path: Path) -> dict:
    """What `failure_watch` noted in the training, where it did."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.strip()]
    return {"rows": rows[:_SHOWN_WARNINGS], "count": len(rows)}


def distances(path: str | Path) -> dict:
    """How far each alpha's CycleGAN moves an image (`distances.json`)."""
    by_alpha = json.loads(Path(path).read_text(encoding="utf-8"))
    return {"figure": result_figures.distances(by_alpha, "distances"), "sentence": translation.sentence(by_alpha)}


def trainings(runs: Mapping[str, str | Path]) -> dict:
    """The curves of the first trainings, and how many more there are."""
    drawn = list(runs.items())[:_DRAWN_TRAININGS]
    return {
        "runs": [
            {"name": name, **section(training, path, "training statistics", i, name)}
            for i, (name, path) in enumerate(drawn)
        ],
        "left_out": len(runs) - len(drawn),
    }


def timings(steps: Sequence[Sequence]) -> dict:
    """Seconds of each step, with its share of the longest."""
    rows: list[dict[str, Any]] = [{"step": str(s), "seconds": float(t), "cached": bool(c)} for s, t, c in steps]
    longest = max([row["seconds"] for row in rows] + [1e-9])
    total = sum(row["seconds"] for row in rows if not row["cached"])
    return {"rows": [{**row, "share": row["seconds"] / longest} for row in rows], "total": total}


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
