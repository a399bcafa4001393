"""Trains a CycleGAN on two sets of images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.config import CycleGANConfig
from lesiongan.data.image_set import ImageSet, to_uint8
from lesiongan.data.inputs import unpaired_batches
from lesiongan.errors import UsageError
from lesiongan.models.cyclegan import CycleGAN
from lesiongan.training.loop import fit

_PAIRS = 4  # rows of a sample grid
_GAP = 2  # pixels between its pictures


def cyclegan_steps(config: CycleGANConfig, n_x: int, n_y: int) -> int:
    """The steps of a training: `config.images` images of X, or `config.epochs` epochs of max(n_x, n_y) images.

    An epoch budget ends at `config.max_steps` steps.
    """
    if config.images > 0:
        return math.ceil(config.images / config.batch)
    return max(1, min(math.ceil(config.epochs * max(n_x, n_y) / config.batch), config.max_steps))


def train_cyclegan(
    config: CycleGANConfig,
    x: ImageSet,
    y: ImageSet,
    *,
    run_dir: Path,
    seed: int,
    name: str = "cyclegan",
    model: CycleGAN | None = None,
) -> CycleGAN:
    """Trains X -> Y (and Y -> X), going on from the last checkpoint of `run_dir` where there is one.

    Args:
        config: see `CycleGANConfig`; `max_steps` caps an epoch budget only.
        x: images of the source domain.
        y: images of the target domain.
        run_dir: gets checkpoints, statistics, TensorBoard events and sample grids; see `training.loop.fit`.
        seed: of weights, order of the images, augmentation and pools.
        name: what progress calls this training.
        model: a model of the same configuration, which is reset and trained: its compiled step is used again.

    Returns:
        The trained model; `translate` gives X -> Y.

    Raises:
        UsageError: an empty set, or a configuration that the networks cannot have.
    """
    for letter, images in (("X", x), ("Y", y)):
        if not len(images):
            raise UsageError(f"{name}: there are no images in domain {letter}; a CycleGAN needs some in both")
    steps = cyclegan_steps(config, len(x), len(y))
    if model is None:
        model = CycleGAN(config, seed=seed, steps=steps)
    else:
        if model.config != config:
            raise ValueError("a model that is used again must have the configuration of the training")
        model.reset(seed, steps)
    options = {"size": config.size, "batch": config.batch, "seed": seed, "flip": config.flip, "crop": config.crop}
    fixed = _first(x, config.size), _first(y, config.size)
    fit(
        model,
        lambda start: unpaired_batches(x, y, start=start, steps=steps, **options),
        steps=steps,
        images_per_step=config.batch,
        run_dir=run_dir,
        name=name,
        samples=lambda: {"pairs": pairs_grid(model, *fixed)},
        samples_every=max(1, min(2000, steps // 4)),
    )
    return model


def pairs_grid(model: CycleGAN, x: tf.Tensor, y: tf.Tensor) -> np.ndarray:
    """A picture for the eye: a row for each pair, with the columns x, x->y, x->y->x, y, y->x, y->x->y.

    Args:
        model: its trained generators are shown, not their average.
        x: float `[n, size, size, 3]` in [-1, 1].
        y: the same, of the other domain.

    Returns:
        uint8 `[height, width, 3]`.
    """
    n = min(len(x), len(y))
    x, y = x[:n], y[:n]
    fake_y, fake_x = model.generator_xy(x), model.generator_yx(y)
    columns = [x, fake_y, model.generator_yx(fake_y), y, fake_x, model.generator_xy(fake_x)]
    tiles = np.pad(to_uint8(np.stack(columns, 1)), [(0, 0), (0, 0), (_GAP, 0), (_GAP, 0), (0, 0)], constant_values=255)
    rows, across, height, width, _ = tiles.shape
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, across * width, 3)


def _first(images: ImageSet, size: int) -> tf.Tensor:
    """A few images spread over the set, the same in every run: float `[n, size, size, 3]` in [-1, 1]."""
    chosen = images.images[np.unique(np.linspace(0, len(images) - 1, min(_PAIRS, len(images))).astype(int))]
    resized = tf.cast(chosen, tf.float32)
    if images.size != size:
        resized = tf.clip_by_value(tf.image.resize(resized, (size, size), "bicubic", antialias=True), 0.0, 255.0)
    return resized / 127.5 - 1.0
