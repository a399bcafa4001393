"""Ctrl-C and SIGTERM of a run: the running step is told and waited for, so that it can save what it trains."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lesiongan.base.errors import ExitCode, Interrupted

GRACE = 30.0  # seconds for the step; Kubernetes gives as many
_TERMINAL = 2.0  # seconds in which the step should have Ctrl-C from the terminal, as this process has


class Stopping:
    """What signals have asked of a run.

    Attributes:
        asked: the first signal that came, or None.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._running, self._process = False, 0
        self._timers: list[threading.Timer] = []

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Takes SIGINT and SIGTERM within the block; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """A step runs within the block."""
        self._running = True
        try:
            yield
        finally:
            self._running, self._process = False, 0
            for timer in self._timers:
                timer.cancel()

    def runs_as(self, process: int) -> None:
        """The id of the running step's process."""
        self._process = process
        if self.asked == signal.SIGTERM:
            self._send(signal.SIGTERM)

    def check(self, said: str = "") -> None:
        """Raises `Interrupted` where a signal came; `said` is what the step said at its end."""
        if self.asked is not None:
            terminated = self.asked == signal.SIGTERM
            what = "terminated" if terminated else "interrupted"
            raise Interrupted(said or what, ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked = number
            if not self._running:
                self.check()
            # a terminal sends Ctrl-C to the step too, where a second one would mean: at once
            self._after(0.0 if number == signal.SIGTERM else _TERMINAL, signal.SIGTERM)
            self._after(GRACE, signal.SIGKILL)
        elif number == signal.SIGINT == self.asked:
            self._send(signal.SIGKILL)
            raise KeyboardInterrupt  # this very class: for any other kfp's `Popen` waits for the step

    def _after(self, seconds: float, number: signal.Signals) -> None:
        timer = threading.Timer(seconds, self._send, (number,))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _send(self, number: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, number)
