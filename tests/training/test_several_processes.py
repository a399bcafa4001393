"""One training by two processes on loopback, and by two devices of one, against one alone; and what becomes of it when
one of the two is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.checkpoint_seconds import CHECKPOINTS, SECONDS_VARIABLE
from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.training import distribution
from lesiongan.training.distribution import VARIABLE, joined, scope

SCRIPT = Path(__file__).with_name("train_together.py")
IMAGES = {"acgan": 8, "cyclegan": 4}  # of one step
LONG = 900.0  # seconds


def _addresses() -> list[str]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("localhost", 0))
        return [f"localhost:{each.getsockname()[1]}" for each in (one, two)]


def _start(*arguments, **environment) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _two(*arguments, **environment) -> list[subprocess.Popen]:
    """The chief and a worker."""
    cluster = {"worker": _addresses()}
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [
        _start(*arguments, **environment, **{VARIABLE: json.dumps({"cluster": cluster, "task": task})})
        for task in tasks
    ]


def _found(process: subprocess.Popen) -> dict:
    out, error = process.communicate(timeout=LONG)
    assert process.returncode == 0, error[-3000:]
    return json.loads(out.splitlines()[-1])


def _agree(found: dict, expected: dict) -> None:
    for line, other in zip(found["losses"], expected["losses"], strict=True):
        assert line.keys() == other.keys()
        for name, loss in other.items():
            np.testing.assert_allclose(line[name], loss, rtol=1e-3, err_msg=name)
    gradients = [np.array(moment) for moment in expected["moments"]]  # after one step in proportion
    largest = max(map(np.linalg.norm, gradients))
    for moment, other in zip(found["moments"], gradients, strict=True):
        assert np.linalg.norm(moment - other) < 1e-3 * max(np.linalg.norm(other), 1e-4 * largest)


@pytest.mark.long
@pytest.mark.parametrize("model", ["acgan", "cyclegan"])
def test_two_processes_and_two_devices_train_as_one(tmp_path, model):
    expected = _found(_start(model, tmp_path / "one", IMAGES[model]))
    _agree(_found(_start(model, tmp_path / "devices", IMAGES[model], "--devices", 2)), expected)
    processes = _two(model, tmp_path / "processes", IMAGES[model])
    chief, worker = map(_found, processes)
    _agree(chief, expected)
    assert worker["digest"] == chief["digest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["devices", "one", "processes"]


@pytest.mark.long
def test_two_devices_go_on_from_a_checkpoint_of_as_many_and_of_one(tmp_path):
    one, two = IMAGES["acgan"], 2 * IMAGES["acgan"]
    whole = _found(_start("acgan", tmp_path / "whole", two, "--devices", 2))
    _found(_start("acgan", tmp_path / "same", one, "--devices", 2))
    assert _found(_start("acgan", tmp_path / "same", two, "--devices", 2)) == whole
    _found(_start("acgan", tmp_path / "other", one))
    for line, other in zip(
        _found(_start("acgan", tmp_path / "other", two, "--devices", 2))["losses"], whole["losses"], strict=True
    ):
        for name, loss in other.items():
            np.testing.assert_allclose(line[name], loss, rtol=1e-3, err_msg=name)


def _wait_for_checkpoint(run_dir: Path, step: int, processes: list[subprocess.Popen]) -> None:
    begin = time.monotonic()
    while not any(int(path.name[5:]) >= step for path in (run_dir / CHECKPOINTS).glob("step-*")):
        assert time.monotonic() - begin < LONG
        assert all(process.poll() is None for process in processes), [p.communicate()[1][-2000:] for p in processes]
        time.sleep(0.05)


@pytest.mark.long
def test_a_training_goes_on_when_one_of_its_processes_was_killed(tmp_path):
    steps = 12
    given = ("cyclegan", tmp_path / "killed", steps * IMAGES["cyclegan"], "--seconds", 0.5)
    for step, killed, sent, codes in (
        (2, 1, signal.SIGKILL, (ExitCode.MACHINE, -signal.SIGKILL)),
        (4, 0, signal.SIGKILL, (-signal.SIGKILL, ExitCode.MACHINE)),
        (6, 1, signal.SIGTERM, (ExitCode.TERMINATED, ExitCode.TERMINATED)),
    ):
        processes = _two(*given, **{SECONDS_VARIABLE: "0"})
        _wait_for_checkpoint(tmp_path / "killed" / "run", step, processes)
        processes[killed].send_signal(sent)
        said = [process.communicate(timeout=LONG)[1] for process in processes]
        assert [process.returncode for process in processes] == list(codes), said
        if sent == signal.SIGKILL:
            assert "another process of this training is gone" in said[1 - killed]
        else:
            assert "is saved at step" in said[0]
    disturbed, _ = map(_found, _two(*given))
    undisturbed, _ = map(_found, _two("cyclegan", tmp_path / "whole", given[2]))
    assert disturbed == undisturbed


def test_what_any_process_says_may_be_said_again(monkeypatch):
    """A flag that came back as NumPy's could not be sent at the next step."""
    alone = SimpleNamespace(strategy=tf.distribute.OneDeviceStrategy("/cpu:0"), is_chief=True)
    monkeypatch.setattr(distribution, "_cluster", alone)
    said = distribution.any_says(np.False_, True)
    assert [*map(type, said), *said] == [bool, bool, False, True]
    assert distribution.any_says(*said) == said


@pytest.mark.parametrize("config", [ACGANConfig, CycleGANConfig])
def test_xla_is_for_one_device(config):
    with pytest.raises(UsageError, match=r"gan.xla.*one device"):
        config(xla=True, replicas=2)


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(UsageError, match=r"'acgan.replicas': 64, but TensorFlow sees"):
        scope(64, "acgan")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "give JSON"),
        ("[]", "give JSON"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}}', "there is a 'ps'"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', "worker 2 is none"),
    ],
)
def test_a_cluster_that_is_not_understood_is_refused(tmp_path, monkeypatch, text, why):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=why), joined(ACGANConfig(), "acgan", tmp_path):
        pass


@pytest.mark.parametrize(
    ("config", "group", "option"),
    [
        (ACGANConfig(rollbacks=1), "acgan", "acgan.rollbacks"),
        (ACGANConfig(precision="auto"), "acgan", "acgan.precision"),
        (ClassifierConfig(find_learning_rate=True), "classifier", "classifier.find_learning_rate"),
    ],
)
def test_what_processes_cannot_do_together_is_refused(tmp_path, monkeypatch, config, group, option):
    monkeypatch.setenv(VARIABLE, '{"cluster": {"worker": ["localhost:1", "localhost:2"]}}')
    with pytest.raises(UsageError, match=option), joined(config, group, tmp_path):
        pass


def test_a_process_that_is_alone_is_none_of_several(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}')
    with joined(ACGANConfig(), "acgan", tmp_path) as place:
        assert place == tmp_path
