"""Ctrl-C on a terminal, SIGTERM and SIGINT to real trainings: what is saved, said and returned."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lesiongan

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
SMALL = ["data.phantoms=240", "data.phantom_size=32", "classifier.size=32", "classifier.width=0.1"]
SMALL += ["nevus_to_melanoma.amounts=20,40", "classifier.images=4000000", "classifier.find_learning_rate=false"]
OPTIONS = ["--preset", "demo", "--recipe", "paper", *(part for value in SMALL for part in ("--set", value))]


def command(what: str, folder: Path) -> list[str]:
    where = {"train": ["train", "classifier", "-o"], "run": ["run", "nevus-to-melanoma", "--workdir"]}[what]
    return [sys.executable, "-m", "pipelines.cli", *where, str(folder), "--data", "phantoms", *OPTIONS]


class Terminal:
    """A command on a terminal of its own, as a person starts it."""

    def __init__(self, arguments: list[str]):
        self.process, self.screen = pty.fork()
        if not self.process:
            os.execvpe(arguments[0], arguments, ENVIRONMENT)
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
        self.said = ""

    def until(self, seen: Callable[[str], object], seconds: float = 400) -> None:
        """Reads until what was said is as it should be, or to the end."""
        end = time.monotonic() + seconds
        while not seen(self.said):
            assert time.monotonic() < end, self.said
            if select.select([self.screen], [], [], 0.5)[0]:
                try:
                    part = os.read(self.screen, 4096)
                except OSError:  # the end
                    return
                self.said += part.decode(errors="replace")

    def press_ctrl_c(self) -> None:
        os.write(self.screen, b"\x03")

    def code(self) -> int:
        self.until(lambda said: False)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def trains(said: str) -> bool:
    """Whether steps are done: the bar of `train` and the line of `run` count them."""
    return bool(re.search(r"classifier: +[1-9][\d,]* of|\| [1-9]\d*/62500", said))


def saved_step(folder: Path) -> int:
    """Of the last checkpoint; there is no other training's and nothing unfinished."""
    paths = list(folder.glob("work/train_classifier-*/run/checkpoints/*"))
    assert paths
    assert all(path.name.startswith("step-") for path in paths), paths
    return max(int(path.name[5:]) for path in paths)


def left_over(folder: Path) -> list[int]:
    """Processes that still work in the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            told = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            if str(folder).encode() in told and int(path.name) != os.getpid():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("what", ["train", "run"])
def test_ctrl_c_on_a_terminal_then_signals_to_the_command_alone(what, tmp_path):
    folder = tmp_path / "out"
    terminal = Terminal(command(what, folder))
    terminal.until(trains)
    terminal.press_ctrl_c()
    assert terminal.code() == 130, terminal.said
    first = saved_step(folder)
    end = f"lesiongan: interrupted, classifier is saved at step {first:,} of 62,500; the same command goes on from here"
    assert terminal.said.count(end) == 1, terminal.said
    assert terminal.said.count("classifier: stops after this step and saves a checkpoint; Ctrl-C again: at once") == 1
    assert "Traceback" not in terminal.said
    assert left_over(folder) == []

    for number, code, word in ((signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")):
        process = subprocess.Popen(
            command(what, folder),
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if "classifier: goes on from step" in line:
                    break
            process.send_signal(number)  # a step of the run is not told by the terminal
            rest, _ = process.communicate(timeout=120)
        finally:
            process.kill()  # one that does not listen would train for hours
        said = "".join(lines) + rest
        assert process.returncode == code, said
        assert f"classifier: goes on from step {first:,} of 62,500" in said
        last = saved_step(folder)
        assert last >= first  # the signal may come before a step is done
        assert f"lesiongan: {word if what == 'train' else ''}" in said
        assert f"classifier is saved at step {last:,} of 62,500; the same command goes on from here" in said
        assert "Traceback" not in said
        assert left_over(folder) == []
        first = last


def test_a_second_ctrl_c_leaves_at_once_and_no_step_behind(tmp_path):
    terminal = Terminal(command("run", tmp_path / "out"))
    terminal.until(trains)
    (process,) = [p for p in left_over(tmp_path / "out") if _runs_the_step(p)]
    os.kill(process, signal.SIGSTOP)  # a step that takes long
    terminal.press_ctrl_c()
    time.sleep(1)
    terminal.press_ctrl_c()
    terminal.until(lambda said: "lesiongan: interrupted; the same command goes on from here" in said, 20)
    assert terminal.code() == 130, terminal.said
    time.sleep(1)
    assert left_over(tmp_path / "out") == []


def _runs_the_step(process: int) -> bool:
    """Whether it is a fork of the process that has TensorFlow (`pipelines.warm_python`)."""
    parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
    return all(b"pipelines.warm_python\0" in Path(f"/proc/{p}/cmdline").read_bytes() for p in (process, parent))
