"""What a long computation reports: plain lines, and progress with rate and time left.

On a terminal progress is a live bar; in a pipe it is lines; in a pipeline step it is marked lines, which the
launcher shows (as a live line where it stands on a terminal itself) and tells apart from what libraries print.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from absl import logging

from lesiongan.base import shown

#: Set by the launcher for its steps: `live` where it stands on a terminal, `lines` elsewhere.
STEP_VARIABLE = "LESIONGAN_STEP"
#: What a step's own lines start with, so that the launcher can tell them from the noise of libraries.
ERROR_MARK = "lesiongan!"  # before what a step says of its failure, as JSON
LINE_MARK = "lesiongan| "
PROGRESS_MARK = "lesiongan~ "
#: And the line in which it says its process id.
PROCESS_MARK = "lesiongan# "
_EVERY = {"": 10.0, "lines": 10.0, "live": 1.0}  # seconds between two progress lines


def say(text: str) -> None:
    """One line of information."""
    text = shown.one_line(text)
    if os.environ.get(STEP_VARIABLE):
        print(f"{LINE_MARK}{text}", flush=True)
    else:
        logging.info("%s", text)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `42 s`, `3 min 20 s`, `2 h 05 min`."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class Progress:
    """Progress of `total` units; `update(done)` shows rate and time left.

    Args:
        label: what is going on, for example `cyclegan`.
        total: how many units there are.
        unit: what is counted, in the plural: `images`, `steps`.
        start: how many were done before, where work is resumed; they do not count for the rate.
        scale: how many of `rate_unit` one unit is (images per step).
        rate_unit: what the rate counts; `unit` by default.
    """

    def __init__(
        self, label: str, total: int, unit: str = "steps", start: int = 0, scale: float = 1.0, rate_unit: str = ""
    ):
        self.label, self.total, self.unit, self.start = shown.one_line(label), total, unit, start
        self.scale, self.rate_unit = scale, rate_unit or unit
        self.begin = time.monotonic()
        self.shown = self.begin
        # when the first unit was done: what comes before it is compilation, and says nothing of what is left
        self.first: tuple[float, int] | None = None
        self._step = os.environ.get(STEP_VARIABLE, "")
        self._bar = None
        if not self._step and sys.stderr.isatty():
            from tqdm import tqdm

            screen = shown.bare(sys.stderr)
            self._bar = tqdm(
                total=total, initial=start, desc=self.label, unit=f" {unit}", dynamic_ncols=True, file=screen
            )

    def rate(self, done: int) -> float:
        """`rate_unit` per second since the start of this process's work."""
        return (done - self.start) * self.scale / max(time.monotonic() - self.begin, 1e-9)

    def left(self, done: int) -> float | None:
        """Seconds left, by the units after the first; None where there are none yet."""
        if self.first is None or done <= self.first[1]:
            return None
        since, already = self.first
        return (time.monotonic() - since) / (done - already) * (self.total - done)

    def update(self, done: int, note: Callable[[], str] | None = None) -> None:
        """Shows that `done` of `total` units are done, and a note, not more often than a person can read."""
        if self.first is None:
            self.first = (time.monotonic(), done)
        if self._bar is not None:
            if note is not None:
                self._bar.set_postfix_str(note(), refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self.shown < _EVERY[self._step] or done >= self.total:
            return
        self.shown = now
        self._line(done, note() if note is not None else "")

    def _line(self, done: int, note: str) -> None:
        left = self.left(done)
        text = f"{self.label}: {done:,} of {self.total:,} {self.unit}"
        if left is not None:
            rate = (self.total - done) * self.scale / left if left else self.rate(done)
            text += f", {rate:,.4g} {self.rate_unit}/s, {duration(left)} left"
        text += f"  {shown.one_line(note)}" if note else ""
        if self._step:
            print(f"{PROGRESS_MARK}{text}", flush=True)
        else:
            logging.info("%s", text)

    def close(self, done: int | None = None) -> None:
        """Ends the bar, or says in one line how it went."""
        done = self.total if done is None else done
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            self._bar.close()
            return
        seconds = time.monotonic() - self.begin
        say(f"{self.label}: {done:,} {self.unit} in {duration(seconds)}, {self.rate(done):,.4g} {self.rate_unit}/s")

    def leave(self) -> None:
        """Leaves the bar where it stands, and the cursor below it."""
        if self._bar is not None:
            self._bar.close()
