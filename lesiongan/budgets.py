"""How many steps a training takes, from its configuration and its images; no TensorFlow, so that a plan starts at
once."""

from __future__ import annotations

import math

from lesiongan.config import ACGANConfig, ClassifierConfig, CycleGANConfig


def classifier_steps(config: ClassifierConfig, images: int) -> int:
    """A classifier's: `config.images` images, or `config.epochs` epochs."""
    return max(1, math.ceil((config.images or config.epochs * images) / config.batch))


def acgan_steps(config: ACGANConfig, images: int) -> int:
    """An ACGAN's: `config.images` images, or `config.epochs` epochs."""
    return max(1, math.ceil((config.images or config.epochs * images) / config.batch))


def cyclegan_steps(config: CycleGANConfig, x: int, y: int) -> int:
    """A CycleGAN's: `config.images` images of X, or `config.epochs` epochs of the larger domain, at most
    `config.max_steps`."""
    if config.images:
        return math.ceil(config.images / config.batch)
    return max(1, min(math.ceil(config.epochs * max(x, y) / config.batch), config.max_steps))
