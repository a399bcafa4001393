"""Several runs side by side: their verdicts, cells, learning curves, and what differs between their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_text
from lesiongan.evaluation.comparison import significant
from lesiongan.evaluation.evaluate import RESULT
from lesiongan.evaluation.verdict import metric_name
from lesiongan.reporting import report_page, result_figures, results, sections
from lesiongan.reporting.again import find_reports
from lesiongan.reporting.gather import TITLES
from lesiongan.tables.layout import METRICS, Number


def compare(runs: Sequence[Path | str], output_html: Path | str) -> Path:
    """Writes one page that sets runs side by side, an experiment after the other.

    Args:
        runs: workdirs of finished runs, or evaluation artifacts; each is called by its folder's name.
        output_html: the file.

    Returns:
        `output_html`.

    Raises:
        UsageError: fewer than two runs, a folder without a finished run, or a result of another version.
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs at least two runs, got {len(runs)}")
    experiments: dict[str, list[dict]] = {}
    for name, run in zip(_names(runs), runs, strict=True):
        for experiment, entry in _of_run(Path(run)).items():
            experiments.setdefault(experiment, []).append({"name": name, **entry})
    sections = [
        _section(number, experiment, entries) for number, (experiment, entries) in enumerate(experiments.items())
    ]
    write_text(output_html, report_page.render("compare.html.j2", title="Runs side by side", sections=sections))
    return Path(output_html)


def _names(runs: Sequence[Path | str]) -> list[str]:
    """The folders' names, with as many folders above as tell them apart."""
    paths = [Path(run).resolve() for run in runs]
    for depth in range(1, max(len(p.parts) for p in paths) + 1):
        names = ["/".join(p.parts[-depth:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i + 1})" for i, name in enumerate(names)]


def _of_run(run: Path) -> dict[str, dict]:
    """experiment -> its `metrics.json` and configuration."""
    if (run / RESULT).is_file():
        return {"": {"result": _read(run), "config": {}, "seed": None}}
    experiments = {}
    for record in find_reports(run):
        folder = record["folders"].get("evaluation")
        if folder is None:
            raise UsageError(f"{run}: the evaluation of {record['options']['experiment']} is gone; run it again")
        entry = {"result": _read(folder), "config": record["options"]["config"], "seed": record["seed"]}
        experiments[record["options"]["experiment"]] = entry
    return experiments


def _read(folder: Path) -> dict:
    try:
        return results.read(folder)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}") from None


def _section(number: int, experiment: str, runs: Sequence[Mapping]) -> dict:
    """One experiment: a table for each metric with one row per cell and one column per run, and all runs' curves."""
    cells = list(dict.fromkeys(c["cell"] for run in runs for c in run["result"]["cells"]))
    first = runs[0]["result"]
    keys = [k for k in METRICS if all(k in c["metrics"] for run in runs for c in run["result"]["cells"])]
    tables = []
    for key in keys:
        rows = [{"cell": cell, "numbers": [_number(run["result"], cell, key) for run in runs]} for cell in cells]
        tables.append({"name": metric_name(first, key), "rows": rows})
    primary = first["primary"]
    curves = {
        f"{run['name']}: {label}": points
        for run in runs
        for label, points in results.learning_series(run["result"], primary).items()
    }
    drawn = any(len(points) > 1 for points in curves.values()) and len(curves) <= 12
    options = [dict(sections.flat({**run["config"], "seed": run["seed"]})) for run in runs]
    differing = [
        {"name": name, "values": [o.get(name, "–") for o in options]}
        for name in dict.fromkeys(name for o in options for name in o)
        if len({o.get(name) for o in options}) > 1
    ]
    return {
        "number": number,
        "title": TITLES.get(experiment, "Results"),
        "runs": [
            {
                "name": run["name"],
                "verdict": run["result"]["verdict"],
                "keys": results.key_numbers(run["result"]),
            }
            for run in runs
        ],
        "same_test_set": len({run["result"]["digest"] for run in runs}) == 1,
        "tables": tables,
        "figure": result_figures.learning_curves(curves, f"curves{number}", metric_name(first, primary))
        if drawn
        else None,
        "options": differing,
    }


def _number(result: Mapping, cell: str, key: str) -> Number | None:
    row = next((c for c in result["cells"] if c["cell"] == cell), None)
    return row and Number(**row["metrics"][key], sure=significant(row["metrics"][key], result["confidence"]))
