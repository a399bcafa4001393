"""An ACGAN and the CycleGANs that refine its images as one generator (experiment 1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from lesiongan.serving import saved_models
from lesiongan.serving.saved_models import Served
from lesiongan.serving.served_pictures import square
from lesiongan.serving.signatures import as_bytes

NAME = "refined"


def export_chain(acgan: Path, refiners: Mapping[str, Path], directory: Path) -> dict:
    """Writes an ACGAN and its refiners as one model of kind `acgan` that makes the refined classes alone.

    Args:
        acgan: the folder of an exported ACGAN.
        refiners: class -> the folder of its exported CycleGAN; all of one size.
        directory: gets the model.

    Returns:
        The content of `model.json`; `refines` lists the classes, `chained` the digests of what is in it.
    """
    served = saved_models.load(acgan, "acgan")
    parts = {name: saved_models.load(place, "cyclegan") for name, place in refiners.items()}
    chain = ChainedGenerator(served, {served.taxonomy.index(name): part for name, part in parts.items()})
    digests = {"acgan": served.record["digest"], **{name: part.record["digest"] for name, part in parts.items()}}
    details = {"refines": list(parts), "chained": digests, "seed": served.record.get("seed")}
    details["parts"] = [part.record["name"] for part in parts.values()]
    guides = {part.record.get("guided_by", "") for part in (served, *parts.values())} - {""}
    if guides:
        details["guided_by"] = " ".join(sorted(guides))
    return saved_models.export(
        chain, directory, kind="acgan", size=chain.size, taxonomy=served.taxonomy, details=details
    )


class ChainedGenerator:
    """`sample(labels, seeds)` and `from_noise(labels, noise)` as an ACGAN's, of the refined classes.

    What goes from one to the other is what the pipeline's steps hand on: whole grey levels, at the CycleGAN's size.

    Args:
        acgan: a loaded ACGAN.
        refiners: label -> a loaded CycleGAN.
    """

    def __init__(self, acgan: Served, refiners: Mapping[int, Served]):
        sizes = {refiner.size for refiner in refiners.values()}
        if len(sizes) != 1:
            raise ValueError(f"refiners of one size are needed, got {sorted(sizes)}")
        self.acgan, self.refiners, self.size = acgan, dict(refiners), sizes.pop()
        self.labels = list(refiners)
        self.latent = acgan.module.from_noise.input_signature[1].shape[1]

    def sample(self, labels: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return self._refined(labels, self.acgan.module.sample(labels, seeds))

    def from_noise(self, labels: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return self._refined(labels, self.acgan.module.from_noise(labels, noise)["image"])

    def _refined(self, labels: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(as_bytes(images), tf.float32)
        if images.shape[1] != self.size:
            shape = tf.TensorSpec([self.size, self.size, 3], tf.float32)
            images = tf.map_fn(lambda one: square(one, self.size, "squash"), images, fn_output_signature=shape)
        images = images / 127.5 - 1.0
        for label, refiner in self.refiners.items():
            images = _with_some_replaced(images, tf.equal(labels, label), refiner)
        return images


def _with_some_replaced(images: tf.Tensor, chosen: tf.Tensor, refiner: Served) -> tf.Tensor:
    rows = tf.where(chosen)

    def replaced() -> tf.Tensor:
        part = tf.gather_nd(images, rows)
        made = refiner.translate_squares(part, tf.zeros(tf.shape(rows)[:1], tf.int64))
        return tf.tensor_scatter_nd_update(images, rows, made)

    return tf.cond(tf.size(rows) > 0, replaced, lambda: images)
