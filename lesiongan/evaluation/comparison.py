"""The rows of an experiment's table: each cell over its seeds, with intervals and paired tests against the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lesiongan.evaluation import statistics
from lesiongan.evaluation.classification import number
from lesiongan.evaluation.predictions import BASELINE, CONTROL
from lesiongan.evaluation.scores import Key, Scores

#: The fields of a score in a row; all but the first three are about the paired difference to the baseline.
FIELDS = ("value", "low", "high", "difference", "difference_low", "difference_high", "p", "p_holm")


def compare(
    scored: Mapping[str, Mapping[int, Scores]], kinds: Mapping[str, str], baseline: str | None, confidence: float
) -> dict[str, dict[Key, dict]]:
    """Every score of every cell, over the cell's seeds.

    Args:
        scored: cell -> seed -> scores.
        kinds: cell -> kind; `control`s are a family of tests of their own.
        baseline: the cell that the others are compared with, seed by seed; None compares nothing.
        confidence: of the intervals.

    Returns:
        cell -> key -> `FIELDS` (None where undefined). `p_holm` is corrected for the cells of the family, key by
        key.
    """
    baseline_scores = None if baseline is None else scored.get(baseline)
    rows = {cell: _entries(by_seed, baseline_scores, cell == baseline, confidence) for cell, by_seed in scored.items()}
    for is_control in (False, True):
        family = [rows[cell] for cell in rows if (kinds[cell] in (BASELINE, CONTROL)) == is_control]
        for key in dict.fromkeys(key for row in family for key in row):
            tested = [row[key] for row in family if key in row and row[key]["p"] is not None]
            for entry, p in zip(tested, statistics.holm([e["p"] for e in tested]), strict=True):
                entry["p_holm"] = float(p)
    return rows


def significant(entry: Mapping, confidence: float) -> bool:
    """Whether a number differs from the baseline's after Holm's correction."""
    return entry["p_holm"] is not None and entry["p_holm"] < 1 - confidence


def is_tested(cell: Mapping) -> bool:
    """Whether a row of `metrics.json` is one of the experiment's own cells: neither its baseline nor a control."""
    return cell["kind"] not in (BASELINE, CONTROL)


def nested(entries: Mapping[Key, dict]) -> dict:
    """Entries by key as a tree, as `metrics.json` holds them."""
    tree: dict = {}
    for key, entry in entries.items():
        place = tree
        for name in key[:-1]:
            place = place.setdefault(name, {})
        place[key[-1]] = entry
    return tree


def _entries(
    by_seed: Mapping[int, Scores], baseline_scores: Mapping[int, Scores] | None, is_baseline: bool, confidence: float
) -> dict[Key, dict]:
    seeds = sorted(by_seed)
    baseline_scores = {} if baseline_scores is None or is_baseline else baseline_scores
    common = [s for s in seeds if s in baseline_scores]
    entries = {}
    for key in by_seed[seeds[0]]:
        own = _estimate([by_seed[s][key] for s in seeds], confidence)
        entry = dict.fromkeys(FIELDS)
        entry |= {"value": number(own.value), "low": _clip(own.low, 0), "high": _clip(own.high, 0)}
        if common:
            change = _estimate([by_seed[s][key] - baseline_scores[s][key] for s in common], confidence)
            entry |= {"difference": number(change.value), "p": number(change.p)}
            entry |= {"difference_low": _clip(change.low, -1), "difference_high": _clip(change.high, -1)}
        entries[key] = entry
    return entries


def _estimate(values: Sequence[np.ndarray], confidence: float) -> statistics.Estimate:
    """From `[1 + resamples]` values per seed, the test set itself first."""
    together = np.stack(values, axis=1)
    return statistics.estimate(together[0], together[1:], confidence)


def _clip(value: float, floor: int) -> float | None:
    """A bound within what a score can be: `floor` to 1."""
    return min(max(value, floor), 1.0) if math.isfinite(value) else None
