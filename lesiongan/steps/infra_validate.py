"""InfraValidator: each SavedModel is loaded in a process that has TensorFlow alone, as a server's has, warmed up, and
asked; its answers must be the training-time model's, repeat, and come within the limits of time and memory."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import MachineError
from lesiongan.base.files import write_json
from lesiongan.serving import clean_process, model_artifact
from lesiongan.serving.reference import ANSWER, REQUEST
from lesiongan.steps.step import Task

OUTPUTS = ("blessing",)
_GREY_LEVELS, _PROBABILITY = 1, 1e-4  # by which a served answer may differ from the training-time model's
_PATIENCE = 600  # seconds


@dataclasses.dataclass(frozen=True)
class Options:
    max_latency: float = 0.0  # seconds of an answer to two pictures, after the first; 0: no limit
    max_memory: float = 0.0  # GB that the process may take; 0: no limit


def run(task: Task[Options]) -> dict:
    """Inputs: `classifier`, `models` (a list), and `acgan` and `chained` where they are.
    Outputs: `blessing` (`blessing.json`: model -> blessed, reason, `latency` in seconds, `memory` in GB).
    """
    models = {
        name: Path(artifact) / name
        for artifact in task.artifacts("classifier", "acgan", "models", "chained")
        for name in model_artifact.names(artifact)
    }
    verdicts = validate_all(models, task.options)
    write_json(task.outputs["blessing"] / "blessing.json", verdicts)
    return {"models": len(verdicts), "blessed": sum(v["blessed"] for v in verdicts.values())}


def validate_all(models: Mapping[str, Path], options: Options = Options()) -> dict[str, dict]:
    """The verdicts on exported models, by their names; see `run`. They are met side by side, and one after the other
    where their time counts."""
    at_once = 1 if options.max_latency else max(1, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="lesiongan-") as scratch:
        places = {name: Path(scratch) / f"{number}.npz" for number, name in enumerate(models)}
        command = [sys.executable, "-I", clean_process.__file__, str(at_once), str(_PATIENCE)]
        for name, directory in models.items():
            command += [str(directory / "saved_model"), str(directory / REQUEST), str(places[name])]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return {name: _verdict(name, directory, places[name], options) for name, directory in models.items()}


def validate(directory: Path, options: Options = Options()) -> dict:
    """The verdict on one exported model."""
    return validate_all({"": directory}, options)[""]


def _verdict(name: str, directory: Path, place: Path, options: Options) -> dict:
    """By the answer that a process left, or by how it ended.

    Raises:
        MachineError: it was killed, which says nothing of the model.
    """
    code, words = (place.with_name(f"{place.name}.{what}") for what in ("code", "txt"))
    ended = int(code.read_text()) if code.exists() else -signal.SIGKILL
    if ended == -signal.SIGKILL:
        raise MachineError(
            f"the process that tried {name or directory} was killed, out of memory perhaps; give the command again"
        )
    if ended or not place.exists():
        said = [line for line in words.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        last = (
            f"no answer after {_PATIENCE} s" if ended == -signal.SIGALRM else said[-1] if said else f"ended by {-ended}"
        )
        return {"blessed": False, "reason": f"a process with TensorFlow alone could not serve it: {last}"}
    with np.load(place) as arrays:
        answer = dict(arrays)
    measured = {"latency": round(float(answer["seconds"]), 4), "memory": round(float(answer["megabytes"]) / 1024, 3)}
    reason = _fault(directory, answer) or _beyond(measured, options)
    return {"blessed": not reason, "reason": reason or "serves the training-time model, and repeats itself", **measured}


def _fault(directory: Path, answer: dict[str, np.ndarray]) -> str:
    """What is wrong with a model's served answer; empty where nothing is."""
    record = model_artifact.describe(directory)
    if not answer["repeats"]:
        return "two equal requests gave different answers"
    with np.load(directory / ANSWER) as arrays:
        (key, expected), *_ = arrays.items()
    found = answer.get(key)
    if found is None or found.shape != expected.shape or found.dtype != expected.dtype:
        given = "nothing" if found is None else f"{found.dtype} of shape {found.shape}"
        return f"{key}: {given} in place of {expected.dtype} of shape {expected.shape}"
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    if not difference <= (_PROBABILITY if record["kind"] == "classifier" else _GREY_LEVELS):  # NaN too
        return f"{key} differs from the training-time model's by up to {difference:g}"
    if record["kind"] == "classifier":
        return ""
    length = int.from_bytes(answer["png_bytes"][:8].tobytes(), "big")
    decoded = np.asarray(Image.open(io.BytesIO(answer["png_bytes"][8 : 8 + length].tobytes())))
    return "" if np.array_equal(decoded, found[0]) else "the PNG is not the image"


def _beyond(measured: dict[str, float], options: Options) -> str:
    for name, limit, unit in (("latency", options.max_latency, "s"), ("memory", options.max_memory, "GB")):
        if limit and measured[name] > limit:
            return f"{name} {measured[name]:g} {unit} is above the limit of {limit:g}"
    return ""
