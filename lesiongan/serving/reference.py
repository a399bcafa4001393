"""What a model in memory says of a fixed request, kept beside its export: a server's answer must be the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from lesiongan.base.files import write_arrays
from lesiongan.data import pictures
from lesiongan.data.image_set import to_uint8, to_unit

REQUEST, ANSWER = "request.npz", "answer.npz"
_ASKED = 2  # pictures, or pairs of label and seed


def write_reference(folder: Path, model: Any, kind: str, size: int, resize: Any) -> None:
    """Writes a request in the form of the model's `serving_default`, and the model's own answer to it: `image` (uint8
    `[2, size, size, 3]`) of a generator, `probabilities` of a classifier."""
    request: dict[str, np.ndarray]
    if kind == "acgan":
        labels = [*getattr(model, "labels", range(_ASKED))] * _ASKED
        request = {"labels": np.array(labels[:_ASKED], np.int32), "seeds": np.arange(7, 7 + _ASKED, dtype=np.int64)}
        answer = {"image": to_uint8(model.sample(*map(tf.constant, request.values())))}
    else:
        files = [_file("JPEG"), _file("PNG")]
        request = {"images_bytes": np.array(files)}
        squares = np.stack([pictures.decode(file, (size,), resize, False).squares[size] for file in files])
        images = tf.constant(to_unit(squares))
        if kind == "classifier":
            answer = {"probabilities": np.asarray(model.classify(images)["probabilities"])}
        else:
            answer = {"image": to_uint8(model.translate(images, tf.zeros([_ASKED], tf.int64)))}
    write_arrays(folder / REQUEST, **request)
    write_arrays(folder / ANSWER, **answer)


def _file(form: str) -> bytes:
    """A picture of soft colours, 90 x 120 pixels, as a file."""
    rows, columns = np.mgrid[0:90, 0:120] / 90.0
    waves = np.stack([np.sin(3 * rows + 2 * columns), np.cos(5 * rows), np.sin(4 * columns)], -1)
    stream = io.BytesIO()
    Image.fromarray((127.5 + 100 * waves).astype(np.uint8)).save(stream, form)
    return stream.getvalue()
