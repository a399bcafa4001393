from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time

import pytest

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.base.locks import held, is_held
from pipelines.workdir import RunRecord, status_lines, sweep

HOLD = """
import sys, pathlib, time
from lesiongan.base.locks import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_workdir_has_one_writer_and_a_killed_one_lets_go(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    assert is_held(tmp_path)
    with pytest.raises(MachineError, match=f"process {other.pid} on "), held(tmp_path):
        pass
    other.kill()
    other.wait()
    with held(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_clock_that_jumps_neither_holds_a_workdir_nor_lets_go_of_it(tmp_path, monkeypatch):
    with held(tmp_path):
        for time_of_file in (0, 1e11):  # 1970, and in thousands of years
            os.utime(tmp_path / "lock", (time_of_file, time_of_file))
            assert is_held(tmp_path)
    assert not is_held(tmp_path)
    clock = itertools.cycle((4e9, 0.0))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    record = RunRecord(tmp_path, "noise-to-lesion")
    record.finish("done")
    assert 0 <= json.loads(record.path.read_text())["seconds"] < 60


def test_a_workdir_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--workdir"), held(tmp_path / "file" / "workdir"):
        pass


def test_status_tells_what_ran_and_what_a_kill_left(tmp_path):
    with pytest.raises(UsageError, match="nothing was run"):
        status_lines(tmp_path)
    record = RunRecord(tmp_path, "noise-to-lesion")
    record.step("example-gen", status="cached", seconds=3.2)
    record.step("train-acgan", status="running")
    text = "\n".join(status_lines(tmp_path))
    assert "noise-to-lesion: interrupted" in text
    assert "cached      example-gen" in text
    assert "interrupted train-acgan" in text
    record.step("train-acgan", status="done", seconds=61)
    record.finish("done", report="r.html")
    text = "\n".join(status_lines(tmp_path))
    assert "noise-to-lesion: done" in text
    assert "1 min 01 s" in text
    assert f"report: {tmp_path / 'r.html'}" in text
    assert "disk used: " in text


UNFINISHED, FINISHED = (f"nevus-to-melanoma-2026-11-26-20-13-09-{number}" for number in (122856, 7))


def test_what_interrupted_runs_left_is_swept_and_finished_steps_stay(tmp_path):
    for name in (UNFINISHED, FINISHED, "figures"):
        (tmp_path / "artifacts" / name / "step" / "out").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    artifact = {"__kfp_artifact__": True, "name": "out", "schema_title": "system.Dataset", "metadata": {}}
    entry = {"out": {**artifact, "uri": f"artifacts/{FINISHED}/step/out"}}
    (tmp_path / "artifacts" / FINISHED / "interrupted" / "out").mkdir(parents=True)
    (tmp_path / "artifacts" / ".examples.abcd_123.part").mkdir()
    (tmp_path / "cache" / "a.json").write_text(json.dumps(entry))
    sweep(tmp_path)
    assert {p.name for p in (tmp_path / "artifacts").iterdir()} == {FINISHED, "figures"}
    assert [p.name for p in (tmp_path / "artifacts" / FINISHED).iterdir()] == ["step"]


def test_a_folder_of_other_things_is_no_workdir(tmp_path):
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(UsageError, match="other things in this folder"), held(tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["artifacts"]
