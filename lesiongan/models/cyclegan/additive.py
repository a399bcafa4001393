"""A generator that adds to its input and begins as "do nothing", and a discriminator on frozen features (both ours).

The generator's last kernel is nearly zero at first, so that its first output is its input and every step away has to
pay for itself; the discriminator is that of `lesiongan.models.projected`, each image beside its neighbour in the batch.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from lesiongan.models.convolution import convolution, padded, without_margin
from lesiongan.models.cyclegan.layers import instance_norm
from lesiongan.models.network import Network
from lesiongan.models.projected.features import FrozenFeatures
from lesiongan.models.projected.heads import Heads, partners_of
from lesiongan.models.resize_convolution import resize_convolution

_NEARLY_NOTHING, _NEARLY_IDENTITY = 1e-4, 0.2  # variances of first kernels, times their inputs
_MARGIN = 2  # pixels that are drawn around the picture and cut off; sides stay multiples of 4


@keras.saving.register_keras_serializable("lesiongan")
class AdditiveGenerator(Network):
    """`clip(x + 2 tanh(r(x)), -1, 1)`: `[batch, size, size, 3]` to the same, both in [-1, 1].

    r: 3 x 3 convolution to n filters; 4 x 4 of stride 2 to 2 n and 4 n; residual blocks,
    `x + conv(relu(norm(conv(x))))`; twice (doubling and a convolution, beside the map of the way down, 3 x 3
    convolution); 3 x 3 to r. Instance norm and ReLU after each but the last. The image is mirrored at its border by two
    pixels, of which nothing is left in r; the convolutions mirror there too.

    Args:
        size: pixels, a multiple of 4.
        filters: n.
        blocks: residual blocks.
        seed: of the initial weights: N(0, 2 / inputs), N(0, 0.2 / inputs) of a block's second kernel, N(0, 1e-4 /
            inputs) of the last.
        precision: a dtype policy of Keras.
    """

    any_size = True  # `translate` takes pictures of any sides that are multiples of 4

    def __init__(self, size, *, filters=24, blocks=3, seed=0, precision="float32", name="generator"):
        settings = {"size": size, "filters": filters, "blocks": blocks, "seed": seed, "precision": precision}
        super().__init__(settings, name)
        n = filters
        self._add("stem", 3, 3, n)
        self._add("down_1", 4, n, 2 * n)
        self._add("down_2", 4, 2 * n, 4 * n)
        for block in range(blocks):
            self._add(f"residual_{block + 1}_first", 3, 4 * n, 4 * n)
            self._add(f"residual_{block + 1}_second", 3, 4 * n, 4 * n, _NEARLY_IDENTITY)
        for number, wide in ((1, 2 * n), (2, n)):
            self._add(f"up_{number}", 3, 2 * wide, wide)
            self._add(f"joined_{number}", 3, 2 * wide, wide)
        self._add("last", 3, n, 3, _NEARLY_NOTHING)
        self.add_biases({"last": 3})
        self.built = True

    def _add(self, key: str, size: int, before: int, after: int, gain: float = 2.0) -> None:
        self.add_kernel(key, (size, size, before, after), math.sqrt(gain / (size * size * before)))

    def call(self, images):
        def normed(x):
            return tf.nn.relu(instance_norm(x))

        def conv(x, key, stride=1):
            return convolution(x, self.kernel(key), stride, 1, "reflect")

        x = normed(conv(padded(tf.cast(images, self.compute), _MARGIN, "reflect"), "stem"))
        ways_down = [x]
        for number in (1, 2):
            x = normed(conv(x, f"down_{number}", 2))
            ways_down.append(x)
        for block in range(self.settings["blocks"]):
            y = normed(conv(x, f"residual_{block + 1}_first"))
            x += conv(y, f"residual_{block + 1}_second")
        for number in (1, 2):
            x = normed(resize_convolution(x, self.kernel(f"up_{number}")))
            x = normed(conv(tf.concat([x, ways_down[2 - number]], -1), f"joined_{number}"))
        r = tf.cast(without_margin(self.biased(conv(x, "last"), "last"), _MARGIN), tf.float32)
        return tf.clip_by_value(images + 2.0 * tf.tanh(r), -1.0, 1.0)

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """The same, as `saved_models.export` calls it; the seeds are ignored."""
        return self(images)


class PairDiscriminator(Network):
    """Images `[batch, size, size, 3]` in [-1, 1] -> logits `[batch, n]`; each is seen beside the next of the batch.

    Args:
        size: pixels.
        look: the frozen features, which several discriminators may share.
        width: factor on the heads' filters.
        seed: of the initial weights.
        precision: a dtype policy of Keras.
    """

    def __init__(self, size, look: FrozenFeatures, *, width=1.0, seed=0, precision="float32", name="discriminator"):
        super().__init__({"size": size, "width": width, "seed": seed, "precision": precision}, name)
        self.look = look
        self.heads = Heads(look.shapes, width=width, seed=seed, precision=precision)
        self.built = True

    def call(self, images, update=False):
        """With `update` the pass moves the moving averages and the vectors of the spectral norm."""
        partners = partners_of(tf.zeros_like(tf.range(tf.shape(images)[0])))
        return self.heads(self.look(images), partners, training=True, update=update)[0]

    def reset(self, seed: int) -> None:
        self.heads.reset(seed)
