"""Numbers in which a GAN's failures show, from a few dozen images; `failure_watch` judges them.

All images are uint8 `[n, s, s, 3]`.
"""

from __future__ import annotations

import numpy as np

_THUMBNAIL = 8  # pixels: colours and coarse shape, and no noise
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def movement(before: np.ndarray, after: np.ndarray) -> float:
    """The mean absolute difference of a pixel, on the scale on which images are in [-1, 1] (0 to 2)."""
    return float(np.abs(after.astype(np.float32) - before.astype(np.float32)).mean() / 127.5)


def diversity(images: np.ndarray) -> float:
    """The root mean square difference of a pixel between two images' thumbnails, over all pairs; scale as `movement`.

    0 where all images are the same, and for a single one.
    """
    if len(images) < 2:
        return 0.0
    values = _thumbnails(images).reshape(len(images), -1)
    # the mean over pairs of a squared difference is twice the variance
    return float(np.sqrt(2.0 * values.var(0, ddof=1).mean()))


def luminance_correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Pearson's correlation of brightness over an image's pixels before and after, mean over the images; 0 for one
    without contrast."""
    first, second = (_centred(images @ np.array(_LUMA, np.float32)) for images in (before, after))
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return float(np.mean((first * second).sum(1) / np.maximum(scale, 1e-9)))


def of_translation(x: np.ndarray, translated: np.ndarray) -> dict[str, float]:
    """A CycleGAN's: `movement`, `diversity` (of the translated images over that of x), `luminance_correlation`."""
    return {
        "movement": movement(x, translated),
        "diversity": diversity(translated) / max(diversity(x), 1e-9),
        "luminance_correlation": luminance_correlation(x, translated),
    }


def of_classes(
    real: np.ndarray, real_labels: np.ndarray, generated: np.ndarray, generated_labels: np.ndarray
) -> dict[str, float]:
    """An ACGAN's: the diversity within a class of the generated images over that of the real ones.

    Args:
        real, generated: images, a few dozen per class.
        real_labels, generated_labels: `[n]`, `[m]`.

    Returns:
        `class_diversity`, the mean over the classes with two images or more on both sides, and
        `class_diversity_lowest`, of the class with the least; nothing where there is no such class.
    """
    shares = []
    for label in np.unique(real_labels):
        own_generated, own_real = generated[generated_labels == label], real[real_labels == label]
        if len(own_generated) > 1 and len(own_real) > 1:
            shares.append(diversity(own_generated) / max(diversity(own_real), 1e-9))
    if not shares:
        return {}
    return {"class_diversity": float(np.mean(shares)), "class_diversity_lowest": float(min(shares))}


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Means over a grid of cells, float `[n, 8, 8, 3]` in [-1, 1]; where 8 does not divide the side, cells differ."""
    edges = np.linspace(0, images.shape[1], _THUMBNAIL, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float64), edges, axis=1), edges, axis=2)
    sides = np.diff([*edges, images.shape[1]])
    return sums / (sides[:, None] * sides)[:, :, None] / 127.5 - 1.0


def _centred(luminance: np.ndarray) -> np.ndarray:
    flat = luminance.reshape(len(luminance), -1)
    return flat - flat.mean(1, keepdims=True)
