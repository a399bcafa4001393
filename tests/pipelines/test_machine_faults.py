"""What a machine does to a run: a fault is one line with the exit code of the table, and the same command goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lesiongan
from pipelines.failures import failure_of

ROOT = Path(lesiongan.__file__).parent.parent
TOY = [sys.executable, str(Path(__file__).with_name("toy_pipeline.py"))]


def run(workdir: Path, mischief: str = "none", **environment: str) -> subprocess.CompletedProcess:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [*TOY, str(workdir), mischief], env=variables, capture_output=True, text=True, timeout=300, check=False
    )


def said(result: subprocess.CompletedProcess, code: int) -> str:
    """The one line of a failed run."""
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, of this size."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("left", [0, 8, 14])
def test_a_full_disk_is_one_line_and_once_there_is_room_the_same_command_goes_on(tmp_path, left):
    with mounted(tmp_path / "disk", "1M") as disk:
        (disk / "run").mkdir()
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * ((256 - 2 - left) * 4096))  # pages; the disk has two folders
        line = said(run(disk / "run"), 3)
        assert f"the disk is full (No space left on device): {disk}" in line
        assert "the same command goes on from here" in line
        ballast.unlink()
        again = run(disk / "run")
        assert again.returncode == 0, again.stderr
        assert [p.read_text() for p in disk.glob("run/artifacts/*/step-3/made/numbers.csv")] == ["14"]
        assert [*disk.rglob("*.part"), *disk.glob("run/tmp"), *disk.rglob("*.tmp")] == []


def test_a_full_folder_for_temporary_files_does_not_matter(tmp_path):
    with mounted(tmp_path / "disk", "64k") as disk:
        with contextlib.suppress(OSError):
            (disk / "ballast").write_bytes(b"x" * 200_000)
        result = run(tmp_path / "run", TMPDIR=str(disk))
        assert result.returncode == 0, result.stderr
        assert [path.name for path in disk.iterdir()] == ["ballast"]


def test_a_workdir_that_cannot_be_written(tmp_path):
    with mounted(tmp_path / "disk", "1M") as disk:
        (disk / "run").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert "Read-only file system; name a folder that can be written" in said(run(disk / "run"), 2)


def test_a_step_that_the_system_kills_for_its_memory_says_which_option_takes_less(tmp_path):
    line = said(run(tmp_path / "run", "killed"), 3)
    assert "step step-2 was killed (signal 9), mostly because the memory is full; free some" in line
    config = {"cyclegan": {"batch": 4, "size": 48}}
    for exit_code, report in ((137, {}), (1, {"memory": True})):
        failure = failure_of("train-cyclegan", exit_code, tmp_path / "none", tmp_path / "none", report, config)
        assert "--set cyclegan.batch=2 (it is 4)" in str(failure)
        assert failure.exit_code == 3
    config["cyclegan"]["batch"] = 1
    assert "--set cyclegan.size=24" in str(failure_of("train-cyclegan", 137, tmp_path, tmp_path, {}, config))


def test_a_lock_that_another_machine_left_is_no_lock_and_a_held_one_is(tmp_path):
    (tmp_path / "lock").write_text("process 1 on elsewhere")
    holder = subprocess.Popen(
        [*TOY, str(tmp_path), "sleep"], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "runs").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert f"another run or training holds it (process {holder.pid}" in said(run(tmp_path), 3)
    holder.kill()
    holder.wait()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the system call fail")
def test_a_file_system_without_locks_is_one_line(tmp_path):
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"]
    program = "import sys; from toy_pipeline import main; sys.exit(main(sys.argv[1]))"
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
    result = subprocess.run(
        [*trace, sys.executable, "-c", program, str(tmp_path / "run")],
        env=variables, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "ptrace" in result.stderr:
        pytest.skip("no process may be traced here")
    assert "cannot be locked (No locks available); use a local disk" in said(result, 2)
