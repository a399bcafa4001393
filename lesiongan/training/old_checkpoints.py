"""Checkpoints as versions up to 0.2.0 wrote them, by `tf.train.CheckpointManager`: read and removed, never written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from lesiongan.base.errors import LesionganError, first_line

_FILE = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")


def steps(folder: Path) -> list[int]:
    """The steps of the old checkpoints of a folder, ascending."""
    found = [_FILE.fullmatch(path.name) for path in folder.glob("ckpt-*.index")]
    return sorted(int(match[1]) for match in found if match)


def restore(folder: Path, step: int, state: Sequence[tf.Variable], counter: tf.Variable | None = None) -> None:
    """Puts the values of one of them into the variables.

    Args:
        folder: that holds it.
        step: of it.
        state: the variables that were saved, in their order.
        counter: the last of `state`, where that counts the steps: before 0.2.0 no model had one of its own.

    Raises:
        OSError: it is damaged.
        LesionganError: it is of another model.
    """
    path = str(folder / f"ckpt-{step}")
    done = tf.Variable(0, dtype=tf.int64, trainable=False)
    try:
        saved = {name.split("/")[1] for name, _ in tf.train.list_variables(path) if name.startswith("state/")}
        lacks_counter = counter is not None and saved == {str(i) for i in range(len(state) - 1)}
        parts = list(state[:-1] if lacks_counter else state)
        tf.train.Checkpoint(step=done, state=parts).restore(path).assert_consumed()
    except (tf.errors.OpError, IndexError) as error:  # TensorFlow's reader has all kinds
        raise OSError(f"TensorFlow cannot read it: {first_line(error)}") from error
    except (AssertionError, ValueError) as error:
        raise LesionganError(f"{path}: a checkpoint of another model ({first_line(error)}); remove it") from error
    if lacks_counter and counter is not None:
        counter.assign(done)


def remove(folder: Path, step: int) -> None:
    """Removes one of them, and with the last one the list that TensorFlow keeps of them."""
    for path in folder.glob(f"ckpt-{step}.*"):
        if _FILE.fullmatch(path.name):
            path.unlink()
    if not steps(folder):
        (folder / "checkpoint").unlink(missing_ok=True)
