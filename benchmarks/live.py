"""Contenders as live processes: each waits on a pipe and takes a step when it is told to, so that they take turns.

A contender is a module with `prepare(argument) -> step`, `step()` taking one whole step and returning when it is done.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import lesiongan  # noqa: F401 - before TensorFlow, which then runs with oneDNN on every processor
from benchmarks.interleaved import medians

_DROPPED = 2  # first steps, which warm caches up


class Live:
    """A contender's process.

    Attributes:
        first_step: seconds from the process's start to the end of its first step, or None where it failed.
        error: its last words, where it failed.
    """

    def __init__(self, module: str, argument: Mapping):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live", module, json.dumps(dict(argument))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.error, self.first_step = "", None
        if self.process.stdout.readline().strip() == "ready":
            self.first_step = time.monotonic() - begin
        else:
            self.error = (self.process.stderr.read().strip().splitlines() or ["no word"])[-1]

    def step(self) -> float:
        """Seconds of one step."""
        return float(self._ask("step"))

    def close(self) -> float:
        """Ends the process; its peak memory in MB."""
        peak = float(self._ask("end"))
        self.process.wait()
        return peak

    def _ask(self, word: str) -> str:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


def compare(contenders: Mapping[str, tuple[str, Mapping]], rounds: int, images: int) -> dict[str, float]:
    """Steps of all contenders in turn; prints a line for each, and gives the median seconds of those that run.

    Args:
        contenders: name -> (module, its argument).
        rounds: steps that count.
        images: in a step, for rates.
    """
    live: dict[str, Live] = {}
    for name, (module, argument) in contenders.items():
        process = Live(module, argument)
        if process.error:
            print(f"  {name}: does not run here ({process.error})", flush=True)
        else:
            live[name] = process
    timings: dict[str, list[float]] = {name: [] for name in live}
    for number in range(rounds + _DROPPED):
        for name, process in live.items():
            seconds = process.step()
            if number >= _DROPPED:
                timings[name].append(seconds)
    seconds = medians(timings)
    for name, process in live.items():
        peak, spread = process.close(), sorted(timings[name])
        print(
            f"  {name:32s}{seconds[name]:8.3f} s per step ({spread[0]:.3f} to {spread[-1]:.3f}), "
            f"{images / seconds[name]:7.1f} images/s, first step {process.first_step:.0f} s, {peak:,.0f} MB",
            flush=True,
        )
    return seconds


#: Of the quick form of every comparison, see `benchmarks.quick`.
QUICK = {"rounds": 2, "no_compile": True}


def add_options(parser: argparse.ArgumentParser, *, precision: bool = True) -> None:
    """The options of every comparison with PyTorch; `precision` of those of trainings."""
    parser.add_argument("--rounds", type=int, default=7)
    parser.set_defaults(precision="float32")
    if precision:
        parser.add_argument(
            "--precision",
            choices=("float32", "mixed_bfloat16"),
            help="mixed_bfloat16: ours and PyTorch's (autocast) in bfloat16, beside both in float32",
        )
    parser.add_argument(
        "--no-compile", action="store_true", help="leave torch.compile out, which takes minutes to begin"
    )


def against_torch(
    ours: str,
    theirs: str,
    case: Mapping,
    arguments: argparse.Namespace,
    more: Mapping[str, tuple[str, Mapping]] | None = None,
) -> float:
    """Our throughput over that of the best PyTorch variant, or of another contender that is better yet.

    Args:
        ours, theirs: the contenders' modules; both know `precision` beside the case, theirs `layout` and `compile` too.
        case: what both are given; `batch` is its images per step.
        arguments: those of `add_options`.
        more: further contenders, as `compare` takes them.
    """
    variants = {
        "PyTorch NCHW": {},
        "PyTorch channels_last": {"layout": "channels_last"},
        "PyTorch compiled": {"layout": "channels_last", "compile": True},
    }
    if arguments.no_compile:
        del variants["PyTorch compiled"]
    precisions = dict.fromkeys(("float32", arguments.precision))
    mine, contenders = {}, {}
    for precision in precisions:
        given, form = {**case, "precision": precision}, "" if precision == "float32" else ", bfloat16"
        mine[precision] = f"ours{form}"
        contenders[mine[precision]] = (ours, given)
        contenders |= {f"{name}{form}": (theirs, {**given, **changes}) for name, changes in variants.items()}
    contenders |= more or {}
    seconds = compare(contenders, arguments.rounds, case["batch"])
    others = {name: value for name, value in seconds.items() if name not in mine.values()}
    if not others:
        raise SystemExit(
            "nothing to compare with runs here, see above; PyTorch comes with pip install 'lesiongan[bench]'"
        )
    if len(mine) > 1:
        for name in mine.values():
            for kind in (False, True):
                best = min((value for other, value in others.items() if ("bfloat16" in other) == kind), default=None)
                if best is not None:
                    which = "PyTorch in bfloat16" if kind else "PyTorch in float32"
                    print(f"  {name} over the best of {which}: {best / seconds[name]:.2f}", flush=True)
    return min(others.values()) / seconds[mine[arguments.precision]]


def _serve(module: str, argument: dict) -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries may print
    step = importlib.import_module(module).prepare(argument)
    step()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            print(_peak_megabytes(), file=answers, flush=True)
            return
        begin = time.monotonic()
        step()
        print(time.monotonic() - begin, file=answers, flush=True)


def _peak_megabytes() -> float:
    """`ru_maxrss` would count what the parent held when this process was forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
