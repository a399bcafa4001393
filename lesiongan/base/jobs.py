"""How many trainings run at once. No option of the configuration: it must train nothing again."""

from __future__ import annotations

import os
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say

#: Environment variable: independent trainings of a step that run side by side; steps inherit it from their launcher.
JOBS_VARIABLE = "LESIONGAN_JOBS"
EACH = 3 << 30  # bytes that a training's process may take: preset `small`'s take up to 2.5 GB
_LIMITS = (  # of a container, by cgroups of either version: what it may use and what it does
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def asked_jobs() -> int:
    """What the environment says, 1 where it says nothing.

    Raises:
        UsageError: no positive number.
    """
    text = os.environ.get(JOBS_VARIABLE, "1")
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"--jobs (or {JOBS_VARIABLE}) {text}: give a number of trainings, 1 or more")
    return int(text)


def jobs_for(parts: int) -> int:
    """How many of so many trainings run at once: as asked, as far as memory reaches (`EACH`)."""
    asked = min(asked_jobs(), parts)
    free = free_memory()
    if asked < 2 or free is None:
        return asked
    jobs = max(1, min(asked, free // EACH))
    if jobs < asked:
        say(f"{jobs} at a time, not {asked}: {free / (1 << 30):.1f} GB of memory are free, {EACH >> 30} GB for each")
    return jobs


def free_memory() -> int | None:
    """Bytes that a new process can have, of the machine and within a container's limit; None where nobody says."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) << 10)
    except OSError:
        pass
    for limit, used in _LIMITS:
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group; "max"
            continue
    return max(0, min(found)) if found else None
