"""The trainings of a step side by side (`--jobs`) against one after the other.

    python -m benchmarks.side_by_side WORKDIR [--step train-grid|train-cyclegan] [--jobs 2] [--rounds 5] [--quick]

WORKDIR has a finished run of `nevus-to-melanoma`, of `lesiongan demo` say; nothing in it is changed. Its step is done
anew from the same inputs, in turn: one training after the other with all cores, the same with one thread, and `--jobs`
at once. Each in a new process, so that its start counts. The artifacts of the last two must be the same bit for bit.
The last line is the time of one after the other with all cores over that of side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import quick
from benchmarks.interleaved import in_turn, medians
from lesiongan.base import contents
from lesiongan.base.jobs import JOBS_VARIABLE

_INPUTS = {
    "train-grid": {
        "examples": "example-gen",
        "classifier": ("train-classifier", "model"),
        "generated": ["translate-images"],
    },
    "train-cyclegan": {"examples": "example-gen", "selection": "path-rank-filter"},
}
_COMPARED = {"train-grid": "predictions", "train-cyclegan": "model"}
_RUN = "nevus-to-melanoma"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--step", choices=tuple(_INPUTS), default="train-grid")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = quick.parse(parser, "three times the step's own time in each round", rounds=1)
    begin = time.monotonic()
    digests: dict[str, str] = {}

    def timed(name: str, jobs: int, threads: int):
        def run() -> float:
            with tempfile.TemporaryDirectory(prefix="side-by-side-") as folder:
                seconds = _in_a_process(options.workdir.resolve(), options.step, Path(folder), jobs, threads)
                digests[name] = contents.digest(Path(folder) / _COMPARED[options.step])
            return seconds

        return run

    contenders = {
        "one after the other": timed("one after the other", 1, 0),
        "the same, one thread": timed("one thread", 1, 1),
        f"{options.jobs} side by side": timed("side by side", options.jobs, 1),
    }
    one, single, beside = medians(in_turn(contenders, options.rounds)).values()
    print(
        f"{options.step}: {one:.1f} s one after the other, {single:.1f} s with one thread, {beside:.1f} s side by side"
    )
    same = digests["one thread"] == digests["side by side"]
    print("the same bit for bit" if same else "NOT the same", f"({time.monotonic() - begin:.0f} s in all)")
    quick.last_line(options, f"ratio {one / beside:.2f}")
    sys.exit(not same)


def _in_a_process(workdir: Path, step: str, folder: Path, jobs: int, threads: int) -> float:
    """Seconds of a process that does the step and leaves its outputs in the folder."""
    environment = {**os.environ, JOBS_VARIABLE: str(jobs)}
    if threads:
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    command = [sys.executable, "-c", f"from {__spec__.name} import work; work({str(workdir)!r}, {step!r})"]
    begin = time.monotonic()
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def work(workdir: str, name: str) -> None:
    """Does a finished step of a run anew, in the current folder."""
    import lesiongan  # noqa: F401 - before TensorFlow
    from lesiongan.base.lineage import read_record
    from lesiongan.config.reader import from_json, to_json
    from lesiongan.steps import train_cyclegan, train_grid
    from lesiongan.steps.step import Step

    module = {"train-grid": train_grid, "train-cyclegan": train_cyclegan}[name]
    steps = json.loads((Path(workdir) / "runs" / f"{_RUN}.json").read_text())["steps"]
    outputs = {step["name"]: step["outputs"] for step in steps}

    def place(source: str | tuple[str, str] | list[str], key: str) -> Path | list[Path]:
        if isinstance(source, list):
            return [Path(workdir) / outputs[step][key] for step in source]
        step, key = (source, key) if isinstance(source, str) else source
        return Path(workdir) / outputs[step][key]

    inputs = {key: place(source, key) for key, source in _INPUTS[name].items()}
    record = read_record(Path(workdir) / outputs[name][_COMPARED[name]])
    options = from_json(module.Options, json.dumps(record["options"]))
    made = {output: Path(output).resolve() for output in module.OUTPUTS}
    Step(module, inputs, made, {}, options, to_json(options), record["seed"], Path("work").resolve()).run()


if __name__ == "__main__":
    main()
