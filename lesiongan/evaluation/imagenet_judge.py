"""A judge that knows photographs in general: EfficientNet-Lite2 with its ImageNet weights.

No training here sees with it (GANs look through EfficientNet-Lite0): features that a generator was trained against are
too kind to it (Kynkaanniemi et al. 2023, "The role of ImageNet classes in Frechet inception distance").

It stands apart from `judge`, so that what is judged by a classifier of this project does not depend on its code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from lesiongan.evaluation.judge import Judge
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite

IMAGENET = "imagenet"
_NETWORK = "lite2"
_SIZE = 128  # pixels; a quarter of the cost at 224, and small images gain nothing from enlarging them further
_BATCH = 32


def judge_of(name_or_folder: str | Path) -> Judge:
    """The judge that a user names: the word `imagenet`, or the folder of an exported classifier.

    Raises:
        UsageError: the weights are not installed (the extra `imagenet`), or no classifier there.
    """
    return imagenet() if str(name_or_folder) == IMAGENET else Judge.of_classifier(Path(name_or_folder))


def imagenet() -> Judge:
    """The mean of the last feature map, `[n, 1280]`.

    Raises:
        UsageError: the weights are not installed.
    """
    network = EfficientNetLite(variant=_NETWORK)
    network.load_pretrained(IMAGENET)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, _SIZE, _SIZE, 3], tf.uint8)])
    def features(images):
        return tf.reduce_mean(network(tf.cast(images, tf.float32) / 127.5 - 1.0), (1, 2))

    def look(images: np.ndarray) -> tuple[None, np.ndarray]:
        parts = [features(images[begin : begin + _BATCH]).numpy() for begin in range(0, len(images), _BATCH)]
        return None, np.concatenate(parts)

    return Judge(IMAGENET, _SIZE, look)
