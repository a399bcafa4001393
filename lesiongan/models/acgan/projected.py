"""Projected networks for the ACGAN: a discriminator that looks through frozen ImageNet features, in pairs of one class
(Sauer et al. 2021), and a generator in which every norm knows class and noise (Brock et al. 2019, appendix B)."""

from __future__ import annotations

from typing import ClassVar

import keras
import tensorflow as tf

from lesiongan.models.acgan.residual import ResidualGenerator
from lesiongan.models.network import Network
from lesiongan.models.projected.features import FrozenFeatures
from lesiongan.models.projected.heads import Heads, partners_of


@keras.saving.register_keras_serializable("lesiongan")
class ProjectedGenerator(ResidualGenerator):
    """`ResidualGenerator` with other widths."""

    WIDTHS: ClassVar = {
        32: (128, 128, 64, 32),
        64: (192, 192, 96, 48, 32),
        128: (192, 192, 192, 96, 48, 32),
        256: (192, 192, 192, 96, 48, 32, 16),
    }


@keras.saving.register_keras_serializable("lesiongan")
class ProjectedDiscriminator(Network):
    """Images `[batch, size, size, 3]` in [-1, 1] and labels `[batch]` -> (source logits `[batch, n]`, class logits
    `[batch, classes]`).

    `look` gives what is frozen, the features of each image (see `FrozenFeatures`); the call has the heads judge them,
    each image beside the next of its class in the batch (see `Heads`). The class head is a dense layer on all trunks.

    Args:
        size: 32, 64, 128 or 256 pixels.
        num_classes: k.
        width: factor on the number of filters.
        dropout, spectral_norm: ignored; there is no dropout, and every convolution has the spectral norm.
        look_size: see `FrozenFeatures`.
        seed: of the initial weights and of the features' mixing.
        precision: a dtype policy of Keras.

    Raises:
        UsageError: the ImageNet weights are not installed (the extra `imagenet`).
    """

    def __init__(
        self,
        size,
        num_classes,
        *,
        width=1.0,
        dropout=0.0,
        spectral_norm=True,
        look_size=0,
        seed=0,
        precision="float32",
        name="discriminator",
    ):
        settings = {"size": size, "num_classes": num_classes, "width": width, "dropout": dropout, "seed": seed}
        settings |= {"spectral_norm": spectral_norm, "look_size": look_size}
        super().__init__({**settings, "precision": precision}, name)
        self.look = FrozenFeatures(size, look_size=look_size, seed=seed, compute=self.compute)
        self.heads = Heads(self.look.shapes, num_classes, width=width, seed=seed, precision=precision)
        self.add_kernel("classes", (self.heads.features, num_classes), spectral_norm=False)
        self.add_biases({"classes": num_classes})
        self.built = True

    def call(self, seen, labels, training=False, dropout_seed=None, update=True):
        """With `update` a pass in training moves what the network remembers of earlier ones: moving averages and the
        vectors of the spectral norm; `seen` is what `look` gave, `dropout_seed` is ignored."""
        source, trunks = self.heads(seen, partners_of(labels), labels, training=training, update=update)
        return source, tf.cast(self.dense(trunks, "classes"), tf.float32)
