"""Numbers of generated images that stand beside those of real ones: nearness, agreement, spread of colour, copies."""

from __future__ import annotations

import numpy as np

from lesiongan.data.image_set import ImageSet

_ROWS = 64  # generated images compared with all training images at a time


def colour_spread(generated: np.ndarray, real: np.ndarray) -> float:
    """The standard deviation of images' mean colours over that of the real ones, as a ratio of root mean squares over
    the three channels; 1 where generated images vary as real ones do.

    Args:
        generated, real: uint8 `[n, s, s, 3]`, of one class.
    """

    def spread(images: np.ndarray) -> float:
        return float(np.sqrt(images.mean((1, 2)).var(0, ddof=1).mean()))

    return spread(generated) / spread(real)


def nearest_distances(generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """From each generated image to the nearest real one, mirrored or not: root mean square of the pixels' differences
    in shares of the whole range, `[n]`."""
    flat = real.reshape(len(real), -1).astype(np.float32) / 255
    squares = (flat * flat).sum(1)
    found = []
    for images in (generated, generated[:, :, ::-1]):
        parts = []
        for begin in range(0, len(images), _ROWS):
            part = images[begin : begin + _ROWS].reshape(-1, flat.shape[1]).astype(np.float32) / 255
            nearest = (part * part).sum(1) - (2 * part @ flat.T - squares).max(1)
            parts.append(np.sqrt(np.maximum(nearest, 0) / flat.shape[1]))
        found.append(np.concatenate(parts))
    return np.minimum(*found)


def agreement(called: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class's images that a classifier gives the class that was asked for, `[classes]`; NaN without
    images."""
    with np.errstate(invalid="ignore"):
        right = np.bincount(labels[called == labels], minlength=classes)
        return right / np.bincount(labels, minlength=classes)


def spreads(generated: np.ndarray, labels: np.ndarray, real: ImageSet, least: int = 16) -> dict[int, float]:
    """Label -> `colour_spread`, of the classes with so many real images."""
    counts = np.bincount(real.labels)
    return {
        int(label): colour_spread(generated[labels == label], real.of_class(label).images)
        for label in np.flatnonzero(counts >= least)
    }
