"""Residual networks for the ACGAN, of 32 to 256 px (Miyato et al. 2018, appendix B; Brock et al. 2019, appendix B).

Narrow enough that a step at 64 px takes two and a half times the multiplications of a step of the paper's networks.
"""

from __future__ import annotations

import math
from typing import ClassVar

import keras
import tensorflow as tf

from lesiongan.models.acgan.networks import for_size, scaled
from lesiongan.models.batch_norms import BatchNorms
from lesiongan.models.bilinear import doubled
from lesiongan.models.convolution import convolution, without_margin
from lesiongan.models.network import Network
from lesiongan.models.resize_convolution import resize_convolution

#: Widths of the maps, from 4 x 4 on, each twice as large as the one before.
WIDTHS = {
    32: (128, 128, 64, 32),
    64: (256, 256, 128, 64, 32),
    128: (256, 256, 256, 128, 64, 32),
    256: (256, 256, 256, 128, 64, 32, 16),
}


@keras.saving.register_keras_serializable("lesiongan")
class ResidualGenerator(Network):
    """Noise `[batch, latent]` -> images float32 `[batch, size, size, 3]` in [-1, 1].

    Dense to 8 x 8; blocks that double the map: norm, ReLU, nearest-neighbour doubling, 3 x 3 convolution, norm, ReLU,
    3 x 3 convolution, plus a 1 x 1 convolution of the input, doubled bilinearly (shortcuts that repeat pixels carry the
    blocks of the first map into the picture, where they are seen as a weave); norm, ReLU, 3 x 3 convolution, tanh. The
    norms are batch norms with scale and offset linear in the noise, whose first numbers are the class's one-hot form.

    It draws a margin around the picture and cuts it off: every map has two pixels more on each side, as many as a
    block, which doubles the map and whose convolutions see nothing beyond its border, leaves of four.

    Args:
        size: 32, 64, 128 or 256 pixels.
        latent: length of the noise vector, whose first numbers are the class.
        num_classes: k.
        width: factor on the number of filters.
        seed: of the initial weights, N(0, 2 / inputs), of shortcuts and the dense layer N(0, 1 / inputs).
        precision: a dtype policy of Keras.

    Raises:
        UsageError: there is no network for the size.
    """

    WIDTHS: ClassVar = WIDTHS
    NOISE_IN_NORMS = True  # whether the norms know all of the noise, or the class alone
    MARGIN = 2  # pixels of every map on each side of the picture

    def __init__(self, size, latent, num_classes, *, width=1.0, seed=0, precision="float32", name="generator"):
        settings = {"size": size, "latent": latent, "num_classes": num_classes, "width": width, "seed": seed}
        super().__init__({**settings, "precision": precision}, name)
        filters = scaled(for_size(self.WIDTHS, size), width)
        self.conditions = latent if self.NOISE_IN_NORMS else num_classes
        self.blocks = range(1, len(filters))
        self.side = 4 + 2 * self.MARGIN
        self.add_kernel("dense", (latent, self.side**2 * filters[0]), latent**-0.5)
        biases = {"dense": self.side**2 * filters[0]}
        norms: dict[str, int] = {}
        for index in self.blocks:
            before, after = filters[index - 1 : index + 1]
            add_convolution(self, f"first_{index}", 3, before, after, 2.0)
            add_convolution(self, f"second_{index}", 3, after, after, 2.0)
            add_convolution(self, f"shortcut_{index}", 1, before, after, 1.0)
            biases |= {f"first_{index}": after, f"second_{index}": after}
            norms |= {f"first_{index}": before, f"second_{index}": after}
        add_convolution(self, "image", 3, filters[-1], 3, 1.0)
        self.add_biases({**biases, "image": 3})
        noise = self.conditions - num_classes
        self.norms = BatchNorms({**norms, "image": filters[-1]}, classes=num_classes, noise=noise, seed=seed)
        self.built = True

    def call(self, noise, training=False):
        return self.maps(noise, training)[-1]

    def maps(self, noise: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """The output of the dense layer and of every block, the images last."""
        norms = self.norms.begin(training, noise[:, : self.conditions])
        x = self.dense(tf.cast(noise, self.compute), "dense")
        maps = [tf.reshape(x, [-1, self.side, self.side, x.shape[-1] // self.side**2])]
        for index in self.blocks:
            x = maps[-1]
            y = resize_convolution(tf.nn.relu(norms(x, f"first_{index}")), self.kernel(f"first_{index}"), padding=0)
            y = tf.nn.relu(norms(self.biased(y, f"first_{index}"), f"second_{index}"))
            y = self.biased(convolution(y, self.kernel(f"second_{index}")), f"second_{index}")
            # a 1 x 1 convolution and doubling may change places
            x = doubled(tf.nn.conv2d(x, self.kernel(f"shortcut_{index}"), 1, "SAME"))
            maps.append(y + without_margin(x, self.MARGIN))
        x = without_margin(maps[-1], self.MARGIN - 1)  # the last pixel goes with the last convolution
        x = tf.nn.relu(norms(x, "image"))
        x = self.biased(convolution(x, self.kernel("image")), "image")
        norms.finish()
        return [*maps, tf.tanh(tf.cast(x, tf.float32))]


@keras.saving.register_keras_serializable("lesiongan")
class ResidualDiscriminator(Network):
    """Images `[batch, size, size, 3]` in [-1, 1] -> (source logits `[batch, 1]`, class logits `[batch, classes]`).

    Blocks that halve the map, down to 4 x 4: ReLU (not in the first), 3 x 3 convolution, ReLU, 3 x 3 convolution, means
    of 2 x 2, plus a 1 x 1 convolution of the halved input; ReLU, sum over the map, two dense heads. No norm but the
    spectral one, no dropout.

    Args:
        size: 32, 64, 128 or 256 pixels.
        num_classes: k.
        width: factor on the number of filters.
        dropout: ignored; it belongs to the paper's discriminator.
        spectral_norm: of every kernel, the heads' too (Miyato et al. 2018).
        seed: of the initial weights, as in `ResidualGenerator`.
        precision: a dtype policy of Keras.
    """

    def __init__(
        self,
        size,
        num_classes,
        *,
        width=1.0,
        dropout=0.0,
        spectral_norm=False,
        seed=0,
        precision="float32",
        name="discriminator",
    ):
        settings = {"size": size, "num_classes": num_classes, "width": width, "dropout": dropout, "seed": seed}
        super().__init__({**settings, "spectral_norm": spectral_norm, "precision": precision}, name)
        filters = scaled(for_size(WIDTHS, size), width)[:0:-1]
        biases: dict[str, int] = {}
        self.blocks = range(1, len(filters) + 1)
        for index, before, after in zip(self.blocks, [3, *filters[:-1]], filters, strict=True):
            add_convolution(self, f"first_{index}", 3, before, after, 2.0)
            add_convolution(self, f"second_{index}", 3, after, after, 2.0)
            add_convolution(self, f"shortcut_{index}", 1, before, after, 1.0)
            biases |= {f"first_{index}": after, f"second_{index}": after}
        for head, outputs in (("source", 1), ("classes", num_classes)):
            self.add_kernel(head, (filters[-1], outputs), filters[-1] ** -0.5 / 16)  # of a sum over 16 places
            biases[head] = outputs
        self.add_biases(biases)
        self.built = True

    @staticmethod
    def look(images):
        """What of the images needs no weights of this network: here they themselves."""
        return images

    def call(self, images, labels=None, training=False, dropout_seed=None, update=True):
        """With `update` a pass in training moves the vectors of the spectral norm; `labels` and `dropout_seed` are
        ignored."""
        update = training and update
        x = tf.reduce_sum(tf.nn.relu(self.maps(images, training, update=update)[-1]), [1, 2])
        return tuple(tf.cast(self.dense(x, head, update), tf.float32) for head in ("source", "classes"))

    def maps(self, images, training=False, dropout_seed=None, update=True) -> list[tf.Tensor]:
        """Every block's output."""
        update = training and update
        x = tf.cast(images, self.compute)
        maps: list[tf.Tensor] = []
        for index in self.blocks:
            y = tf.nn.relu(x) if maps else x
            y = tf.nn.conv2d(y, self.kernel(f"first_{index}", update), 1, "SAME")
            y = tf.nn.relu(self.biased(y, f"first_{index}"))
            y = halving_convolution(y, self.kernel(f"second_{index}", update))
            x = tf.nn.conv2d(tf.nn.avg_pool2d(x, 2, 2, "VALID"), self.kernel(f"shortcut_{index}", update), 1, "SAME")
            x = self.biased(x + y, f"second_{index}")
            maps.append(x)
        return maps


def add_convolution(network: Network, key: str, size: int, before: int, after: int, gain: float) -> None:
    """A kernel of N(0, gain / inputs)."""
    network.add_kernel(key, (size, size, before, after), math.sqrt(gain / (size * size * before)))


def halving_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """3 x 3 convolution among zeros, then means of 2 x 2, as one 4 x 4 convolution of stride 2 with a quarter of the
    four shifted kernels' sum: 16 products in place of 36.

    Args:
        x: `[batch, 2 n, 2 n, channels]`.
        kernel: `[3, 3, channels, filters]`.

    Returns:
        `[batch, n, n, filters]`.
    """
    merged = tf.add_n([tf.pad(kernel, [[i, 1 - i], [j, 1 - j], [0, 0], [0, 0]]) for i in (0, 1) for j in (0, 1)])
    return tf.nn.conv2d(x, 0.25 * merged, 2, "SAME")
