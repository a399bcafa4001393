"""InfraValidator: loads each SavedModel as a server would, in a fresh process, and asks it for an answer before it
is pushed."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from lesiongan.base.files import write_json
from lesiongan.serving import model_artifact
from lesiongan.steps.step import Task

OUTPUTS = ("blessing",)


@dataclasses.dataclass(frozen=True)
class Options:
    pass


def run(task: Task[Options]) -> dict:
    """Inputs: `classifier`, `models` (a list), and `acgan` where there is one.
    Outputs: `blessing` (`blessing.json`: model -> blessed, reason).
    """
    verdicts = {}
    for artifact in task.artifacts("classifier", "acgan", "models"):
        for name in model_artifact.names(artifact):
            reason = _fault(Path(artifact) / name)
            verdicts[name] = {"blessed": not reason, "reason": reason or "serves, and repeats its answer"}
    write_json(task.outputs["blessing"] / "blessing.json", verdicts)
    return {"models": len(verdicts), "blessed": sum(v["blessed"] for v in verdicts.values())}


def _fault(directory: Path) -> str:
    """What is wrong with a model's served answer; empty where nothing is."""
    record = model_artifact.describe(directory)
    try:
        served = tf.saved_model.load(str(directory / "saved_model")).signatures["serving_default"]
        first, second = _ask(served, record), _ask(served, record)
    except Exception as error:  # whatever a server would meet, the model is not fit to be pushed
        return f"{type(error).__name__}: {error}".splitlines()[0]
    for key, value in first.items():
        if not np.array_equal(value, second[key]):
            return f"{key}: two equal requests gave different answers"
    if record["kind"] == "classifier":
        probabilities = first["probabilities"]
        if probabilities.shape != (2, len(record["taxonomy"]["classes"])) or not np.allclose(
            probabilities.sum(1), 1.0, atol=1e-4
        ):
            return f"probabilities of shape {probabilities.shape} that sum to {probabilities.sum(1)}"
        return ""
    size = record["size"]
    if first["image"].shape != (2, size, size, 3) or first["image"].dtype != np.uint8:
        return f"images of shape {first['image'].shape} and type {first['image'].dtype}"
    decoded = np.asarray(Image.open(io.BytesIO(first["png_bytes"][0])))
    return "" if np.array_equal(decoded, first["image"][0]) else "the PNG is not the image"


def _ask(served, record: dict) -> dict[str, np.ndarray]:
    if record["kind"] == "acgan":
        request = {"label": tf.constant(0), "seed": tf.constant(7, tf.int64), "count": tf.constant(2)}
    else:
        request = {"encoded": tf.constant([_picture("JPEG"), _picture("PNG")])}
    return {key: value.numpy() for key, value in served(**request).items()}


def _picture(form: str) -> bytes:
    ramp = np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, form)
    return stream.getvalue()
