"""A checkpoint is whole or not at all, wherever its writer is killed, and is not trusted when it is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lesiongan
from lesiongan.base.errors import LesionganError
from lesiongan.training.checkpoints import Checkpoints, not_finite, read_checkpoint


def variables(value: float) -> list[tf.Variable]:
    return [tf.Variable(tf.fill([3, 2], value)), tf.Variable(int(value), dtype=tf.int64), tf.Variable(True)]


def saved(folder: Path, *steps: int, keep: int = 2) -> Checkpoints:
    checkpoints = Checkpoints(folder, "line", keep)
    for step in steps:
        checkpoints.save(step, variables(step), {"step": step})
    return checkpoints


@pytest.fixture
def said(capsys, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")
    return lambda: capsys.readouterr().out


def test_the_last_ones_are_kept_and_the_last_is_restored(tmp_path):
    checkpoints = saved(tmp_path, 3, 5, 9)
    assert checkpoints.steps() == [5, 9]
    state = variables(0)
    assert checkpoints.restore(state) == (9, {"step": 9})
    assert state[0].numpy().tolist() == [[9.0, 9.0]] * 3
    assert (int(state[1]), bool(state[2])) == (9, True)
    assert saved(tmp_path / "more", *range(6), keep=4).steps() == [2, 3, 4, 5]
    assert Checkpoints(tmp_path / "none").restore(variables(0)) == (0, {})


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE = {
    "cut off": lambda path: (path / "state.npz").write_bytes((path / "state.npz").read_bytes()[:-7]),
    "empty": lambda path: (path / "state.npz").write_bytes(b""),
    "longer": lambda path: (path / "state.npz").write_bytes((path / "state.npz").read_bytes() + b"x"),
    "one bit": lambda path: (path / "state.npz").write_bytes(flipped((path / "state.npz").read_bytes(), 200)),
    "a file missing": lambda path: (path / "state.npz").unlink(),
    "no record": lambda path: (path / "checkpoint.json").unlink(),
    "record cut off": lambda path: (path / "checkpoint.json").write_bytes((path / "checkpoint.json").read_bytes()[:40]),
    "record of something else": lambda path: (path / "checkpoint.json").write_text("[]"),
    "record of bytes": lambda path: (path / "checkpoint.json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_said_in_one_line_and_the_one_before_is_taken(tmp_path, damage, said):
    checkpoints = saved(tmp_path, 5, 9)
    DAMAGE[damage](tmp_path / "step-0000009")
    state = variables(0)
    assert checkpoints.restore(state) == (5, {"step": 5})
    assert int(state[1]) == 5
    (line,) = said().splitlines()
    assert "line: the checkpoint of step 9 is damaged (" in line
    assert "that of step 5 is taken" in line
    assert checkpoints.steps() == [5]  # so that step 9 can be saved again
    checkpoints.save(9, variables(9))
    assert checkpoints.restore(state)[0] == 9


def test_every_flipped_bit_of_the_state_is_seen(tmp_path):
    saved(tmp_path, 1)
    file = tmp_path / "step-0000001" / "state.npz"
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(flipped(whole, place))
        with pytest.raises(Exception, match="checksum"):
            read_checkpoint(file.parent)


def test_where_all_are_damaged_the_training_begins_anew(tmp_path, said):
    checkpoints = saved(tmp_path, 5, 9)
    for path in tmp_path.iterdir():
        DAMAGE["cut off"](path)
    assert checkpoints.restore(variables(0)) == (0, {})
    assert "the training begins anew" in said()


def test_that_of_another_model_is_refused_and_stays(tmp_path):
    checkpoints = saved(tmp_path, 5)
    for other in (variables(0)[:2], [tf.Variable(tf.zeros([2, 3])), *variables(0)[1:]]):
        with pytest.raises(LesionganError, match="another model"):
            checkpoints.restore(other)
    record = json.loads((tmp_path / "step-0000005" / "checkpoint.json").read_text())
    (tmp_path / "step-0000005" / "checkpoint.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(LesionganError, match="update lesiongan"):
        checkpoints.restore(variables(0))
    assert checkpoints.steps() == [5]


def test_what_is_not_finite_is_named():
    bad = [tf.Variable([1.0, np.nan], name="kernel"), tf.Variable(1), tf.Variable(np.inf, name="rate")]
    assert [name.partition(":")[0] for name in not_finite(bad)] == ["kernel", "rate"]
    assert not_finite(variables(3)) == []


PROGRAM = Path(__file__).with_name("killed_at_each_call.py")


def killed_at_each_call(what: str, folder: Path) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [sys.executable, str(PROGRAM), what, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_save_that_is_killed_at_any_call_leaves_a_whole_checkpoint(tmp_path):
    found = killed_at_each_call("save", tmp_path)
    # opening and writing two files, their fsyncs, those of two folders, the rename, and the removal of an old one
    assert found["calls"] > 20
    assert set(found["kinds"]) >= {"open", "write", "fsync", "rename", "unlink", "rmdir"}
    assert len(found["restored"]) == found["calls"]
    for restored in found["restored"]:
        assert restored in ([2, 2.0], [3, 3.0])  # the step and the values of one of the two, never a mixture
    assert found["restored"][0] == [2, 2.0]
    assert found["restored"][-1] == [3, 3.0]


@pytest.mark.long
def test_a_training_that_is_killed_at_any_call_of_a_save_ends_like_an_undisturbed_one(tmp_path):
    found = killed_at_each_call("train", tmp_path)
    assert found["calls"] > 25
    assert found["differ"] == []
