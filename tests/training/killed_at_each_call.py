"""Run by a test: a save, or a training that saves, whose process dies at its first, second, ... call that writes.

    python killed_at_each_call.py save|train FOLDER

Each life is a fork of this process, which has imported TensorFlow but not used it. It dies by SIGKILL just before the
call, or by `os._exit` in the middle of it (half of what is written). The last line is what came out, as JSON.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import lesiongan  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import tensorflow as tf
from line import Line, batches

from lesiongan.training.checkpoints import Checkpoints
from lesiongan.training.loop import fit
from lesiongan.training.measuring import Measure
from lesiongan.training.run import Run
from lesiongan.training.states import best_state

CALLS = ("rename", "replace", "fsync", "unlink", "rmdir", "mkdir")


class Faults:
    """Counts calls that change the disk, and dies at the n-th; n = 0: never."""

    def __init__(self, die_at: int):
        self.die_at, self.kinds = die_at, []

    def call(self, kind: str, halfway: Callable[[], object] = lambda: None) -> None:
        self.kinds.append(kind)
        if len(self.kinds) == self.die_at:
            if self.die_at % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            halfway()
            os._exit(9)

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        original = io.open

        def opened(file, mode="r", *args, **kwargs):
            if not set(mode) & set("wax+"):
                return original(file, mode, *args, **kwargs)
            self.call("open", lambda: original(file, mode, *args, **kwargs))
            return _File(original(file, mode, *args, **kwargs), self)

        builtins.open = io.open = opened

    def _wrapped(self, name: str, original):
        def wrapped(*args, **kwargs):
            self.call(name)
            return original(*args, **kwargs)

        return wrapped


class _File:
    """A file whose writes are counted."""

    def __init__(self, file, faults: Faults):
        self._file, self._faults = file, faults

    def write(self, data):
        def half():
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._faults.call("write", half)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __iter__(self):
        return iter(self._file)


def life(work: Callable[[], object]):
    """The result of work in a fork of this process; None where it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            result = json.dumps(work()).encode()
            os.write(writer, result)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    result = b""
    while part := os.read(reader, 1 << 16):
        result += part
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in (9, -signal.SIGKILL):
        return None
    assert status == 0, status
    return json.loads(result)


def state(value: float) -> list[tf.Variable]:
    return [tf.Variable(tf.fill([4], value)), tf.Variable(tf.fill([2, 3], value))]


def save(folder: Path) -> dict:
    """Steps 1 and 2 are there; the save of step 3 is killed at each of its calls."""

    def prepared(place: Path):
        for step in (1, 2):
            Checkpoints(place).save(step, state(step))

    def saving(place: Path, die_at: int):
        checkpoints, faults = Checkpoints(place), Faults(die_at)
        variables = state(3)
        faults.install()
        checkpoints.save(3, variables)
        return faults.kinds

    def restored(place: Path):
        variables = state(0)
        step, _ = Checkpoints(place).restore(variables)
        (value,) = {*variables[0].numpy().tolist(), *variables[1].numpy().ravel().tolist()}
        left = [path.name for path in place.iterdir() if path.name.startswith(".")]
        assert not left, left
        return [step, value]

    life(lambda: prepared(folder / "0"))
    kinds = life(lambda: saving(folder / "0", 0))
    results = []
    for die_at in range(1, len(kinds) + 1):
        place = folder / str(die_at)
        life(lambda place=place: prepared(place))
        assert life(lambda place=place, at=die_at: saving(place, at)) is None
        results.append(life(lambda place=place: restored(place)))
    return {"calls": len(kinds), "kinds": sorted(set(kinds)), "restored": results}


STEPS, SAVED = 6, 4


def train(folder: Path) -> dict:
    """A training that is saved after each step and measured after every second; killed at each call of its fourth
    step."""

    def training(place: Path, die_at: int):
        line, faults = Line(), Faults(die_at)
        line.compile(run_eagerly=True)  # a trace would take most of a life
        counted: list[int] = []

        def measure():
            return {"distance": abs(float(line.w) - 0.3)}

        class Count(tf.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                counted.append(len(faults.kinds))

        faults.install()
        run = Run("line", place, steps=STEPS, images_per_step=1)
        measured = Measure(measure, 2, select="distance", exported=lambda: [line.w.value])
        fit(line, batches(STEPS), run, [measured, Count()], checkpoint_every=0.0)
        best = best_state(place)
        lines = [
            {key: value for key, value in json.loads(text).items() if key != "seconds"}
            for name in ("stats.jsonl", "measurements.jsonl")
            for text in (place / name).read_text().splitlines()
        ]
        return counted, [float(line.w), best.step, best.value, np.ravel(best.arrays[0]).tolist(), lines]

    counted, whole = life(lambda: training(folder / "0", 0))
    differ = []
    calls = range(counted[SAVED - 2] + 1, counted[SAVED - 1] + 1)
    for die_at in calls:
        place = folder / str(die_at)
        assert life(lambda place=place, at=die_at: training(place, at)) is None, die_at
        _, resumed = life(lambda place=place: training(place, 0))
        if resumed != whole:
            differ.append([die_at, resumed, whole])
    return {"calls": len(calls), "differ": differ}


if __name__ == "__main__":
    print(json.dumps({"save": save, "train": train}[sys.argv[1]](Path(sys.argv[2]))))
