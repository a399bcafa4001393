"""What a training leaves apart from the exported model: the `model_run` artifact for people (statistics, TensorBoard,
sample grids), and the training model, to go on with."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import keras

from lesiongan.base.checkpoint_seconds import CHECKPOINTS
from lesiongan.training.states import last_state, spare_states
from lesiongan.training.transfer import TRAINING_MODEL


def keep_run(run_dir: Path, output: Path) -> None:
    """Copies a finished training's logs to the artifact. Its checkpoints go once the step has ended well (`Step`)."""
    output.parent.mkdir(parents=True, exist_ok=True)
    left_out = shutil.ignore_patterns(CHECKPOINTS, *spare_states(run_dir))
    shutil.copytree(run_dir, output, ignore=left_out, dirs_exist_ok=True)


def keep_training(model: keras.Model, folder: Path, run_dir: Path, exported: keras.layers.Layer | None = None) -> None:
    """Saves the training model as its last step left it, from which `fit` can go on.

    Args:
        model: of a finished training.
        folder: gets `model.keras`.
        run_dir: of the training.
        exported: the network of `model` that was exported; it may have the weights of its best step, and gets those of
            the last one.
    """
    if exported is not None:
        with contextlib.suppress(FileNotFoundError):  # none was kept
            last_state(run_dir).assign([variable.value for variable in exported.variables])
    model.save(folder / TRAINING_MODEL)
