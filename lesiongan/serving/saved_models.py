"""Models as SavedModels that need TensorFlow alone (see `model_artifact` for their folder).

A generator is used by two verbs only, `sample(labels, seeds)` and `translate(images, seeds)`, a classifier by one,
`predict(images)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lesiongan import __version__
from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_directory, whole_directory, write_json
from lesiongan.config.data import DataConfig
from lesiongan.data.image_set import to_uint8, to_unit, turned
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving.model_artifact import FORMAT, describe, find
from lesiongan.serving.served_pictures import decoded as _decoded


def export(
    model: Any, directory: Path, *, kind: str, size: int, taxonomy: Taxonomy, details: Mapping[str, Any]
) -> dict:
    """Writes one model.

    Args:
        model: has `classify`, `sample` or `translate` (TensorFlow functions, see `lesiongan.models`); of a CycleGAN
            its `ServedGenerator` is the quickest.
        directory: where `saved_model/` and `model.json` go.
        kind: `classifier`, `acgan` or `cyclegan`.
        size: pixels of the images that go in or come out.
        taxonomy: the classes, in label order.
        details: more for `model.json`: configuration, seed, classes, alpha; `resize`, how a picture became a square in
            training (`squash` where it is not said), which is built into the served model.

    Returns:
        The content of `model.json`.
    """
    module = _MODULES[kind](model, size, details.get("resize", "squash"))
    signatures = module.signatures()
    # Keras's objects stay out of the file: the functions hold the variables that they read, and those alone are saved.
    held = {id(v): v for function in signatures.values() for v in function.graph.variables}
    module.held = list(held.values())
    with whole_directory(directory) as folder:
        tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)
        record = {
            "format": FORMAT,
            "name": Path(directory).name,
            "kind": kind,
            "size": size,
            "taxonomy": taxonomy.to_dict(),
            "digest": digest_directory(folder / "saved_model"),
            "parameters": int(sum(np.prod(v.shape) for v in module.held if v.dtype.is_floating)),
            "version": __version__,
            **details,
        }
        write_json(folder / "model.json", record)
    return record


@dataclasses.dataclass(frozen=True)
class Served:
    """A loaded SavedModel and its `model.json`. Images are uint8 `[n, size, size, 3]` on both sides."""

    record: dict
    module: Any

    @property
    def reading(self) -> DataConfig:
        """How a picture becomes a square for this model, as it did in its training."""
        return DataConfig(resize=self.record.get("resize", "squash"))

    @property
    def taxonomy(self) -> Taxonomy:
        return Taxonomy.from_dict(self.record["taxonomy"])

    @property
    def size(self) -> int:
        return self.record["size"]

    def predict(self, images: np.ndarray, batch: int = 64, *, tta: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities `[n, classes]` and features `[n, f]` of images; with test-time augmentation (`tta`) means
        over the eight symmetries of the square."""

        def one(part):
            results = [self.module.predict(to_unit(turned(part, symmetry))) for symmetry in range(8 if tta else 1)]
            return tuple(np.mean([r[key].numpy() for r in results], 0) for key in ("probabilities", "features"))

        parts = _batched(one, batch, images)
        return np.concatenate([p for p, _ in parts]), np.concatenate([f for _, f in parts])

    def sample(self, labels: np.ndarray, seeds: np.ndarray, batch: int = 64) -> np.ndarray:
        """An image for each (label, seed); the same pair gives the same image, whatever else is sampled."""

        def one(part, seed):
            return to_uint8(self.module.sample(part.astype(np.int32), seed.astype(np.int64)).numpy())

        return np.concatenate(_batched(one, batch, np.asarray(labels), np.asarray(seeds)))

    def translate(self, images: np.ndarray, seeds: np.ndarray | None = None, batch: int = 16) -> np.ndarray:
        """Images of X as images of Y."""
        seeds = np.zeros(len(images), np.int64) if seeds is None else np.asarray(seeds)

        def one(part, seed):
            return to_uint8(self.module.translate(to_unit(part), seed.astype(np.int64)).numpy())

        return np.concatenate(_batched(one, batch, images, seeds))


def load(directory: Path, kind: str = "") -> Served:
    """Loads one model (see `model_artifact.find`); raises `UsageError` where there is none or it cannot be read."""
    directory = find(directory, kind)
    record, inner = describe(directory), directory / "saved_model"
    if not {"name", "size", "taxonomy", "digest"} <= record.keys():
        raise UsageError(f"{directory}: its record lacks what a model's says; export the model again")
    try:
        module = tf.saved_model.load(str(inner if inner.is_dir() else directory))
    except tf.errors.ResourceExhaustedError:
        raise  # the machine's fault
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{directory}: the model is damaged ({why}); export it again") from error
    return Served(record, module)


def _batched(function, batch: int, *arrays: np.ndarray) -> list:
    """Calls `function` on batches of one size (the last is padded and cut), so that one trace serves all."""
    results = []
    for begin in range(0, len(arrays[0]), batch):
        parts = [a[begin : begin + batch] for a in arrays]
        short = batch - len(parts[0])
        if short and begin:
            parts = [np.concatenate([p, np.repeat(p[-1:], short, 0)]) for p in parts]
        result = function(*parts)
        if short and begin:
            keep = batch - short
            result = tuple(r[:keep] for r in result) if isinstance(result, tuple) else result[:keep]
        results.append(result)
    return results


def _encoded(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Float [-1, 1] images as uint8 and as PNG bytes; TensorFlow Serving sends bytes over REST only where a
    name ends in `_bytes`."""
    pixels = tf.cast(tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0), tf.uint8)
    return {"image": pixels, "png_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)}


# `autograph=False` below: no Python control flow depends on a tensor, and the conversion took up to 15 s in a step.
class _ClassifierModule(tf.Module):
    def __init__(self, model, size: int, resize: str):
        super().__init__()
        images = tf.TensorSpec([None, size, size, 3], tf.float32, name="images")
        self.predict = tf.function(lambda images: model.classify(images), autograph=False, input_signature=[images])
        self.predict_encoded = tf.function(
            lambda encoded: self.predict(_decoded(encoded, size, resize)),
            autograph=False,
            input_signature=[tf.TensorSpec([None], tf.string, name="encoded")],
        )

    def signatures(self):
        return {
            "serving_default": self.predict_encoded.get_concrete_function(),
            "images": self.predict.get_concrete_function(),
        }


class _CycleGANModule(tf.Module):
    def __init__(self, model, size: int, resize: str):
        super().__init__()
        images = tf.TensorSpec([None, size, size, 3], tf.float32, name="images")
        seeds = tf.TensorSpec([None], tf.int64, name="seeds")
        self.translate = tf.function(
            lambda images, seeds: model.translate(images, seeds), autograph=False, input_signature=[images, seeds]
        )
        self.translate_encoded = tf.function(
            lambda encoded: _encoded(
                self.translate(_decoded(encoded, size, resize), tf.zeros(tf.shape(encoded), tf.int64))
            ),
            autograph=False,
            input_signature=[tf.TensorSpec([None], tf.string, name="encoded")],
        )

    def signatures(self):
        return {"serving_default": self.translate_encoded.get_concrete_function()}


class _ACGANModule(tf.Module):
    def __init__(self, model, size: int, resize: str):
        super().__init__()
        labels = tf.TensorSpec([None], tf.int32, name="labels")
        seeds = tf.TensorSpec([None], tf.int64, name="seeds")
        self.sample = tf.function(
            lambda labels, seeds: model.sample(labels, seeds), autograph=False, input_signature=[labels, seeds]
        )
        # a request names a class, a first seed and a count; image i comes from seed + i, so it repeats exactly
        self.sample_encoded = tf.function(
            lambda label, seed, count: _encoded(
                self.sample(tf.fill([count], label), seed + tf.range(tf.cast(count, tf.int64), dtype=tf.int64))
            ),
            autograph=False,
            input_signature=[
                tf.TensorSpec([], t, name=n) for n, t in (("label", tf.int32), ("seed", tf.int64), ("count", tf.int32))
            ],
        )

    def signatures(self):
        return {"serving_default": self.sample_encoded.get_concrete_function()}


_MODULES: dict[str, Callable[..., Any]] = {
    "classifier": _ClassifierModule,
    "cyclegan": _CycleGANModule,
    "acgan": _ACGANModule,
}
