"""SavedModels as a stranger's server meets them:
`python -I clean_process.py AT_ONCE SECONDS (SAVED_MODEL REQUEST.npz ANSWER.npz) ...`.

Nothing of this project is imported, TensorFlow alone, and that once: each model is met in a process of its own, forked
before TensorFlow has computed anything, AT_ONCE of them at a time, and ended after SECONDS. The request's arrays go to
`serving_default` by their names, once to warm up and then a few times; the answer holds what came back, whether it was
the same every time, the median time (`seconds`) and the most memory that the process took (`megabytes`).
`ANSWER.npz.code` says how the process ended (an exit code, or a signal's number as a negative one), `ANSWER.npz.txt`
has its words.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback

import numpy as np
import tensorflow as tf

_ASKED = 5  # times after the first


def main() -> None:
    at_once, seconds, *paths = sys.argv[1:]
    running: dict[int, str] = {}
    for begin in range(0, len(paths), 3):
        if len(running) == int(at_once):
            _wait(running)
        child = os.fork()
        if not child:
            _meet(int(seconds), *paths[begin : begin + 3])
        running[child] = paths[begin + 2]
    while running:
        _wait(running)


def _wait(running: dict[int, str]) -> None:
    """Waits for one of the processes (id -> answer), and writes down how it ended."""
    child, status = os.wait()
    with open(f"{running.pop(child)}.code", "w", encoding="ascii") as file:
        file.write(str(os.waitstatus_to_exitcode(status)))


def _meet(seconds: int, model: str, request: str, answer: str) -> None:
    """Becomes the process that meets one model."""
    signal.alarm(seconds)
    words = os.open(f"{answer}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(words, 2)
    code = 1
    try:
        ask(model, request, answer)
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def ask(model: str, request: str, answer: str) -> None:
    """Loads a model, asks it, and writes the answer."""
    serve = tf.saved_model.load(model).signatures["serving_default"]
    with np.load(request) as arrays:
        asked = {
            name: tf.constant(value.tolist() if value.dtype.kind == "S" else value) for name, value in arrays.items()
        }
    first = {name: value.numpy() for name, value in serve(**asked).items()}
    seconds, repeats = [], True
    for _ in range(_ASKED):
        begin = time.perf_counter()
        again = {name: value.numpy() for name, value in serve(**asked).items()}
        seconds.append(time.perf_counter() - begin)
        repeats &= all(np.array_equal(v, first[name], equal_nan=v.dtype.kind == "f") for name, v in again.items())
    # bytes with zeros at their end would be cut by an array of strings
    plain = {name: value if value.dtype != object else _lengths(value) for name, value in first.items()}
    arrays = {"repeats": repeats, "seconds": np.median(seconds), "megabytes": peak_megabytes(), **plain}
    part = f"{answer}.part.npz"
    np.savez(part, **arrays)
    os.replace(part, answer)  # whole or not at all, whatever ends this process


def peak_megabytes() -> float:
    """The most memory that this process has taken. (`ru_maxrss` counts what its parent held when it was forked.)"""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _lengths(value: np.ndarray) -> np.ndarray:
    """Strings, of any shape, as numbers: their lengths and their bytes one after the other."""
    parts = [bytes(part) for part in value.ravel()]
    return np.frombuffer(b"".join(len(part).to_bytes(8, "big") + part for part in parts), np.uint8)


if __name__ == "__main__":
    main()
