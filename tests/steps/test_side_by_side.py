"""Parts of a step in processes of their own: each is done once, and whatever happens to one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.chaos import still_runs
from lesiongan.base import jobs
from lesiongan.base.errors import ExitCode, LesionganError, MachineError, UsageError
from lesiongan.steps.side_by_side import side_by_side

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes side by side need Linux")


@pytest.fixture(autouse=True)
def two_jobs(monkeypatch):
    monkeypatch.setenv(jobs.JOBS_VARIABLE, "2")
    monkeypatch.setattr(jobs, "free_memory", lambda: 16 << 30)


def noted(folder: Path, fails: tuple[int, ...] = ()):
    """Work that leaves a file for each part, with the process and its cores."""

    def work(number: int) -> list[str]:
        with (folder / str(number)).open("x") as file:
            file.write(f"{os.getpid()} {sorted(os.sched_getaffinity(0))}")
        time.sleep(0.05)
        return [f"part {number}"] if number in fails else []

    return work


def test_each_part_is_done_once_by_processes_that_share_the_cores(tmp_path):
    assert side_by_side(noted(tmp_path, fails=(3, 5)), 9) is not None
    said = [path.read_text() for path in tmp_path.iterdir()]
    assert sorted(map(int, os.listdir(tmp_path))) == list(range(9))
    processes = {text.partition(" ")[0] for text in said}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    cores = {text.partition(" ")[2] for text in said}
    assert len(cores) == min(2, len(os.sched_getaffinity(0)))


def test_what_failed_of_a_part_is_told_and_the_others_are_done(tmp_path):
    assert sorted(side_by_side(noted(tmp_path, fails=(3, 5)), 9)) == ["part 3", "part 5"]
    assert len(os.listdir(tmp_path)) == 9


@pytest.mark.parametrize(("asked", "parts"), [("1", 5), ("4", 1)])
def test_one_at_a_time_is_left_to_the_step_itself(monkeypatch, tmp_path, asked, parts):
    monkeypatch.setenv(jobs.JOBS_VARIABLE, asked)
    assert side_by_side(noted(tmp_path), parts) is None
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UsageError("no such class"), LesionganError, ExitCode.USAGE),
        (MachineError("out of memory"), MachineError, ExitCode.MACHINE),
        (OSError(28, "No space left on device"), MachineError, ExitCode.MACHINE),
        (ValueError("a fault of ours"), RuntimeError, None),
    ],
)
def test_what_ends_a_process_ends_the_step_with_its_line_and_exit_code(tmp_path, error, kind, code):
    def work(number: int) -> list[str]:
        if number == 1:
            raise error
        return noted(tmp_path)(number)

    with pytest.raises(kind) as raised:
        side_by_side(work, 50)
    words = "the disk is full" if isinstance(error, OSError) else str(error)
    assert words in str(raised.value)
    assert getattr(raised.value, "exit_code", None) == code
    assert len(os.listdir(tmp_path)) < 49  # nothing new was begun


def test_a_process_that_is_killed_is_told(tmp_path):
    def work(number: int) -> list[str]:
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return noted(tmp_path)(number)

    with pytest.raises(MachineError, match="killed, out of memory perhaps; give a smaller --jobs"):
        side_by_side(work, 4)


_STEP = """
import signal, sys, time
from lesiongan.base import jobs
from lesiongan.base.errors import Interrupted
from lesiongan.steps.side_by_side import side_by_side
from lesiongan.training.stopping import noted_signals

jobs.free_memory = lambda: 16 << 30

def work(number):
    with noted_signals(f"part {number}") as stop:
        print("began", flush=True)
        while not stop.asked:
            time.sleep(0.01)
        raise stop.interrupted(f"part {number} is saved")

try:
    side_by_side(work, 2)
except Interrupted as error:
    print("ended:", error, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [(signal.SIGTERM, False, ExitCode.TERMINATED), (signal.SIGINT, True, ExitCode.INTERRUPTED)],
)
def test_a_signal_reaches_every_training_which_is_saved(number, to_group, code):
    process = _begun()
    (os.killpg if to_group else os.kill)(process.pid, number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert "is saved" in said.rpartition("ended:")[2]


def test_no_process_outlives_a_step_that_is_killed():
    process = _begun()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 30
    while any(still_runs(int(pid)) for pid in children):
        assert time.monotonic() < end, "a child runs on"
        time.sleep(0.02)


def _begun() -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", _STEP], stdout=subprocess.PIPE, text=True, start_new_session=True)
    began = 0
    while began < 2:
        began += "began" in process.stdout.readline()
    return process


def test_memory_decides_how_many_where_it_is_short(monkeypatch):
    monkeypatch.setenv(jobs.JOBS_VARIABLE, "8")
    monkeypatch.setattr(jobs, "free_memory", lambda: 2 * jobs.EACH + 1)
    assert jobs.jobs_for(20) == 2
    monkeypatch.setattr(jobs, "free_memory", lambda: 1)
    assert jobs.jobs_for(20) == 1


def test_free_memory_is_what_the_system_says():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            assert 0 < jobs.free_memory() < int(line.split()[1]) << 10


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²"])
def test_no_number_of_jobs_is_refused(monkeypatch, text):
    monkeypatch.setenv(jobs.JOBS_VARIABLE, text)
    with pytest.raises(UsageError, match="give a number of trainings, 1 or more"):
        jobs.asked_jobs()
