"""Seconds of computations that take turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def median_seconds(contenders: Mapping[str, Callable[[], Any]], rounds: int, warm: int) -> dict[str, float]:
    """Name -> median seconds of `rounds` calls, one per round, after `warm` rounds that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm + rounds):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            if number >= warm:
                taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in taken.items()}
