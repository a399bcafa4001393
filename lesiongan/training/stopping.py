"""Signals that ask a training to stop: the first is noted and acted on after the running step, a second Ctrl-C ends
the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from lesiongan.base.errors import ExitCode, Interrupted
from lesiongan.base.progress import say

_EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Stop:
    """What signals have asked for.

    Attributes:
        asked: the first signal that came, or None.
    """

    def __init__(self, name: str):
        self.name = name
        self.asked: signal.Signals | None = None

    def note(self, number: int) -> None:
        """A signal came."""
        if self.asked is None:
            self.asked = signal.Signals(number)
            again = "; Ctrl-C again: at once" if number == signal.SIGINT else ""
            say(f"{self.name}: stops after this step and saves a checkpoint{again}")
        elif number == signal.SIGINT == self.asked:
            os.write(2, b"\nlesiongan: left at once; the same command goes on from the last checkpoint\n")
            os._exit(ExitCode.INTERRUPTED)

    def interrupted(self, done: str) -> Interrupted:
        """The error by which the training ends; `done` says what was saved."""
        assert self.asked is not None
        what = "interrupted" if self.asked == signal.SIGINT else "terminated"
        return Interrupted(f"{what}, {done}", _EXIT_CODES[self.asked])


@contextlib.contextmanager
def noted_signals(name: str) -> Iterator[Stop]:
    """Notes SIGINT and SIGTERM within the block, in place of what they did before.

    Python runs its handlers between two of its own instructions, which a training step of minutes would delay, and two
    signals of that time would be one. So the signals are read from a file descriptor, by a thread.

    Outside of the main thread, where Python takes no handlers, nothing is noted.
    """
    stop = Stop(name)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        while numbers := os.read(reader, 64):
            for number in numbers:
                if number in _EXIT_CODES:
                    stop.note(number)

    # first the descriptor: a signal between the two would be taken by a handler that does nothing, and noted by nobody
    descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in _EXIT_CODES}
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        thread.join()
        os.close(reader)
