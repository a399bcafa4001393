"""Signals to a training: it is saved after the running step and goes on as if nothing had been."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import pytest
from line import batches, by_hand, model

import lesiongan
from lesiongan.base.errors import ExitCode, Interrupted
from lesiongan.training.loop import fit
from lesiongan.training.measuring import Measure
from lesiongan.training.run import Run
from lesiongan.training.states import last_state


class Send(keras.callbacks.Callback):
    """Sends signals to this process in a step."""

    def __init__(self, step: int, *numbers: int):
        super().__init__()
        self.step, self.numbers = step, numbers

    def on_train_batch_begin(self, batch, logs=None):
        if batch + 1 == self.step:
            for number in self.numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.3)  # a thread notes it


def train(folder: Path, *callbacks, steps: int = 30, **more):
    line = model()
    fit(line, batches(steps), Run("line", folder, steps=steps, images_per_step=1), callbacks, **more)
    return line


@pytest.mark.parametrize(
    ("numbers", "code", "what"),
    [
        ([signal.SIGINT], ExitCode.INTERRUPTED, "interrupted"),
        ([signal.SIGTERM], ExitCode.TERMINATED, "terminated"),
        # the launcher of a run sends SIGTERM where the terminal may have sent Ctrl-C already
        ([signal.SIGINT, signal.SIGTERM], ExitCode.INTERRUPTED, "interrupted"),
        ([signal.SIGTERM, signal.SIGINT], ExitCode.TERMINATED, "terminated"),
    ],
)
def test_a_signal_saves_the_training_after_the_running_step(tmp_path, numbers, code, what):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(Interrupted, match=f"^{what}, line is saved at step 12 of 30$") as caught:
        train(tmp_path, Send(12, *numbers), checkpoint_every=1e9)
    assert caught.value.exit_code == code
    assert {number: signal.getsignal(number) for number in before} == before
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-0000012"]
    assert float(train(tmp_path).w) == pytest.approx(by_hand(30), rel=1e-5)


def test_an_interrupted_training_is_no_failure_that_others_may_handle():
    assert not issubclass(Interrupted, Exception)
    assert issubclass(Interrupted, KeyboardInterrupt)


@pytest.mark.parametrize("step", [1, 30])
def test_a_signal_in_the_first_and_in_the_last_step(tmp_path, step):
    def measured(line):
        return Measure(lambda: {"w": 1.0}, select="w", exported=lambda: [line.w.value])

    line = model()
    with pytest.raises(Interrupted, match=f"saved at step {step} of 30"):
        fit(line, batches(30), Run("line", tmp_path, steps=30, images_per_step=1), [measured(line), Send(step, 15)])
    line = model()
    fit(line, batches(30), Run("line", tmp_path, steps=30, images_per_step=1), [measured(line)])
    assert float(line.w) == pytest.approx(by_hand(30), rel=1e-5)
    assert last_state(tmp_path).step == 30


def test_a_training_in_a_thread_takes_no_signals_and_trains(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(float(train(tmp_path).w)))
    thread.start()
    thread.join()
    assert done == pytest.approx([by_hand(30)], rel=1e-5)


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import tensorflow as tf
from line import Line, batches
from lesiongan.training.loop import fit
from lesiongan.training.run import Run

class Slow(Line):
    def train_step(self, data):
        tf.py_function(lambda: time.sleep(0.5) or print("step", flush=True), [], [])
        return super().train_step(data)

line = Slow()
line.compile(jit_compile=False)
fit(line, batches(1000), Run("line", Path(sys.argv[1]), steps=1000, images_per_step=1))
"""


def test_a_second_ctrl_c_ends_the_process_at_once(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent), "LESIONGAN_STEP": "lines"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(__file__).parent)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line == "step\n":
            break
    process.send_signal(signal.SIGINT)
    said = list(itertools.takewhile(lambda line: "line: stops" not in line, process.stdout))
    assert process.poll() is None, said
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left at once; the same command goes on from the last checkpoint" in error
    assert "Traceback" not in error
