"""What a training keeps beside its checkpoint: lines of numbers, the best state that was measured, warnings.

All of it is made to agree with the checkpoint that a training goes on from, wherever it was killed: lines of later
steps are dropped and written again. A state that was the best one is removed only after a checkpoint was saved at which
another one is; so the best state at any checkpoint is on disk, and no state of a later step outlives a resume.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.config import ACGANConfig, CycleGANConfig
from lesiongan.errors import UsageError
from lesiongan.files import write_arrays, write_text
from lesiongan.progress import say

BEST, LAST = "best", "last"  # folders of states
_ANY = 2**62  # a step after all
_MEASUREMENTS = 20  # of a training, where no other number is asked for
MEASUREMENTS, WARNINGS = "measurements.jsonl", "warnings.jsonl"

#: Called with a step and the numbers recorded there; gives what a person should be told of them.
Watch = Callable[[int, Mapping[str, float]], Sequence[str]]


class Lines:
    """A file of JSON lines, each with its `step`.

    Args:
        path: the file, read where it is there.
        step: of the checkpoint that the training goes on from; what came after it is trained again.
    """

    def __init__(self, path: Path, step: int):
        self.path = path
        self.lines: list[dict] = []
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:  # cut off by a kill
                break
            if line["step"] > step:
                break
            self.lines.append(line)

    def begin(self) -> None:
        """Makes the file what was kept of it; without lines it goes."""
        if self.lines:
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))
        else:
            self.path.unlink(missing_ok=True)

    def append(self, line: dict) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


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
    """The state with the lowest measurement of a training; see `fit`.

    Raises:
        FileNotFoundError: the training measured nothing to choose by, or no finite value of it.
    """
    return _only_state(Path(run_dir) / BEST)


def last_state(run_dir: Path) -> State:
    """The state that a training ended with; raises as `best_state`."""
    return _only_state(Path(run_dir) / LAST)


def steps_between(config: ACGANConfig | CycleGANConfig, steps: int) -> int:
    """Steps between two measurements of a GAN's training: `config.measure_every_images`, or a twentieth of it."""
    return math.ceil(config.measure_every_images / config.batch) or max(1, steps // _MEASUREMENTS)


def check_judge(config: ACGANConfig | CycleGANConfig, group: str, judged: bool) -> None:
    """Raises a UsageError where options of a `group` go by a judge's measurements and there is none."""
    if not judged and (config.export == "best" or config.patience):
        raise UsageError(
            f"{group}.export=best and {group}.patience go by KID, which needs a judge: give --judge MODEL, or "
            f"set {group}.export=last and {group}.patience=0"
        )


def export_best(summary: Mapping, run_dir: Path, variables: Iterable[tf.Variable], name: str) -> None:
    """Puts the best state of a training by KID into the variables that are exported, where one was kept.

    Args:
        summary: what `fit` returned.
    """
    if "best_step" in summary:
        best = best_state(run_dir)
        say(f"{name}: exports the state of step {best.step:,}, KID {best.value:.3g}")
        best.assign(variables)


def exported_state(run_dir: Path, export: str) -> dict:
    """For a model's record: which state of a training was exported, and what was measured of it.

    Args:
        run_dir: of the training.
        export: `best` or `last`, as it was asked for; without a best state the last one was exported.
    """
    kept = Lines(Path(run_dir) / MEASUREMENTS, _ANY).lines
    best = (Path(run_dir) / BEST).is_dir()
    step = best_state(run_dir).step if export == "best" and best else max((line["step"] for line in kept), default=None)
    measured = {k: v for line in kept if line["step"] == step for k, v in line.items() if k not in ("step", "images")}
    return {"exported": {"state": export if best else LAST, "step": step, "measured": measured}}


class Measurements:
    """Measures a model while it trains, and keeps the state with the lowest value of one measurement.

    Args:
        run_dir: gets `measurements.jsonl` and the folders `best` and `last`.
        step: of the checkpoint that the training goes on from.
        steps: of the whole training, at whose end the last measurement is.
        measure, every, select, exported, patience: see `fit`.
    """

    def __init__(
        self,
        run_dir: Path,
        step: int,
        steps: int,
        *,
        measure: Callable[[], Mapping[str, float]] | None,
        every: int,
        select: str,
        exported: Callable[[], Sequence[tf.Variable]] | None,
        patience: int,
    ):
        if patience and not select:
            raise ValueError("patience needs the name of a measurement to select by")
        self.run_dir, self.start, self.steps = run_dir, step, steps
        self.measure, self.every, self.select, self.exported = measure, every, select, exported
        self.patience = patience
        self.file = Lines(run_dir / MEASUREMENTS, step)

    @property
    def keeps_states(self) -> bool:
        return bool(self.measure and self.select and self.exported)

    def begin(self) -> None:
        self.file.begin()
        _drop(self.run_dir / BEST, lambda step: step > self.start)
        _drop(self.run_dir / LAST, lambda step: True)

    def due(self, step: int) -> bool:
        return self.measure is not None and (step == self.steps or (bool(self.every) and step % self.every == 0))

    def take(self, step: int, images: int) -> dict[str, float]:
        """Measures now; the finite numbers by name."""
        measured = self.measure()
        if self.select and self.select not in measured:
            raise ValueError(f"the measurement {self.select!r} is not among {', '.join(measured)}")
        # rounded before they are compared: a resumed training reads them from the file
        values = {key: float(f"{value:.6g}") for key, value in measured.items() if math.isfinite(value)}
        self.file.append({"step": step, "images": images, **dict.fromkeys(measured), **values})
        if self.keeps_states and self.best() and self.best()["step"] == step:
            self._write(BEST, step)
        return values

    def best(self) -> dict | None:
        """The line of the lowest value, the earliest of equal ones."""
        lines = [line for line in self.file.lines if line.get(self.select) is not None]
        return min(lines, key=lambda line: line[self.select], default=None)

    def exhausted(self) -> bool:
        """Whether the last `patience` measurements brought no lower value."""
        if not self.patience or not self.file.lines:
            return False
        best = self.best()
        since = [line for line in self.file.lines if best is None or line["step"] > best["step"]]
        return len(since) >= self.patience

    def verdict(self) -> str:
        """Why a training that is exhausted ends."""
        best, measured = self.best(), f"{self.select} was measured {self.patience} times without getting lower"
        return (
            f"{measured} than {best[self.select]:g} at step {best['step']:,}"
            if best
            else f"{self.select} is not finite"
        )

    def checkpointed(self) -> None:
        """Removes the states that no resume from the checkpoint just saved can need."""
        best = self.best() if self.keeps_states else None
        if best:
            _drop(self.run_dir / BEST, lambda step: step != best["step"])

    def end(self, step: int) -> None:
        if self.keeps_states:
            self._write(LAST, step)

    def _write(self, folder: str, step: int) -> None:
        line = self.file.lines[-1] if self.file.lines else {}
        value = line.get(self.select) if line.get("step") == step else None
        arrays = {f"variable_{i:04d}": variable.numpy() for i, variable in enumerate(self.exported())}
        path = self.run_dir / folder / f"{step:07d}.npz"
        write_arrays(path, step=np.int64(step), value=np.float64(np.nan if value is None else value), **arrays)


class Warnings:
    """Says what a watch notices, each warning once, and keeps it in `warnings.jsonl`.

    Args:
        watch: as new; it is shown again what it was shown before the checkpoint, so that a resumed training warns of
            the same as an uninterrupted one.
        run_dir: gets the file.
        name: of the training.
        before: the recorded lines up to the checkpoint, in their order.
    """

    def __init__(self, watch: Watch | None, run_dir: Path, name: str, before: Iterable[Mapping]):
        self.watch, self.name = watch, name
        self.file = Lines(run_dir / WARNINGS, -1)
        for line in before if watch else ():
            self.file.lines += self._new(line["step"], line)

    def begin(self) -> None:
        self.file.begin()

    def notice(self, step: int, values: Mapping[str, float]) -> None:
        for line in self._new(step, values) if self.watch else ():
            say(f"{self.name}: warning: {line['warning']}")
            self.file.append(line)

    def _new(self, step: int, values: Mapping[str, float]) -> list[dict]:
        numbers = {k: v for k, v in values.items() if v is not None}
        said = {line["warning"] for line in self.file.lines}
        return [{"step": step, "warning": text} for text in self.watch(step, numbers) if text not in said]


def _only_state(folder: Path) -> State:
    states = [_read(path) for path in sorted(folder.glob("*.npz"))]
    if not states:
        raise FileNotFoundError(f"{folder}: no state was kept there")
    return min(states, key=lambda state: (math.isnan(state.value), state.value))


def _read(path: Path) -> State:
    with np.load(path) as data:
        arrays = [data[key] for key in sorted(data.files) if key.startswith("variable_")]
        return State(int(data["step"]), float(data["value"]), arrays)


def _drop(folder: Path, unwanted: Callable[[int], bool]) -> None:
    for path in folder.glob("*.npz"):
        if unwanted(int(path.stem)):
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        shutil.rmtree(folder)
