"""One plain sentence per experiment: does it help, by how much, how sure."""

from __future__ import annotations

from collections.abc import Mapping

from lesiongan.evaluation.comparison import is_tested, significant
from lesiongan.evaluation.scores import NAMES


def verdict(result: Mapping) -> str:
    """The sentence for a test set.

    Args:
        result: a test set's `metrics.json`; its `primary` metric is what the sentence speaks of.
    """
    metric = result["primary"]
    name = metric_name(result, metric)
    confidence = result["confidence"]
    sure = f"{100 * confidence:g} %"
    base = next((c for c in result["cells"] if c["cell"] == result["baseline"]), None)
    if base is None:
        return "Whether added images help cannot be said: there is no baseline classifier to compare with."
    own = base["metrics"][metric]
    tested = [c for c in result["cells"] if is_tested(c) and c["metrics"][metric]["p_holm"] is not None]
    if not tested:
        return (
            f"{base['cell']!r} reaches a {name} of {_text(own['value'])} ({sure} interval {_text(own['low'])} to "
            f"{_text(own['high'])}{_scope(base)}); there is nothing to compare it with."
        )
    changed = [c for c in tested if significant(c["metrics"][metric], confidence)]
    better = [c for c in changed if c["metrics"][metric]["difference"] > 0]
    worse = len(changed) - len(better)
    if better:
        best = min(better, key=lambda c: (c["metrics"][metric]["p_holm"], -c["metrics"][metric]["difference"]))
    else:
        best = max(tested, key=lambda c: c["metrics"][metric]["difference"])
    m = best["metrics"][metric]
    many = f"{len(tested)} cell{'s' if len(tested) > 1 else ''}"
    numbers = (
        f"{m['difference']:+.3f} ({sure} interval {m['difference_low']:+.3f} to {m['difference_high']:+.3f}, "
        f"p = {p_text(m['p_holm'])} after Holm's correction for {many}{_scope(best)})"
    )
    down = f" {worse} of the {many} did worse than the baseline." if worse else ""
    if better:
        return f"Yes, added images help: {best['cell']!r} changes {name} from {_text(own['value'])} by {numbers}.{down}"
    change = f"the best cell, {best['cell']!r}, changes {name} from {_text(own['value'])} by {numbers}"
    if worse == len(tested):
        return f"No, added images harm: {change}."
    return f"No gain shown: {change}, which cannot be told from chance.{down}"


def metric_name(result: Mapping, metric: str) -> str:
    """How a metric of `scores.NAMES` reads in a test set's result."""
    return NAMES[metric].format(target=result["target"], against=result["against"] or "the rest")


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _scope(cell: Mapping) -> str:
    seeds = len(cell["seeds"])
    return f"; {seeds} seeds" if seeds > 1 else "; one training a cell, for which alone the interval holds"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
