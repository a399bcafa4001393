"""The `model_run` artifact: what a training leaves for people, apart from the model (statistics, TensorBoard, sample
grids)."""

from __future__ import annotations

import shutil
from pathlib import Path

from lesiongan.training.loop import drop_checkpoints


def keep_run(run_dir: Path, output: Path) -> None:
    """Copies a finished training's logs to the artifact and drops its checkpoints, whose weights have been exported."""
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run_dir, output, ignore=shutil.ignore_patterns("checkpoints"), dirs_exist_ok=True)
    drop_checkpoints(run_dir)
