"""Fair comparisons on a noisy machine: the contenders take turns, and only ratios of medians are quoted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping


def in_turn(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Runs each contender once per round, in turn; each gives its own measurement (seconds, say).

    Returns:
        name -> the measurements of all rounds.
    """
    measurements: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            measurements[name].append(run())
            print(f"  round {number + 1} of {rounds}: {name} {measurements[name][-1]:.4g}", flush=True)
    return measurements


def medians(measurements: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in measurements.items()}
