"""Kills a run again and again, and compares what comes out with an undisturbed run.

    python -m benchmarks.chaos --kills 20 --tiny

Each kill is `kill -9` at a random moment, of the launcher or (one in three) of the step, followed by the same command.
Where a run ends before its kill, another begins in a new folder. At the end of each: every artifact has the content
of the undisturbed run's (`lesiongan.base.contents`; the report, which tells times, is left out), no step that had
finished was run again, no process, no temporary file and no checkpoint is left. The last line says `N of N identical`.

Trainings repeat bit for bit with the same number of threads; TensorFlow gets `--threads`, one by default.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lesiongan.base import contents

_TINY = (
    "data.phantoms=300", "classifier.images=128", "acgan.images=64", "cyclegan.images=16", "cyclegan.filters=8",
    "nevus_to_melanoma.alphas=1", "nevus_to_melanoma.amounts=20", "noise_to_lesion.amounts=20", "grid.images=64",
    "evaluation.resamples=50",
)  # fmt: skip
#: Seconds in which the processes of a killed launcher must have ended; a step looks once Python is up, which takes a
#: minute on a busy machine.
_LEFT = 300.0
_TOLD = ("report",)  # artifacts that tell of times and places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="one experiment, of the smallest size")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--mean", type=float, default=0.0, help="seconds to a kill; by default a fifth of a run")
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow")
    parser.add_argument("--folder", type=Path, help="for the workdirs; by default a temporary one")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        chaos = Chaos(folder, tiny if arguments.tiny else demo, arguments.seed, arguments.threads)
        identical = chaos.compare(arguments.kills, arguments.mean)
    print(f"{identical} of {arguments.kills} identical")
    sys.exit(identical != arguments.kills)


def demo(workdir: Path) -> list[str]:
    """Both experiments, as `lesiongan demo` runs them."""
    return [sys.executable, "-m", "pipelines.cli", "demo", "--workdir", str(workdir)]


def tiny(workdir: Path) -> list[str]:
    """One experiment of the smallest size."""
    what = ["run", "nevus-to-melanoma", "--preset", "demo", "--data", "phantoms", "--workdir", str(workdir)]
    options = [text for option in _TINY for text in ("--set", option)]
    return [sys.executable, "-m", "pipelines.cli", *what, "--models-dir", str(workdir / "saved_models"), *options]


class Chaos:
    """Runs of one command in folders of their own, undisturbed and killed."""

    def __init__(self, folder: Path, command: Callable[[Path], list[str]], seed: int, threads: int = 1):
        self.folder, self.command, self.random = folder.resolve(), command, random.Random(seed)
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.repeated: list[str] = []
        self.environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            "LESIONGAN_CHECKPOINT_SECONDS": "2",
        }

    def compare(self, kills: int, mean: float = 0.0) -> int:
        """Kills runs this often, `mean` seconds after they began; how many of the kills changed nothing."""
        begin = time.monotonic()
        self.run("undisturbed")
        whole = time.monotonic() - begin
        print(f"undisturbed: {whole:.0f} s", flush=True)
        identical = killed = number = 0
        while killed < kills:
            number += 1
            name = f"killed-{number}"
            done = self.killed(name, kills - killed, mean or whole / 5)
            faults = self.faults(name)
            for fault in faults:
                print(f"{name}: {fault}", flush=True)
            killed += done
            identical += 0 if faults else done
            print(f"{name}: {done} kills, {'NOT as undisturbed' if faults else 'as undisturbed'}", flush=True)
        return identical

    def run(self, name: str) -> None:
        """The command to its end."""
        process, log = self._start(name)
        if process.wait():
            raise SystemExit(f"the command failed: {log.read_text()[-2000:]}")

    def killed(self, name: str, kills: int, mean: float) -> int:
        """The command until it ends by itself, after at most `kills` kills; returns how many there were."""
        finished: set[str] = set()
        self.repeated = []
        done = 0
        while True:
            process, log = self._start(name)
            try:
                if done < kills:
                    self._begun(process, log)
                process.wait(self.random.expovariate(1 / mean) if done < kills else None)
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
                self._kill(process, step=self.random.random() < 1 / 3)
                done += 1
            ran, now = _steps(log.read_text())
            self.repeated += sorted(ran & finished)
            finished |= now
            print(f"  {name}: {done} kills, {len(finished)} steps finished", flush=True)
            if ended:
                if process.returncode:
                    raise SystemExit(f"the command failed: {log.read_text()[-2000:]}")
                return done

    def faults(self, name: str) -> list[str]:
        """What is not as in the undisturbed run."""
        right, found = (_artifacts(self.folder / each) for each in ("undisturbed", name))
        faults = [f"{key}: not there" for key in right.keys() - found.keys()]
        for key in sorted(right.keys() & found.keys()):
            if contents.digest(right[key]) != contents.digest(found[key]):
                faults.append(f"{key}: another content ({_difference(right[key], found[key])})")
        faults += [f"{step}: was finished, and run again" for step in self.repeated]
        left = [*self.temporary.iterdir(), *(self.folder / name).rglob("*.part"), *(self.folder / name).glob("tmp")]
        left += [*(self.folder / name).rglob("*.tmp"), *(self.folder / name).rglob("checkpoints")]
        return faults + [f"{path}: is left" for path in left]

    def _start(self, name: str) -> tuple[subprocess.Popen, Path]:
        command = self.command(self.folder / name)
        log = self.folder / f"{name}.log"
        with log.open("w") as stream:
            return subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=self.environment), log

    def _begun(self, process: subprocess.Popen, log: Path) -> None:
        """Waits until the launcher is up: what it does before is to read."""
        while process.poll() is None and not re.search(r"^\[", log.read_text(), re.MULTILINE):
            time.sleep(0.2)

    def _kill(self, process: subprocess.Popen, *, step: bool) -> None:
        family = _descendants(process.pid)
        if step and family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(family[-1], signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEFT)
        process.kill()
        process.wait()
        deadline = time.monotonic() + _LEFT
        while left := [pid for pid in family if still_runs(pid)]:
            if time.monotonic() > deadline:
                raise SystemExit(f"processes of a killed launcher still run: {left}")
            time.sleep(0.1)


def _steps(log: str) -> tuple[set[str], set[str]]:
    """The steps that a command ran, and those that it knew to be finished at its end, as `pipeline/step`."""
    ran, finished, pipeline = set(), set(), ""
    for line in log.splitlines():
        if match := re.match(r"([\w-]+): .*, workdir ", line):
            pipeline = match[1]
        elif match := re.fullmatch(r"\[([\w-]+)\](.*)", line):
            step = f"{pipeline}/{match[1]}"
            (finished if match[2] else ran).add(step)
    return ran, finished


def _artifacts(workdir: Path) -> dict[str, Path]:
    """The artifacts of a workdir's last runs, as `pipeline/step/artifact`."""
    found = {}
    for path in sorted((workdir / "runs").glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            for key, uri in step["outputs"].items():
                if key not in _TOLD and not (key == "metrics" and "report" in step["outputs"]):
                    found[f"{path.stem}/{step['name']}/{key}"] = workdir / uri
    return found


def _difference(right: Path, found: Path) -> str:
    """The first file that differs in its content."""
    if right.is_file():
        return f"{right.read_text()[:300]!r}, {found.read_text()[:300]!r}"
    for path in sorted(p for p in right.rglob("*") if p.is_file()):
        other = found / path.relative_to(right)
        if "tfevents" not in path.name and (not other.is_file() or contents.digest(path) != contents.digest(other)):
            return str(path.relative_to(right))
    return "more files"


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def still_runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
