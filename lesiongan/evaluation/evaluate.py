"""The Evaluator's work: from predictions on disk to metrics, tables and one sentence that says whether it helps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lesiongan.config import EvaluationConfig
from lesiongan.errors import LesionganError, UsageError
from lesiongan.evaluation import classification, predictions, statistics, tables
from lesiongan.evaluation.classification import number
from lesiongan.evaluation.predictions import BASELINE, CONTROL, Classifier, Truth
from lesiongan.files import read_json, write_json, write_text

FORMAT = 1
#: The metrics of a cell, and how they read.
NAMES = {**tables.METRICS, "macro_f1": "macro F1"}


def evaluate(
    predictions_dir: Path | str,
    output_dir: Path | str,
    config: EvaluationConfig,
    seed: int,
    generated: Sequence[Path | str] = (),
    *,
    target: str | None = None,
    baseline: str | None = None,
    primary: str = "balanced_accuracy",
) -> dict:
    """Evaluates a grid of classifiers and writes `metrics.json`, `table.csv`, `table.tex` and `per_class.csv`.

    Args:
        predictions_dir: the predictions artifact (`lesiongan.evaluation.predictions`).
        output_dir: where the files go.
        config: confidence and resamples.
        seed: of the resampling.
        generated: image-quality results, each a JSON object of name -> number or {"value", "low", "high"}, or a
            folder that holds one as `quality.json`; they are carried into `metrics.json`.
        target: the class of interest; by default MEL where there is one, else the rarest in the test set.
        baseline: the cell that others are compared with; by default the first whose kind is `baseline`.
        primary: the metric that the verdict speaks of, a key of `NAMES`.

    Returns:
        What `metrics.json` holds: `format`, `classes`, `target`, `baseline`, `primary`, `confidence`, `resamples`,
        `images`, `lesions`, `support`, `classifiers` (one a cell and seed), `cells` (over seeds, with intervals),
        `excluded` (trainings that diverged), `generated` and `verdict`.

    Raises:
        UsageError: the artifact is incomplete, or `target`, `baseline` or `primary` is unknown.
        LesionganError: every classifier gave predictions that are not finite.
    """
    truth, found = predictions.read(predictions_dir)
    if primary not in NAMES:
        raise UsageError(f"unknown metric {primary!r}; known: {', '.join(NAMES)}")
    target = _target(truth, target)
    sound = [c for c in found if c.is_finite]
    excluded = [{"cell": c.cell, "seed": c.seed, "why": "predictions are not finite"} for c in found if not c.is_finite]
    if not sound:
        raise LesionganError(f"{predictions_dir}: no classifier gave finite predictions: all trainings diverged")
    cells: dict[str, list[Classifier]] = {}
    for classifier in sound:
        cells.setdefault(classifier.cell, []).append(classifier)
    baseline = _baseline(cells, baseline)

    resamples = statistics.resamples_needed(config.resamples, len(cells), config.confidence)
    weights = statistics.lesion_weights(truth.labels, truth.lesions, resamples, seed)
    label = truth.classes.index(target)
    scored = {name: _scores(truth, members, weights, label) for name, members in cells.items()}
    rows = [_row(name, cells, scored, baseline, config.confidence) for name in cells]
    _correct(rows)
    result = {
        "format": FORMAT,
        "classes": list(truth.classes),
        "target": target,
        "baseline": baseline,
        "primary": primary,
        "confidence": config.confidence,
        "resamples": resamples,
        "images": len(truth.images),
        "lesions": int(truth.lesions.max()) + 1,
        "support": dict(zip(truth.classes, truth.support.tolist(), strict=True)),
        "classifiers": _classifiers(truth, cells, baseline, label),
        "cells": rows,
        "excluded": excluded,
        "generated": {_label(path): _quality(Path(path)) for path in generated},
    }
    result["verdict"] = verdict(result)
    output_dir = Path(output_dir)
    write_json(output_dir / "metrics.json", result)
    write_text(output_dir / "table.csv", tables.grid_table(result).to_csv(index=False))
    write_text(output_dir / "per_class.csv", tables.class_table(result).to_csv(index=False))
    write_text(output_dir / "table.tex", tables.latex(result))
    return result


def verdict(result: Mapping) -> str:
    """One plain sentence: does it help, by how much, how sure."""
    metric = result["primary"]
    name = NAMES[metric].format(target=result["target"])
    sure = f"{100 * result['confidence']:g} %"
    base = next((c for c in result["cells"] if c["cell"] == result["baseline"]), None)
    if base is None:
        return "Whether added images help cannot be said: there is no baseline classifier to compare with."
    own = base["metrics"][metric]
    tested = [
        c
        for c in result["cells"]
        if c["kind"] not in (BASELINE, CONTROL) and c["metrics"][metric]["p_holm"] is not None
    ]
    if not tested:
        return (
            f"{base['cell']!r} reaches a {name} of {_text(own['value'])} ({sure} interval {_text(own['low'])} to "
            f"{_text(own['high'])}{_scope(base)}); there is nothing to compare it with."
        )
    best = max(tested, key=lambda c: c["metrics"][metric]["difference"])
    m = best["metrics"][metric]
    level = 1 - result["confidence"]
    better = [c for c in tested if c["metrics"][metric]["p_holm"] < level and c["metrics"][metric]["difference"] > 0]
    worse = [c for c in tested if c["metrics"][metric]["p_holm"] < level and c["metrics"][metric]["difference"] < 0]
    if better:
        best = min(better, key=lambda c: (c["metrics"][metric]["p_holm"], -c["metrics"][metric]["difference"]))
        m = best["metrics"][metric]
    many = f"{len(tested)} cell{'s' if len(tested) > 1 else ''}"
    numbers = (
        f"{m['difference']:+.3f} ({sure} interval {m['difference_low']:+.3f} to {m['difference_high']:+.3f}, "
        f"p = {_p_text(m['p_holm'])} after Holm's correction for {many}{_scope(best)})"
    )
    down = f" {len(worse)} of the {many} did worse than the baseline." if worse else ""
    if better:
        return f"Yes, added images help: {best['cell']!r} changes {name} from {_text(own['value'])} by {numbers}.{down}"
    change = f"the best cell, {best['cell']!r}, changes {name} from {_text(own['value'])} by {numbers}"
    if len(worse) == len(tested):
        return f"No, added images harm: {change}."
    return f"No gain shown: {change}, which cannot be told from chance.{down}"


def _scope(cell: Mapping) -> str:
    seeds = len(cell["seeds"])
    return f"; {seeds} seeds" if seeds > 1 else "; one training a cell, for which alone the interval holds"


def _text(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _target(truth: Truth, target: str | None) -> str:
    if target is None:
        support = np.where(truth.support > 0, truth.support, np.iinfo(np.int64).max)
        return "MEL" if "MEL" in truth.classes else truth.classes[int(support.argmin())]
    if target not in truth.classes:
        raise UsageError(f"unknown target class {target!r}; the predictions have {', '.join(truth.classes)}")
    return target


def _baseline(cells: Mapping[str, list[Classifier]], name: str | None) -> str | None:
    if name is not None and name not in cells:
        raise UsageError(f"unknown baseline cell {name!r}; the predictions have {', '.join(cells)}")
    return name or next((cell for cell, members in cells.items() if members[0].kind == BASELINE), None)


def _scores(truth: Truth, members: Sequence[Classifier], weights: np.ndarray, target: int) -> dict[str, dict]:
    """For each metric and seed: (value on the test set, float32 `[resamples]`)."""
    collected: dict[str, dict] = {}
    k = len(truth.classes)
    for member in members:
        said = member.predicted
        point = statistics.scores(classification.confusion_matrix(truth.labels, said, k), target)
        confusions = statistics.resampled_confusions(truth.labels, said, truth.lesions, k, weights)
        drawn = statistics.scores(confusions, target)
        for metric in point:
            collected.setdefault(metric, {})[member.seed] = (float(point[metric]), drawn[metric].astype(np.float32))
    return collected


def _row(name: str, cells: Mapping, scored: Mapping, baseline: str | None, confidence: float) -> dict:
    members = cells[name]
    row = {key: getattr(members[0], key) for key in ("cell", "kind", "alpha", "amount", "steps", "train_images")}
    row |= {"seeds": sorted(m.seed for m in members), "metrics": {}}
    for metric, by_seed in scored[name].items():
        points = np.array([by_seed[s][0] for s in row["seeds"]])
        drawn = np.stack([by_seed[s][1] for s in row["seeds"]], axis=1)
        own = statistics.estimate(points, drawn, confidence)
        entry = {"value": number(own.value), "low": _clip(own.low, 0), "high": _clip(own.high, 0)}
        entry |= dict.fromkeys(("difference", "difference_low", "difference_high", "p", "p_holm"))
        other = scored[baseline][metric] if baseline not in (None, name) else {}
        common = [s for s in row["seeds"] if s in other]
        if common:
            points = np.array([by_seed[s][0] - other[s][0] for s in common])
            drawn = np.stack([by_seed[s][1] - other[s][1] for s in common], axis=1)
            change = statistics.estimate(points, drawn, confidence)
            entry |= {"difference": number(change.value), "p": number(change.p)}
            entry |= {"difference_low": _clip(change.low, -1), "difference_high": _clip(change.high, -1)}
        row["metrics"][metric] = entry
    return row


def _clip(value: float, floor: int) -> float | None:
    """A bound within what the metric can be: `floor` to 1."""
    return min(max(value, floor), 1.0) if math.isfinite(value) else None


def _correct(rows: list[dict]) -> None:
    """Holm over an experiment's cells, metric by metric; controls are a family of their own."""
    for is_control in (False, True):
        family = [r for r in rows if (r["kind"] in (BASELINE, CONTROL)) == is_control]
        for metric in NAMES:
            entries = [r["metrics"][metric] for r in family if r["metrics"][metric]["p"] is not None]
            for entry, p in zip(entries, statistics.holm([e["p"] for e in entries]), strict=True):
                entry["p_holm"] = float(p)


def _classifiers(truth: Truth, cells: Mapping[str, list[Classifier]], baseline: str | None, target: int) -> list[dict]:
    reference = {m.seed: m.predicted == truth.labels for m in cells[baseline]} if baseline else {}
    of_target = truth.labels == target
    listed = []
    for name, members in cells.items():
        for member in members:
            row = {
                key: getattr(member, key)
                for key in ("cell", "kind", "alpha", "amount", "seed", "steps", "train_images")
            }
            row |= classification.metrics(truth.labels, member.probabilities, truth.classes)
            right = member.predicted == truth.labels
            row["mcnemar"] = None
            if name != baseline and member.seed in reference:
                before = reference[member.seed]
                row["mcnemar"] = {
                    "accuracy": statistics.mcnemar(before, right),
                    "target_recall": statistics.mcnemar(before[of_target], right[of_target]),
                }
            listed.append(row)
    return listed


def _label(path: Path | str) -> str:
    path = Path(path)
    return path.stem if path.is_file() else path.name


def _quality(path: Path) -> dict:
    file = path / "quality.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"{file} is missing; it is written by the step that judges the generated images")
    return read_json(file)
