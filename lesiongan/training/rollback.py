"""What a training does when it diverges, where it may: back to its last checkpoint, and on at a lower rate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from lesiongan.base.files import write_text
from lesiongan.base.progress import say
from lesiongan.training.checkpoints import Checkpoints
from lesiongan.training.run import Diverged, Run

ROLLBACKS = "rollbacks.jsonl"


@dataclasses.dataclass(frozen=True)
class Rollback:
    """How often, and how far the rate goes down.

    When a checkpoint is saved is decided by the clock, so that a training that was rolled back is not the same in
    another run, as all others are; its record says that it was.

    Attributes:
        times: how often it may go back in the whole training; 0: it ends where it diverges.
        factor: on the learning rate each time, from 0 to 1.
        set_rate: is called with a factor on the configured learning rate.
    """

    times: int
    factor: float
    set_rate: Callable[[float], None]

    def apply(self, run: Run) -> None:
        """Sets the rate that the training's rollbacks so far ask for, and writes them to its folder."""
        self.set_rate(self.factor ** len(run.rollbacks))
        path = run.run_dir / ROLLBACKS
        if run.rollbacks:
            write_text(path, "".join(json.dumps(line) + "\n" for line in run.rollbacks))
        else:
            path.unlink(missing_ok=True)

    def note(self, run: Run, checkpoints: Checkpoints, error: Diverged) -> None:
        """Takes one more rollback.

        Raises:
            Diverged: the error, where there have been as many as there may be, or there is nothing to go back to.
        """
        steps = checkpoints.steps()
        if len(run.rollbacks) >= self.times or not steps:
            raise error
        if run.rollbacks and run.rollbacks[-1]["to_step"] == steps[-1] and len(steps) > 1:
            checkpoints.remove(steps.pop())  # no new one since the last time: that one was too late
        factor = self.factor ** (len(run.rollbacks) + 1)
        run.rollbacks.append({"to_step": steps[-1], "rate_factor": factor, "why": error.what})
        say(
            f"{error.what}: back to the checkpoint of step {steps[-1]:,}, on at {factor:g} of the rate "
            f"(rollback {len(run.rollbacks)} of {self.times})"
        )


def rollbacks(run_dir: Path) -> list[dict]:
    """What was written of a training's rollbacks, for its record."""
    path = Path(run_dir) / ROLLBACKS
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
