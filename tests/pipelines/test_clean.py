"""`lesiongan clean` takes what finished steps left, and nothing that a result or an interrupted step needs."""

from __future__ import annotations

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.base.lineage import write_record
from pipelines.clean import removable
from pipelines.cli import _guarded, _parse
from pipelines.workdir import RunRecord, status_lines


def a_step(directory, artifact: str, step: str, identity: str) -> None:
    """An artifact of a finished step with its record, and what the step left in its working folder."""
    place = directory / artifact
    place.mkdir(parents=True)
    (place / "content").write_text("kept")
    facts = {"step": step, "identity": identity * 8, "started": "2026-01-01T00:00:00Z", "seconds": 61.0}
    write_record(place, {**facts, "artifact": place.name})
    left(directory, f"{step}-{(identity * 8)[:16]}")


def left(directory, name: str) -> None:
    (directory / "work" / name).mkdir(parents=True)
    (directory / "work" / name / "checkpoint").write_bytes(b"x" * 1000)


@pytest.fixture
def workdir(tmp_path):
    directory = tmp_path / "run"
    a_step(directory, "artifacts/run-1/train-acgan/model", "train_acgan", "0a")
    a_step(directory, "artifacts/run-2/train-acgan/model", "train_acgan", "1b")
    for name in ("train_cyclegan-2c2c2c2c2c2c2c2c", "cells", "code"):  # interrupted, of the grids, of the code
        left(directory, name)
    record = RunRecord(directory, "noise-to-lesion")
    record.step("train-acgan", status="done", seconds=1, outputs={"model": "artifacts/run-2/train-acgan/model"})
    record.finish("done")
    return directory


def test_finished_steps_and_earlier_runs(workdir):
    finished = {"train_acgan-0a0a0a0a0a0a0a0a", "train_acgan-1b1b1b1b1b1b1b1b"}
    assert {each.folder.name for each in removable(workdir)} == finished
    assert {each.folder.name for each in removable(workdir, earlier=True)} == {*finished, "run-1"}
    assert all(each.bytes >= 1000 for each in removable(workdir))


def test_a_dry_run_removes_nothing_and_a_real_one_what_it_said(workdir, capsys):
    before = {path for path in workdir.rglob("*") if path.is_file()}
    assert _guarded(_parse(["lesiongan", "clean", str(workdir), "--earlier", "--dry-run"])) == 0
    assert "would be freed" in capsys.readouterr().out
    assert {path for path in workdir.rglob("*") if path.is_file()} == before
    assert _guarded(_parse(["lesiongan", "clean", str(workdir), "--earlier"])) == 0
    kept = {path.name for path in (workdir / "work").iterdir()}
    assert kept == {"train_cyclegan-2c2c2c2c2c2c2c2c", "cells", "code"}
    assert (workdir / "artifacts/run-2/train-acgan/model/content").read_text() == "kept"
    assert not (workdir / "artifacts/run-1").exists()
    assert removable(workdir, earlier=True) == []


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "work").mkdir()
    with pytest.raises(UsageError, match="nothing was run or trained here"):
        removable(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        removable(tmp_path / "gone")


def test_status_of_a_training_says_what_is_done_and_what_is_not(tmp_path):
    a_step(tmp_path, "model", "train_acgan", "0a")
    write_json(tmp_path / "model" / "acgan" / "model.json", {})
    left(tmp_path, "train_classifier-3d3d3d3d3d3d3d3d")
    text = "\n".join(status_lines(tmp_path))
    assert "done        train_acgan             1 min 01 s" in text
    assert "unfinished  train_classifier" in text
    assert f"model: {tmp_path / 'model' / 'acgan'}" in text
