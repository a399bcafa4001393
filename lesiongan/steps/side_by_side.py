"""Independent trainings of a step side by side: processes with a share of the cores each (`--jobs`).

Each part leaves its result in the step's working folder, as it does where parts come one after the other; the step then
finds them finished. So the processes hand back only what went wrong.

A part does not depend on what was trained before it in its process, and with the same number of threads it is the same
bit for bit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from lesiongan.base.errors import (
    ExitCode,
    Interrupted,
    LesionganError,
    MachineError,
    OutOfMemory,
    UsageError,
    as_machine_error,
)
from lesiongan.base.jobs import jobs_for
from lesiongan.steps.follow import follow

#: Trains a part, and says what failed of it: a line each.
Work = Callable[[int], Sequence[str]]


#: Errors that the step raises as what they were in a process.
_KINDS = (UsageError, MachineError, OutOfMemory)


class _Answer(NamedTuple):
    """What a process says at its end: failures of parts, and what ended it before all parts were done."""

    failed: tuple[str, ...] = ()
    error: str = ""
    kind: type[Exception] | None = None  # of the error; None: it was a signal


def side_by_side(work: Work, parts: int) -> list[str] | None:
    """Has all parts trained, as many at once as `--jobs` says; call it before TensorFlow has computed anything.

    Returns:
        What failed, a line each; None where nothing was done, because one job was asked for: the step trains them all
        itself, in one process, where compiled steps serve the next part too.

    Raises:
        Interrupted: a signal came; each process has saved what it trained.
        LesionganError: what ended a process; the others have ended in order.
    """
    jobs = jobs_for(parts)
    if jobs < 2 or sys.platform == "darwin":  # whose frameworks do not survive a fork
        return None
    context = multiprocessing.get_context("fork")
    taken = context.Value("i", 0)
    shares = _shares(jobs)
    processes, answers = [], []
    for number in range(jobs):
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=_process, args=(work, parts, taken, shares[number], writer, os.getpid()))
        process.start()
        writer.close()
        processes.append(process)
        answers.append(reader)
    with _handed_on(processes) as asked:
        said = [_answer_of(reader) for reader in answers]
        for process in processes:
            process.join()
    _raise(said, asked)
    return [line for answer in said if answer for line in answer.failed]


def _shares(jobs: int) -> list[set[int]]:
    """The cores of each process; the threads of TensorFlow are as many as its cores."""
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // jobs)
    return [{cores[(number * each + i) % len(cores)] for i in range(each)} for number in range(jobs)]


def _process(work: Work, parts: int, taken: Any, cores: set[int], writer: Connection, parent: int) -> None:
    """Trains one part after the other that nobody has taken."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    follow(parent)
    os.sched_setaffinity(0, cores)
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # or the first process takes all of the GPU's memory
    failed: list[str] = []
    answer = _Answer()
    try:
        while True:
            with taken.get_lock():
                part, taken.value = taken.value, taken.value + 1
            if part >= parts:
                break
            failed += work(part)
    except KeyboardInterrupt as error:
        answer = _Answer(error=str(error) or "interrupted")
    except Exception as error:
        known = error if isinstance(error, LesionganError) else as_machine_error(error, os.getcwd())
        if known is None:
            traceback.print_exc()
            answer = _Answer(error=f"{type(error).__name__}: {error}", kind=RuntimeError)
        else:
            answer = _Answer(error=str(known), kind=type(known) if type(known) in _KINDS else LesionganError)
    if answer.error:
        with taken.get_lock():
            taken.value = parts  # the others begin nothing new
    with contextlib.suppress(OSError):
        writer.send(answer._replace(failed=tuple(failed)))
    writer.close()


@contextlib.contextmanager
def _handed_on(processes: Sequence[multiprocessing.process.BaseProcess]) -> Iterator[list[int]]:
    """Hands SIGTERM on to the processes, which save what they train; a terminal sends Ctrl-C to each by itself. Gives
    the signals that came."""
    asked: list[int] = []

    def note(number: int, _frame: Any) -> None:
        asked.append(number)
        if number == signal.SIGTERM:
            for process in processes:
                process.terminate()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answer_of(reader: Connection) -> _Answer | None:
    """None where the process ended without a word."""
    try:
        return reader.recv()
    except EOFError:
        return None


def _raise(said: Sequence[_Answer | None], asked: Sequence[int]) -> None:
    """Raises what ended a process."""
    errors = [answer for answer in said if answer and answer.error]
    if asked:
        text = next((answer.error for answer in errors), "interrupted; what was finished is kept")
        raise Interrupted(text, ExitCode.TERMINATED if signal.SIGTERM in asked else ExitCode.INTERRUPTED)
    if errors:
        kind = errors[0].kind or Interrupted
        raise OutOfMemory(" beside other trainings (--jobs)") if kind is OutOfMemory else kind(errors[0].error)
    if None in said:
        raise MachineError(
            "a process that trained beside others was killed, out of memory perhaps; give a smaller --jobs, then the "
            "same command goes on"
        )
