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
from lesiongan.base.errors import UsageError, first_line
from lesiongan.base.files import digest_directory, whole_directory
from lesiongan.base.progress import say
from lesiongan.config.data import DataConfig
from lesiongan.data.image_set import to_uint8, to_unit, turned
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving import known_models, operations
from lesiongan.serving.model_artifact import (
    BESIDE,
    FORMAT,
    check_complete,
    describe,
    find,
    made_classes,
    saved_model,
    write_record,
)
from lesiongan.serving.model_card import write_card
from lesiongan.serving.reference import write_reference
from lesiongan.serving.served_pictures import decoded
from lesiongan.serving.settled import settle
from lesiongan.serving.signatures import MODULES, encoded

# As version 0.1 called what the graph of a served model does with files.
_decoded, _encoded = decoded, encoded


def export(
    model: Any,
    directory: Path,
    *,
    kind: str,
    size: int,
    taxonomy: Taxonomy,
    details: Mapping[str, Any],
    beside: Callable[[Path], object] | None = None,
) -> dict:
    """Writes one model.

    Args:
        model: has `classify`, `sample` or `translate` (TensorFlow functions, see `lesiongan.models`); of a CycleGAN
            its `ServedGenerator` is the quickest.
        directory: where `saved_model/`, `model.json`, the card and a reference answer (see `reference`) go.
        kind: `classifier`, `acgan` or `cyclegan`.
        size: pixels of the images that go in or come out; those of a model with `any_size` may have others too.
        taxonomy: the classes, in label order.
        details: more for `model.json`: configuration, seed, classes, alpha; `resize`, how a picture became a square in
            training (`squash` where it is not said), which is built into the served model.
        beside: is called with the folder before it is complete, and writes further files into it.

    Returns:
        The content of `model.json`.
    """
    module = MODULES[kind](model, size, details.get("resize", "squash"), taxonomy.classes)
    # Not as concrete functions: saving would make each of them a second time.
    signatures = module.signatures()
    signatures["serving_default"] = next(iter(signatures.values()))
    # Keras's objects stay out of the file: the functions hold the variables that they read, and those alone are saved.
    held = getattr(module, module.VERB).get_concrete_function().graph.variables
    # in the order in which they were made: a graph has them in one of chance, and equal models are equal files
    module.held = sorted(held, key=lambda variable: int(variable._unique_id.rpartition("_")[2]))
    with whole_directory(directory) as folder:
        tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)
        settle(folder / "saved_model")
        record = {
            "format": FORMAT,
            "name": Path(directory).name,
            "kind": kind,
            "size": size,
            **({"any_size": module.any_size} if kind == "cyclegan" else {}),
            "taxonomy": taxonomy.to_dict(),
            "digest": digest_directory(folder / "saved_model"),
            "parameters": int(sum(np.prod(v.shape) for v in module.held if v.dtype.is_floating)),
            "version": __version__,
            **details,
        }
        write_record(folder, record)
        write_card(folder, record, "saved_model")
        write_reference(folder, model, kind, size, record.get("resize", "squash"))
        if beside is not None:
            beside(folder)
    known_models.remember(record["digest"])
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
    def classes(self) -> tuple[str, ...]:
        """Abbreviations of the classes that it makes or tells apart."""
        return made_classes(self.record)

    @property
    def size(self) -> int:
        return self.record["size"]

    @property
    def translate_squares(self):
        """The module's own function: float32 images in [-1, 1], and seeds."""
        # models of version 0.1 have their squares' function under the signature's name
        return getattr(self.module, "translate_squares", self.module.translate)

    def translate_full(self, images: np.ndarray) -> np.ndarray:
        """Images at their own size, uint8 `[n, h, w, 3]` on both sides; of a model whose record says `any_size`."""
        return self.module.translate_full(tf.constant(images))["image"].numpy()

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
            return to_uint8(self.translate_squares(to_unit(part), seed.astype(np.int64)).numpy())

        return np.concatenate(_batched(one, batch, images, seeds))


def load(directory: Path, kind: str = "") -> Served:
    """Loads one model (see `model_artifact.find`). One that this machine neither made nor loaded before is spoken of.

    Raises:
        UsageError: there is none, it cannot be read, it is not what its record says, or it holds operations that touch
            files or run code (see `operations`).
    """
    directory = find(directory, kind)
    record, place = describe(directory), saved_model(directory)
    check_complete(directory, record)
    try:
        if digest_directory(place, without=BESIDE) != record["digest"]:
            raise UsageError(
                f"{directory}: the model is damaged (its files are not those of its record); export it again"
            )
        operations.check(place, record)
        if not known_models.remember(record["digest"]):
            say(f"{directory}: a model that was not made or used on this machine before; see docs/security.md")
        module = tf.saved_model.load(str(place))
    except tf.errors.ResourceExhaustedError:
        raise  # the machine's fault
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        raise UsageError(f"{directory}: the model is damaged ({first_line(error)}); export it again") from error
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
