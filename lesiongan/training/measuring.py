"""Measurements of a model while it trains, and the state that they choose.

All of it agrees with the checkpoint that a training goes on from, wherever it was killed: lines of later steps are
dropped and written again. A best state is removed only when no checkpoint is kept any more at which it was the best; so
the best state at any checkpoint that a resume may fall back to is on disk, and no state of a later step outlives a
resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.training.lines import Lines
from lesiongan.training.rollback import rollbacks
from lesiongan.training.run import Run, TrainingCallback
from lesiongan.training.states import BEST, LAST, State, best_state, drop_states, whole_states, write_state

MEASUREMENTS = "measurements.jsonl"
_ANY = 2**62  # later than any step
_OF_A_TRAINING = 20  # measurements, where no other number is asked for


class MeasuredConfig(Protocol):
    """What a GAN's options say of its measurements. A protocol, because this file is part of both GANs' trainings: an
    option of one must not train the other again."""

    @property
    def batch(self) -> int: ...
    @property
    def measure_every_images(self) -> int: ...
    @property
    def export(self) -> str: ...
    @property
    def patience(self) -> int: ...


def steps_between(config: MeasuredConfig, steps: int) -> int:
    """Steps between two measurements of a GAN's training: `config.measure_every_images`, or a twentieth of it."""
    return math.ceil(config.measure_every_images / config.batch) or max(1, steps // _OF_A_TRAINING)


def check_judge(config: MeasuredConfig, group: str, judged: bool) -> None:
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
        best = _best(run_dir)
        if best is None:
            say(f"{name}: no best state is left; the last one is exported")
            return
        say(f"{name}: exports the state of step {best.step:,}, KID {best.value:.3g}")
        best.assign(variables)


def exported_state(run_dir: Path, export: str) -> dict:
    """For a model's record: which state of a training was exported, what was measured of it, and its rollbacks.

    Args:
        run_dir: of the training.
        export: `best` or `last`, as it was asked for; without a best state the last one was exported.
    """
    lines = Lines(Path(run_dir) / MEASUREMENTS, _ANY).lines
    best = _best(run_dir)
    step = best.step if export == "best" and best else max((line["step"] for line in lines), default=None)
    measured = {k: v for line in lines if line["step"] == step for k, v in line.items() if k not in ("step", "images")}
    exported = {"exported": {"state": export if best else LAST, "step": step, "measured": measured}}
    return exported | ({"rollbacks": taken} if (taken := rollbacks(run_dir)) else {})


def _best(run_dir: Path) -> State | None:
    try:
        return best_state(run_dir)
    except FileNotFoundError:
        return None


class Measure(TrainingCallback):
    """Measures the model at fixed steps and at the end, and keeps the state with the lowest value of one measurement.

    The run's folder gets `measurements.jsonl` and, where a state is chosen, the folders `best` and `last`.

    Args:
        measure: measurements of the model by name; one that is not finite is recorded as missing.
        every: steps between two of them; the end is measured too. 0: only the end.
        select: the measurement whose lowest value chooses the best state; "": none is kept.
        exported: the variables that are kept of the best state and of the last one.
        patience: end the training when `select` has not improved for so many measurements; 0: never.
    """

    def __init__(
        self,
        measure: Callable[[], Mapping[str, float]],
        every: int = 0,
        *,
        select: str = "",
        exported: Callable[[], Sequence[tf.Variable]] | None = None,
        patience: int = 0,
    ):
        super().__init__()
        if patience and not select:
            raise ValueError("patience needs the name of a measurement to select by")
        self.measure, self.every, self.select = measure, every, select
        self.exported, self.patience = exported, patience

    def resume(self, run: Run) -> None:
        super().resume(run)
        self._done = run.start
        self.lines = Lines(run.run_dir / MEASUREMENTS, run.start)
        self._kept = {state.step for state in whole_states(run.run_dir / BEST)}
        run.recorded.append(self.lines)

    def on_train_begin(self, logs=None) -> None:
        self.lines.begin()
        drop_states(self.run.run_dir / BEST, lambda step: step > self.run.start)
        drop_states(self.run.run_dir / LAST, lambda step: True)

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        self._done = step
        if step == self.run.steps or (self.every and step % self.every == 0):
            self.run.tell(f"{self.run.name}/measured", step, self._take(step))
            if self.finished():
                say(f"{self.run.name}: ends at step {step:,} of {self.run.steps:,}: {self._verdict()}")
                self.model.stop_training = True

    def on_train_end(self, logs=None) -> None:
        if self._keeps_states:
            self._keep(LAST, self._done)

    @property
    def _keeps_states(self) -> bool:
        return bool(self.select and self.exported)

    def after_checkpoint(self, kept: Sequence[int]) -> None:
        """Removes the states that a resume from none of the checkpoints can need."""
        if self._keeps_states:
            wanted = {best["step"] for step in kept if (best := self._best_kept(step))}
            drop_states(self.run.run_dir / BEST, lambda step: step not in wanted)

    def finished(self) -> bool:
        """Whether the last `patience` measurements brought no lower value."""
        if not self.patience or not self.lines.lines:
            return False
        best = self.best()
        since = [line for line in self.lines.lines if best is None or line["step"] > best["step"]]
        return len(since) >= self.patience

    def best(self, until: int = _ANY) -> dict | None:
        """The line of the lowest value up to a step, the earliest of equal ones."""
        return self._lowest(self.lines.lines, until)

    def _best_kept(self, until: int = _ANY) -> dict | None:
        """The same of those whose state is there: one of an earlier process may have been damaged."""
        lines = [line for line in self.lines.lines if line["step"] > self.run.start or line["step"] in self._kept]
        return self._lowest(lines, until)

    def _lowest(self, lines: Iterable[dict], until: int) -> dict | None:
        lines = [line for line in lines if line.get(self.select) is not None and line["step"] <= until]
        return min(lines, key=lambda line: line[self.select], default=None)

    def summary(self) -> dict[str, float]:
        best = self._best_kept() if self._keeps_states else None
        return {"best_step": best["step"], f"best_{self.select}": best[self.select]} if best else {}

    def _take(self, step: int) -> dict[str, float]:
        """Measures now; the finite numbers by name."""
        measured = self.measure()
        if self.select and self.select not in measured:
            raise ValueError(f"the measurement {self.select!r} is not among {', '.join(measured)}")
        # rounded before they are compared: a resumed training reads them from the file
        values = {key: float(f"{value:.6g}") for key, value in measured.items() if math.isfinite(value)}
        images = step * self.run.images_per_step
        self.lines.append({"step": step, "images": images, **dict.fromkeys(measured), **values})
        best = self._best_kept()
        if self._keeps_states and best and best["step"] == step:
            self._keep(BEST, step)
        return values

    def _verdict(self) -> str:
        """Why a training that is finished early ends."""
        best = self.best()
        if best is None:
            return f"{self.select} is not finite"
        measured = f"{self.select} was measured {self.patience} times without getting lower"
        return f"{measured} than {best[self.select]:g} at step {best['step']:,}"

    def _keep(self, folder: str, step: int) -> None:
        line = self.lines.lines[-1] if self.lines.lines else {}
        value = line.get(self.select) if line.get("step") == step else None
        write_state(self.run.run_dir / folder, step, value, self.exported() if self.exported else ())
