"""Checkpoints on disk: whole or not at all, checked when they are read, the last few kept.

A checkpoint is a folder `step-<step>` with `state.npz`, the values of the variables, and `checkpoint.json`, which says
the step, the size and SHA-256 of the other file, and a few facts. It is made under another name beside its place, its
files and the folder are on the disk before it gets its name, and older ones go only after that: whenever the process is
killed, or the machine loses its power, the one before is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import LesionganError
from lesiongan.base.files import whole_directory, write_json
from lesiongan.base.progress import say
from lesiongan.training import old_checkpoints

FORMAT = 1
_RECORD, _STATE = "checkpoint.json", "state.npz"
_PREFIX = "step-"
_UNFINISHED = "."  # names of folders that are being made (see `whole_directory`) or removed begin with it


class Damaged(Exception):
    """A checkpoint whose files are not what was written."""


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: gets them; made with the first one.
        name: what messages call the training.
        keep: how many are kept, the last ones.
    """

    def __init__(self, folder: Path, name: str = "training", keep: int = 2):
        self.folder, self.name, self.keep = Path(folder), name, keep
        for path in self.folder.glob(f"{_UNFINISHED}*"):  # left by a kill
            shutil.rmtree(path, ignore_errors=True)

    def steps(self) -> list[int]:
        """The steps of the checkpoints that are there, ascending; whether they can be read is not said."""
        names = [path.name[len(_PREFIX) :] for path in self.folder.glob(f"{_PREFIX}*")]
        return sorted({int(name) for name in names if name.isdecimal()} | set(old_checkpoints.steps(self.folder)))

    def save(self, step: int, state: Sequence[tf.Variable], facts: Mapping[str, Any] | None = None) -> None:
        """Saves the variables' values, then removes all but the last `keep` checkpoints.

        Args:
            step: how many steps have been done.
            state: the variables.
            facts: more to be given back by `restore`; whatever JSON takes.
        """
        target = self.folder / f"{_PREFIX}{step:07d}"
        if not target.exists():
            with whole_directory(target) as temporary:
                digest, size = _write_state(temporary / _STATE, state)
                record = {"format": FORMAT, "step": step, "bytes": size, "sha256": digest, "facts": dict(facts or {})}
                write_json(temporary / _RECORD, record)
        for old in self.steps()[: -self.keep]:
            self.remove(old)

    def restore(self, state: Sequence[tf.Variable], counter: tf.Variable | None = None) -> tuple[int, dict[str, Any]]:
        """Puts the values of the last whole checkpoint into the variables. Damaged ones are said and removed.

        Args:
            state: the variables, as they were saved.
            counter: where the last of `state` is a counter of the steps, that one; see `old_checkpoints`.

        Returns:
            Its step and its facts; 0 and no facts where there is none.

        Raises:
            LesionganError: it is of another model.
        """
        steps = self.steps()
        while steps:
            step = steps.pop()
            try:
                facts = self._read(step, state, counter)
            except Damaged as damage:
                instead = f"that of step {steps[-1]:,} is taken" if steps else "the training begins anew"
                say(f"{self.name}: the checkpoint of step {step:,} is damaged ({damage}); {instead}")
                self.remove(step)
            else:
                return step, facts
        return 0, {}

    def remove(self, step: int) -> None:
        """Removes one checkpoint; a kill leaves it whole or not at all."""
        path = self.folder / f"{_PREFIX}{step:07d}"
        if path.is_dir():
            gone = Path(tempfile.mkdtemp(dir=self.folder, prefix=_UNFINISHED))
            os.rename(path, gone / path.name)
            shutil.rmtree(gone, ignore_errors=True)
        old_checkpoints.remove(self.folder, step)

    def _read(self, step: int, state: Sequence[tf.Variable], counter: tf.Variable | None) -> dict[str, Any]:
        path = self.folder / f"{_PREFIX}{step:07d}"
        if not path.is_dir():
            try:
                old_checkpoints.restore(self.folder, step, state, counter)
            except OSError as error:
                raise Damaged(str(error)) from error
            return {}
        record, arrays = read_checkpoint(path)
        if [tuple(array.shape) for array in arrays] != [tuple(variable.shape) for variable in state]:
            raise LesionganError(
                f"{path}: a checkpoint of another model ({len(arrays)} arrays, this model has {len(state)}, or other "
                "shapes); remove that folder to begin anew"
            )
        for variable, array in zip(state, arrays, strict=True):
            variable.assign(array)
        return record["facts"]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The record and the arrays of one checkpoint.

    Raises:
        Damaged: a file is missing, cut off or changed.
        LesionganError: it is of a newer format.
    """
    try:
        record = json.loads((path / _RECORD).read_text(encoding="utf-8"))
        version, size, digest = record["format"], record["bytes"], record["sha256"]
        record["facts"], record["step"]
        content = (path / _STATE).read_bytes()
    except FileNotFoundError as error:
        raise Damaged(f"{Path(error.filename).name} is missing") from error
    except (ValueError, KeyError, TypeError) as error:  # JSON's and Unicode's errors are ValueErrors
        raise Damaged(f"{_RECORD} cannot be read") from error
    if version > FORMAT:
        raise LesionganError(f"{path}: of a newer format ({version}) than this lesiongan knows; update lesiongan")
    if len(content) != size:
        raise Damaged(f"{_STATE} has {len(content):,} bytes of {size:,}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise Damaged(f"the checksum of {_STATE} is another")
    try:
        with np.load(io.BytesIO(content)) as data:
            return record, [data[key] for key in sorted(data.files)]
    except (ValueError, zipfile.BadZipFile) as error:
        raise Damaged(f"{_STATE} cannot be read") from error


def not_finite(state: Sequence[tf.Variable]) -> list[str]:
    """The names of the variables that hold a number that is not finite."""
    floats = [variable for variable in state if variable.dtype.is_floating]
    if not floats:
        return []
    finite = tf.stack([tf.reduce_all(tf.math.is_finite(variable)) for variable in floats]).numpy()
    return [variable.name for variable, fine in zip(floats, finite, strict=True) if not fine]


def _write_state(path: Path, state: Sequence[tf.Variable]) -> tuple[str, int]:
    """Writes the values; SHA-256 and size of the file."""
    arrays: dict[str, Any] = {f"{place:05d}": variable.numpy() for place, variable in enumerate(state)}
    with open(path, "w+b") as file:
        np.savez(file, **arrays)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
