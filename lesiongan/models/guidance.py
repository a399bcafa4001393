"""A frozen classifier of lesions that looks at generated images while a generator learns: that it calls them the class
that was asked for becomes a term of the generator's loss.

Fossen-Romsaas et al. 2020 name it as future work, "guiding the image generation using feedback from the classification
objective". What guided a generator is no judge of it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError

#: The label where images are to show no class that the classifier knows: their loss is 0.
NO_CLASS = -1
_LEAST = 1e-30  # of a probability: the logarithm and its gradient stay within float32


class Guide:
    """The mean of -log p over images, p being the classifier's probability of the class asked for.

    Nothing of it is trained and it is no part of a model's state: no checkpoint, `.keras` file or export holds it.

    Args:
        probabilities: float32 `[n, size, size, 3]` in [-1, 1] -> float32 `[n, k]`, differentiable.
        size: pixels of the images that it takes; others are resized, see `resized`.
        classes: k abbreviations, in label order.
        digest: of the classifier, for records.
    """

    def __init__(
        self, probabilities: Callable[[tf.Tensor], tf.Tensor], size: int, classes: Sequence[str], digest: str = ""
    ):
        self.probabilities, self.size, self.classes, self.digest = probabilities, size, tuple(classes), digest

    def loss(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """float32 scalar, for float `[n, s, s, 3]` in [-1, 1] and labels `[n]`, or one label for all of them."""
        seen = resized(tf.cast(images, tf.float32), self.size)
        log_p = tf.math.log(tf.maximum(self.probabilities(seen), _LEAST))
        return -tf.reduce_mean(tf.reduce_sum(tf.one_hot(labels, len(self.classes)) * log_p, axis=-1))


def needed(guide: Guide | None, group: str) -> Guide:
    """The guide of a model whose option `guidance` is on.

    Raises:
        UsageError: it was given none, as one that was read from a file.
    """
    if guide is None:
        raise UsageError(
            f"{group}.guidance needs a classifier, which no model's file holds: set the model's `guide` "
            f"(lesiongan.training.guiding.guide_of), or {group}.guidance=0"
        )
    return guide


def resized(images: tf.Tensor, size: int) -> tf.Tensor:
    """float32 `[n, s, s, 3]` in [-1, 1] -> `[n, size, size, 3]`: antialiased bicubic interpolation with Pillow's
    weights, as `data.pictures` and served models resize, but not rounded to grey levels, since a gradient has to pass.
    As two products with a matrix, which every device and XLA have."""
    if images.shape[1] == size:
        return images
    matrix = tf.constant(_bicubic(images.shape[1], size), tf.float32)
    return tf.clip_by_value(tf.einsum("ij,bjkc,lk->bilc", matrix, images, matrix), -1.0, 1.0)


def _bicubic(n: int, size: int) -> np.ndarray:
    """`[size, n]`: the share of each pixel in each new one, by Keys' cubic with a of -0.5, widened where it shrinks."""
    scale = n / size
    distances = (np.arange(n) + 0.5)[None] - (np.arange(size)[:, None] + 0.5) * scale
    x = np.abs(distances) / max(scale, 1.0)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0)
    weights = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
    return weights / weights.sum(1, keepdims=True)
