"""Trains an ACGAN on a set of labelled images."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.config import ACGANConfig
from lesiongan.data.image_set import ImageSet, to_uint8
from lesiongan.data.inputs import conditional_batches
from lesiongan.errors import UsageError
from lesiongan.models.acgan import ACGAN
from lesiongan.sheets import contact_sheet
from lesiongan.training.loop import fit

_COLUMNS = 8  # images of a class in a sample grid


def acgan_steps(config: ACGANConfig, n: int) -> int:
    """The steps of a training on n images: `config.images` images, or `config.epochs` epochs."""
    images = config.images if config.images > 0 else config.epochs * n
    return max(1, math.ceil(images / config.batch))


def train_acgan(
    config: ACGANConfig, data: ImageSet, *, num_classes: int, run_dir: Path, seed: int, name: str = "acgan"
) -> ACGAN:
    """Trains an ACGAN, going on from the last checkpoint of `run_dir` where there is one.

    Args:
        config: see `ACGANConfig`.
        data: the real images, `config.size` pixels.
        num_classes: k; labels are 0 to k - 1. A class without images stays at what the noise gives.
        run_dir: gets checkpoints, statistics, TensorBoard events and sample grids; see `training.loop.fit`.
        seed: of weights, order of the images, augmentation and noise.
        name: what progress calls this training.

    Returns:
        The trained model; `sample` draws from the averaged generator where `config.ema` is set.

    Raises:
        UsageError: an empty set, images of another size, or a configuration that the networks cannot have.
    """
    if not len(data):
        raise UsageError(f"{name}: there are no images to train on; check the split and the classes of the Examples")
    if data.size != config.size:
        raise UsageError(f"{name}: images have {data.size} px, acgan.size is {config.size}; make Examples of that size")
    steps = acgan_steps(config, len(data))
    model = ACGAN(config, num_classes, seed)
    model.compile()
    options = {"batch": config.batch, "seed": seed, "flip": config.flip, "balanced": config.balanced}
    sample = tf.function(model.sample, autograph=False)
    fit(
        model,
        lambda start: conditional_batches(data, start=start, steps=steps, **options),
        steps=steps,
        images_per_step=config.batch,
        run_dir=run_dir,
        name=name,
        samples=lambda: {"classes": classes_grid(model, sample)},
        samples_every=max(1, min(2000, steps // 4)),
    )
    return model


def classes_grid(model: ACGAN, sample: Callable, columns: int = _COLUMNS) -> np.ndarray:
    """A picture for the eye: a row a class, a column a seed, the same noise in every grid; uint8 `[h, w, 3]`.

    `sample` is `model.sample`, or that as a `tf.function`.
    """
    labels, seeds = np.divmod(np.arange(model.num_classes * columns), columns)
    images = to_uint8(sample(tf.constant(labels, tf.int32), tf.constant(seeds, tf.int64)))
    return contact_sheet(images.reshape(model.num_classes, columns, *images.shape[1:]), cell=max(64, model.config.size))
