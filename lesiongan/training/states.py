"""States that a training keeps beside its checkpoint: the one with the lowest measurement, and the last one."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.base.files import write_arrays
from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError, read_arrays

BEST, LAST = "best", "last"  # folders of states


@dataclasses.dataclass(frozen=True)
class State:
    """Values of the variables that are exported, as they were at a step.

    Attributes:
        step: how many steps had been done.
        value: of the measurement that chooses; NaN where there was none.
        arrays: in the order of the variables.
    """

    step: int
    value: float
    arrays: list[np.ndarray]

    def assign(self, variables: Iterable[tf.Variable]) -> None:
        """Puts the values into variables of the same order and shapes."""
        for variable, array in zip(variables, self.arrays, strict=True):
            variable.assign(array)


def best_state(run_dir: Path) -> State:
    """The state with the lowest measurement of a training; see `measuring.Measure`. Damaged ones are said and removed.

    Raises:
        FileNotFoundError: the training measured nothing to choose by, or no finite value of it, or what was kept is
            damaged.
    """
    return _only_state(Path(run_dir) / BEST)


def last_state(run_dir: Path) -> State:
    """The state that a training ended with; raises as `best_state`."""
    return _only_state(Path(run_dir) / LAST)


def write_state(folder: Path, step: int, value: float | None, variables: Iterable[tf.Variable]) -> None:
    """Keeps the values of variables; `value` is the measurement's, None where there was none."""
    arrays = {f"variable_{i:04d}": variable.numpy() for i, variable in enumerate(variables)}
    value = np.nan if value is None else value
    path = folder / f"{step:07d}.npz"
    write_arrays(path, step=np.int64(step), value=np.float64(value), **arrays)
    with path.open("rb") as file:  # a checkpoint that is on the disk must find it
        os.fsync(file.fileno())


def spare_states(run_dir: Path) -> list[str]:
    """The names of the files of `best` that are not of the best state: those of earlier checkpoints."""
    folder = Path(run_dir) / BEST
    best = best_state(run_dir).step if any(folder.glob("*.npz")) else None
    return [path.name for path in folder.glob("*.npz") if int(path.stem) != best]


def whole_states(folder: Path) -> list[State]:
    """The states of a folder, by step. Damaged ones are said and removed."""
    states = []
    for path in sorted(folder.glob("*.npz")):
        try:
            states.append(_read(path))
        except DamagedError as error:
            say(f"{path} {error}; what else was kept is taken")
            path.unlink()
    return states


def _only_state(folder: Path) -> State:
    states = whole_states(folder)
    if not states:
        raise FileNotFoundError(f"{folder}: no state was kept there")
    return min(states, key=lambda state: (math.isnan(state.value), state.value))


def _read(path: Path) -> State:
    data = read_arrays(path)
    arrays = [data[key] for key in sorted(data) if key.startswith("variable_")]
    return State(int(data["step"]), float(data["value"]), arrays)


def drop_states(folder: Path, unwanted: Callable[[int], bool]) -> None:
    for path in folder.glob("*.npz"):
        if unwanted(int(path.stem)):
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder)
