"""Judges of generated images while a GAN trains: KID in the feature space of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.evaluation.feature_metrics import feature_scale, kernel_inception_distance
from lesiongan.serving import saved_models

#: Images of each set below which KID is not worth measuring.
LEAST = 16
#: Images of each set that a measurement takes at most, so that it costs seconds.
MOST = 256


class Judge:
    """A network that looks at images of any size.

    Args:
        name: what reports call it.
        size: pixels of the images that the network takes; others are resized (bicubic, antialiased).
        look: uint8 `[n, size, size, 3]` -> class probabilities `[n, k]` (or None) and features `[n, f]`.
        classes: the k classes; none where it is no classifier of lesions.
    """

    def __init__(
        self,
        name: str,
        size: int,
        look: Callable[[np.ndarray], tuple[np.ndarray | None, np.ndarray]],
        classes: tuple[str, ...] = (),
    ):
        self.name, self.size, self.classes, self._look = name, size, classes, look

    @classmethod
    def of_classifier(cls, directory: Path) -> Judge:
        """An exported classifier of this project: its folder, or a Model artifact that has it as `classifier`.

        Raises:
            UsageError: no classifier there.
        """
        model = load_classifier(Path(directory))
        return cls(model.record["name"], model.size, model.predict, model.taxonomy.classes)

    def features(self, images: np.ndarray) -> np.ndarray:
        """float32 `[n, f]` of uint8 `[n, s, s, 3]`."""
        return np.asarray(self._look(resized(images, self.size))[1], np.float32)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """float32 `[n, k]` of uint8 `[n, s, s, 3]`.

        Raises:
            UsageError: the judge is no classifier of lesions.
        """
        if not self.classes:
            raise UsageError(f"the judge {self.name} knows no classes; give the folder of a classifier in its place")
        return np.asarray(self._look(resized(images, self.size))[0], np.float32)

    def reference(self, images: np.ndarray, among: np.ndarray | None = None) -> Reference:
        """Real images, uint8 `[n, s, s, 3]`, n >= 2, to which generated ones are compared; see `Reference`."""
        return Reference(self, images, among)


class Reference:
    """Real images as a judge sees them.

    Features are divided by the root mean square of all of them, since a network's scale is arbitrary; the numbers are
    comparable for one judge and one scale. There is one scale for all features: some of a classifier's stay silent on
    melanomas and saturate on a nevus; scaled one by one over melanomas, they give a single nevus a cubic kernel of
    millions.

    Args:
        judge: whose features are compared.
        images: uint8 `[n, s, s, 3]`, n >= 2.
        among: the images whose features give the scale, uint8 `[m, s, s, 3]`; by default the reference itself.
    """

    def __init__(self, judge: Judge, images: np.ndarray, among: np.ndarray | None = None):
        features = judge.features(images)
        self.judge, self._scale = judge, feature_scale(features if among is None else judge.features(among))
        self._real = features / self._scale

    def kid(self, images: np.ndarray) -> float:
        """Kernel inception distance of generated images, uint8 `[n, s, s, 3]`, n >= 2: 0 on average for real ones, and
        NaN where a feature is not finite."""
        generated = self.judge.features(images) / self._scale
        if not np.isfinite(generated).all():
            return float("nan")
        return kernel_inception_distance(self._real, generated)


def load_classifier(directory: Path) -> saved_models.Served:
    """An exported classifier.

    Raises:
        UsageError: no model there, or one of another kind.
    """
    return saved_models.load(directory, "classifier")


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 `[n, s, s, 3]` -> uint8 `[n, size, size, 3]`, bicubic and antialiased."""
    if images.shape[1] == size:
        return images
    pixels = tf.image.resize(images, (size, size), "bicubic", antialias=True)
    return np.clip(np.rint(pixels.numpy()), 0, 255).astype(np.uint8)
