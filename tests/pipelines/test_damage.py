"""Bytes that went bad in a workdir end in a miss and a line that names them, and the same command mends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from kfp.local import subprocess_task_handler
from toy_pipeline import toy

import lesiongan
from lesiongan.base.errors import LesionganError, UsageError
from lesiongan.base.files import write_json
from pipelines import local
from pipelines.cached import Checked
from pipelines.clean import removable
from pipelines.workdir import status_lines, sweep

ROOT = Path(lesiongan.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run(workdir: Path, mischief: str = "none", **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(Path(__file__).with_name("toy_pipeline.py")), str(workdir), mischief]
    return subprocess.run(
        command, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    # kfp replaces `python3` and what begins like a placeholder in the arguments of a step
    workdir = tmp_path_factory.mktemp("finished") / "python3.11" / "{{$" / "run"
    result = run(workdir)
    assert result.returncode == 0, result.stderr
    return workdir


@pytest.fixture
def workdir(finished, tmp_path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")


def artifact(workdir: Path, task: str) -> Path:
    return next(workdir.glob(f"artifacts/toy-*/{task}/made"))


def entry(workdir: Path, task: str) -> Path:
    return next(path for path in (workdir / "cache").glob("*.json") if f"/{task}/made" in path.read_text())


def to_run(workdir: Path) -> set[str]:
    return {task for task, cached in local.planned_steps(toy, workdir) if not cached}


def flip(path: Path, bit: int) -> None:
    """Another bit; the file's size and times stay."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(old: str, new: str):
    def change(path: Path) -> None:
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


AFTER = {"step": {"step", "step-2", "step-3"}, "step-2": {"step-2", "step-3"}, "step-3": {"step-3"}}


def test_a_workdir_within_folders_whose_names_kfp_would_replace(finished):
    assert [path.read_text() for path in finished.glob("artifacts/toy-*/step-3/made/numbers.csv")] == ["14"]
    assert to_run(finished) == set()
    tops = finished.parents[2]
    assert {path.relative_to(tops).parts[:3] for path in tops.rglob("*.csv")} == {("python3.11", "{{$", "run")}


def test_checkpoints_that_a_kill_left_behind_a_finished_step_go_with_the_next_run(workdir):
    left = next((workdir / "work").glob("join_sets-*/run")) / "checkpoints"
    left.mkdir()
    (left / "one").write_text("x")
    assert run(workdir).returncode == 0
    assert not left.exists()
    assert left.parent.exists()


def test_the_interpreter_is_put_into_commands_and_not_into_paths():
    """Of a cache of version 0.2, whose artifacts have whole paths."""
    before = subprocess_task_handler.replace_python_executable
    made = json.dumps({"uri": "/home/python3.11/w/artifacts/made"})
    with local._engine():
        command = ["sh", "-ec", "python3 -m kfp.dsl.executor_main", "--executor_input", made]
        found = subprocess_task_handler.replace_python_executable(command, "/opt/bin/python")
    assert found == ["sh", "-ec", "/opt/bin/python -m kfp.dsl.executor_main", "--executor_input", made]
    assert subprocess_task_handler.replace_python_executable is before


def test_a_renamed_workdir_keeps_its_cache_and_needs_the_original_no_more(workdir):
    moved = workdir.rename(workdir.with_name("moved"))
    assert to_run(moved) == set()
    assert not Path(json.loads(entry(moved, "step").read_text())["made"]["uri"]).is_absolute()


@pytest.mark.parametrize(
    ("task", "file", "change", "said"),
    [
        ("step", "made/more/bytes", lambda path: flip(path, 777), "made/more/bytes is not what was made"),
        ("step-2", "made/numbers.csv", replace("4", "5"), "made/numbers.csv is not what was made"),
        ("step-2", "made/numbers.csv", Path.unlink, "made/numbers.csv is missing"),
        ("step-2", "made", shutil.rmtree, "step-2/made is missing"),
        ("step-2", "made/other", lambda path: path.write_text("x"), "made/other is new there"),
        ("step-3", "made.lineage.json", Path.unlink, "made.lineage.json is missing"),
        ("step-3", "made.lineage.json", cut, "made.lineage.json cannot be read"),
        ("step-3", "made.lineage.json", replace('"seed": 0', '"seed": 1'), "lineage.json is not as it was written"),
        ("step-3", "made.lineage.json", replace('"seal"', '"seam"'), "lineage.json is not as it was written"),
        ("step-3", "made.lineage.json", lambda path: path.write_text("[" * 100_000), "cannot be read"),
        ("step-3", "metrics", replace("14", "15"), "metrics is not what was measured"),
        ("step-3", "metrics", lambda path: path.write_text("[1]"), "metrics is not what was measured"),
    ],
)  # fmt: skip
def test_a_damaged_artifact_is_named_and_made_again(workdir, capsys, task, file, change, said):
    change(artifact(workdir, task).parent / file)
    assert to_run(workdir) == AFTER[task]
    printed = capsys.readouterr().err
    assert said in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe{"), "cannot be read"),
        (lambda path: path.write_text('{"version": 2, "outputs": {}}'), "is not as it was written"),  # another kfp's
        (lambda path: path.write_text("null"), "is not a record"),
        (replace("step-2/made", "step-3/made"), "is not as it was written"),
        (lambda path: shutil.copy(entry(path.parents[1], "step"), path), "is not as it was written"),
    ],
)
def test_a_damaged_entry_of_the_cache_is_named_and_its_step_made_again(workdir, capsys, change, said):
    path = entry(workdir, "step-2")
    change(path)
    assert to_run(workdir) == AFTER["step-2"]
    assert f"cache/{path.name} {said}; the step is run again" in capsys.readouterr().err


def test_an_entry_of_kfps_own_is_taken_where_its_artifact_is_whole_and_the_steps(workdir, capsys):
    path = entry(workdir, "step-2")
    data = json.loads(path.read_text())
    del data["seal"]
    write_json(path, data)
    assert to_run(workdir) == set()
    data["made"]["uri"] = data["made"]["uri"].replace("made", "metrics")
    write_json(path, data)
    assert to_run(workdir) == AFTER["step-2"]
    assert "the step is run again" in capsys.readouterr().err


def test_the_same_command_mends_what_is_broken(workdir):
    whole = artifact(workdir, "step-3").joinpath("numbers.csv").read_text()
    broken = artifact(workdir, "step-2")
    flip(broken / "numbers.csv", 3)
    (workdir / "runs" / "toy.json").write_text("{")
    (workdir / "work" / ".plan.json.abcdef12.part").write_text("a killed writer's")
    result = run(workdir)
    assert result.returncode == 0, result.stderr
    assert f"{broken.relative_to(workdir)}/numbers.csv is not what was made; the step is run again" in result.stdout
    assert result.stdout.split("\n")[-4:-1] == ["step step cached", "step step-2 done", "step step-3 done"]
    assert {path.read_text() for path in workdir.glob("artifacts/*/step-3/made/numbers.csv")} == {whole}
    assert "done" in status_lines(workdir)[0]
    sweep(workdir)
    assert not broken.exists()
    assert list(workdir.rglob("*.part")) == []
    assert run(workdir).stdout.count("cached") == 6


def test_steps_leave_no_checkpoints_once_the_cache_has_their_outputs_and_no_temporary_files(workdir, tmp_path):
    assert list(workdir.rglob("checkpoints")) == []
    log = (workdir / "logs" / "toy" / "step.log").read_text()
    place = log.split("temporary folder ")[1].split()[0]
    assert place.endswith("/run/tmp")  # of the run that the fixture copied
    assert not (workdir / "tmp").exists()
    (tmp_path / "temporary").mkdir()
    shutil.rmtree(workdir / "cache")
    assert run(workdir, TMPDIR=str(tmp_path / "temporary")).returncode == 0
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_record_of_a_run_that_cannot_be_read_keeps_clean_from_removing_what_it_names(workdir):
    record = workdir / "runs" / "toy.json"
    cut(record)
    for call in (lambda: removable(workdir, earlier=True), lambda: status_lines(workdir)):
        with pytest.raises(LesionganError, match="not the record of a run"):
            call()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
#: What becomes of a file: other bytes, other JSON, or its own with a piece replaced.
_damage = st.one_of(
    st.binary(max_size=200),
    _json.map(lambda value: json.dumps(value).encode()),
    st.tuples(st.integers(0, 5000), st.integers(0, 40), st.binary(max_size=40)),
    st.tuples(st.sampled_from(("uri", "name", "metadata", "step", "digest", "files", "status", "steps", "seconds",
                               "format", "started", "artifact", "made", "pipeline", "error", "identity")), _json),
)  # fmt: skip


def damaged(content: bytes, damage) -> bytes:
    if isinstance(damage, bytes):
        return damage
    if isinstance(damage[0], str):  # a key somewhere in it gets another value

        def changed(value):
            if isinstance(value, dict):
                return {k: damage[1] if k == damage[0] else changed(v) for k, v in value.items()}
            return [changed(v) for v in value] if isinstance(value, list) else value

        return json.dumps(changed(json.loads(content))).encode()
    begin, length, other = damage
    begin %= len(content)
    return content[:begin] + other + content[begin + length :]


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(folder)): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def fuzzed(finished, tmp_path_factory) -> Path:
    return shutil.copytree(finished, tmp_path_factory.mktemp("fuzzed") / "run")


@settings(max_examples=int(os.environ.get("LESIONGAN_FUZZ", "100")), deadline=None)
@given(st.sampled_from(("cache", "lineage", "runs")), st.integers(0, 2), _damage)
@example("cache", 1, b'{"made": {"__kfp_artifact__": true, "name": "made", "schema_title": "x", "uri": "a\u0000b", '
         b'"metadata": {}}}')  # fmt: skip
def test_no_damage_of_a_record_ends_in_a_traceback_or_a_wrong_result(fuzzed, kind, number, damage):
    patterns = {"cache": "cache/*.json", "lineage": "artifacts/*/*/*.lineage.json", "runs": "runs/*.json"}
    paths = sorted(fuzzed.glob(patterns[kind]))
    path = paths[number % len(paths)]
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, damage))
    try:
        before, lines = listing(fuzzed.parent), []
        with contextlib.chdir(fuzzed):
            taken = [Checked(lines.append).get(each.relative_to(fuzzed)) for each in (fuzzed / "cache").glob("*.json")]
        same = _parsed(path) == json.loads(whole)  # a space more, or no change at all
        assert sum(outputs is None for outputs in taken) == len(lines) == (0 if same or kind == "runs" else 1)
        for call in (status_lines, removable, lambda folder: removable(folder, earlier=True)):
            with contextlib.suppress(UsageError):  # exit code 2 and one line
                call(fuzzed)
        if kind == "runs" and not same:
            with pytest.raises(UsageError, match="not the record of a run"):
                status_lines(fuzzed)
        assert listing(fuzzed.parent) == before
    finally:
        path.write_bytes(whole)


def _parsed(path: Path):
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
