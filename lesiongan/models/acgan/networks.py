"""The ACGAN's networks as published (Odena et al. 2017, appendix A; at 128 px the port clvrai/ACGAN-PyTorch)."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.batch_norms import BatchNorms
from lesiongan.models.convolution import convolution
from lesiongan.models.network import DEVIATION, Network
from lesiongan.models.replicas import own_part, replicas

#: Widths of the generator's feature maps, from the smallest map on; the last layer gives 3 channels.
GENERATOR_WIDTHS = {
    32: (384, 256, 192),
    64: (384, 256, 192, 64),
    128: (768, 384, 256, 192, 64),
    256: (768, 384, 256, 192, 96, 64),
}
DISCRIMINATOR_WIDTHS = (16, 32, 64, 128, 256, 512)
_FEW = 8  # filters
_DROPOUT_LEVELS = 256  # one random byte per unit; the rate is a multiple of 1/256


@keras.saving.register_keras_serializable("lesiongan")
class Generator(Network):
    """Noise `[batch, latent]` -> images float32 `[batch, size, size, 3]` in [-1, 1].

    At 128 px (the paper): dense to 1 x 1 x 768 without activation, transposed 5 x 5 convolutions of stride 2 without
    padding to 5, 13, 29 and 61 pixels, and one of 8 x 8 to 128. At 32, 64 and 256 px (ours): dense to 4 x 4 with batch
    norm and ReLU, then doubling by transposed 4 x 4 convolutions of stride 2. Batch norm and ReLU follow each
    convolution but the last, which ends in tanh.

    Args:
        size: 32, 64, 128 or 256 pixels.
        latent: length of the noise vector, whose first numbers are the class.
        num_classes: k; the noise alone tells this network the class.
        width: factor on the number of filters.
        seed: of the initial weights.
        precision: a dtype policy of Keras.

    Raises:
        UsageError: there is no network for the size.
    """

    def __init__(self, size, latent, num_classes, *, width=1.0, seed=0, precision="float32", name="generator"):
        settings = {"size": size, "latent": latent, "num_classes": num_classes, "width": width, "seed": seed}
        super().__init__({**settings, "precision": precision}, name)
        first, *filters = scaled(for_size(GENERATOR_WIDTHS, size), width)
        published = size == 128
        self.side = 1 if published else 4
        self.add_kernel("dense", (latent, self.side**2 * first))
        self.add_biases({"dense": self.side**2 * first})
        sizes = (5, 5, 5, 5, 8) if published else (4,) * (len(filters) + 1)
        for index, (k, before, after) in enumerate(zip(sizes, [first, *filters], [*filters, 3], strict=True)):
            self.add_kernel(f"up_{index + 1}", (k, k, after, before))
        self.padding = "VALID" if published else "SAME"
        widths = {} if published else {"dense": first}
        widths |= {f"up_{index + 1}": after for index, after in enumerate(filters)}
        self.norms = BatchNorms(widths, seed=seed, deviation=DEVIATION)
        self.built = True

    def call(self, noise, training=False):
        return self.maps(noise, training)[-1]

    def maps(self, noise: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Every layer's output, the images last."""
        x = self.dense(tf.cast(noise, self.compute), "dense")
        x = tf.reshape(x, [-1, self.side, self.side, x.shape[-1] // self.side**2])
        norms, maps = self.norms.begin(training), []
        for key in self.kernels:
            x = x if key == "dense" else transposed_convolution(x, self.kernel(key), self.padding)
            x = tf.nn.relu(norms(x, key)) if key in self.norms.widths else x
            maps.append(x)
        norms.finish()
        return [*maps[:-1], tf.tanh(tf.cast(x, tf.float32))]


@keras.saving.register_keras_serializable("lesiongan")
class Discriminator(Network):
    """Images `[batch, size, size, 3]` in [-1, 1] -> (source logits `[batch, 1]`, class logits `[batch, classes]`).

    3 x 3 convolutions without bias, strides 2 1 2 1 2 1, padding 1 where the stride is 2 and none where it is 1;
    batch norm on all but the first, LeakyReLU 0.2 and dropout after each; two dense heads on the flattened map
    (13 x 13 x 512 at 128 px).

    Args:
        size: pixels of the images, at least 32.
        num_classes: k.
        width: factor on the number of filters.
        dropout: its rate; the paper's is 0.5.
        spectral_norm: of every kernel (Miyato et al. 2018).
        seed: of the initial weights.
        precision: a dtype policy of Keras.
    """

    def __init__(
        self,
        size,
        num_classes,
        *,
        width=1.0,
        dropout=0.5,
        spectral_norm=False,
        seed=0,
        precision="float32",
        name="discriminator",
    ):
        settings = {"size": size, "num_classes": num_classes, "width": width, "dropout": dropout, "seed": seed}
        super().__init__({**settings, "spectral_norm": spectral_norm, "precision": precision}, name)
        filters, before = scaled(DISCRIMINATOR_WIDTHS, width), 3
        self.units = []  # of each layer's map
        for index, after in enumerate(filters):
            self.add_kernel(f"conv_{index + 1}", (3, 3, before, after))
            size, before = (size + 1) // 2 if index % 2 == 0 else size - 2, after
            self.units.append(size * size * after)
        self.add_kernel("source", (self.units[-1], 1))
        self.add_kernel("classes", (self.units[-1], num_classes))
        self.add_biases({"source": 1, "classes": num_classes})
        widths = {f"conv_{index + 1}": width for index, width in enumerate(filters) if index}
        self.norms = BatchNorms(widths, seed=seed, deviation=DEVIATION)
        self.built = True

    @staticmethod
    def look(images):
        """What of the images needs no weights of this network: here they themselves."""
        return images

    def call(self, images, labels=None, training=False, dropout_seed=None, update=True):
        """`dropout_seed`, int `[2]`, decides what is dropped; without it nothing is. `labels` are ignored. With
        `update` a pass in training moves what the network remembers of earlier ones: moving averages and the vectors of
        the spectral norm."""
        x = tf.reshape(self.maps(images, training, dropout_seed, update)[-1], [-1, self.units[-1]])
        update = training and update
        return tuple(tf.cast(self.dense(x, head, update), tf.float32) for head in ("source", "classes"))

    def maps(self, images, training=False, dropout_seed=None, update=True) -> list[tf.Tensor]:
        """Every convolution's map, after norm, activation and dropout."""
        x, maps = tf.cast(images, self.compute), []
        norms = self.norms.begin(training, update=update)
        keep = [None] * len(self.units)
        if dropout_seed is not None and self.settings["dropout"]:
            keep = dropout_masks(tf.shape(images)[0], self.units, self.settings["dropout"], dropout_seed)
        for index, mask in enumerate(keep):
            key = f"conv_{index + 1}"
            kernel = self.kernel(key, training and update)
            x = convolution(x, kernel, stride=2, padding=1) if index % 2 == 0 else convolution(x, kernel)
            x = tf.nn.leaky_relu(norms(x, key) if index else x, 0.2)
            if mask is not None:
                x = dropped(x, mask, self.settings["dropout"])
            maps.append(x)
        norms.finish()
        return maps


def transposed_convolution(x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
    """Transposed convolution of stride 2.

    Args:
        x: `[batch, n, n, channels]`.
        kernel: `[k, k, filters, channels]`.
        padding: `VALID` makes 2 (n - 1) + k pixels of n, `SAME` 2 n.

    Returns:
        `[batch, m, m, filters]`.
    """
    n, k, filters = x.shape[1], kernel.shape[0], kernel.shape[2]
    m = 2 * (n - 1) + k if padding == "VALID" else 2 * n
    if filters < _FEW and k % 2 == 0:
        return _to_few_filters(x, kernel, padding, m)
    y = tf.nn.conv2d_transpose(x, kernel, tf.stack([tf.shape(x)[0], m, m, filters]), 2, padding)
    return tf.ensure_shape(y, [x.shape[0], m, m, filters])


def _to_few_filters(x: tf.Tensor, kernel: tf.Tensor, padding: str, m: int) -> tf.Tensor:
    """`transposed_convolution` of an even kernel, m pixels, as one convolution of stride 1 that makes the four parities
    of row and column as channels: `out[2 j + p] = sum_i x[j - i] w[2 i + p]` along each axis.

    To 3 colours it takes a third of the time on a CPU, where 3 filters use a fifth of a vector; the gradient is the
    ordinary one, which is quicker than this form's.
    """
    half, filters, channels = kernel.shape[0] // 2, kernel.shape[2], kernel.shape[3]

    @tf.custom_gradient
    def convolve(x, kernel):
        taps = tf.reshape(kernel, [half, 2, half, 2, filters, channels])[::-1, :, ::-1]
        taps = tf.reshape(tf.transpose(taps, [0, 2, 5, 1, 3, 4]), [half, half, channels, 4 * filters])
        around = [half - 1, half - 1]
        y = tf.nn.depth_to_space(tf.nn.conv2d(tf.pad(x, [[0, 0], around, around, [0, 0]]), taps, 1, "VALID"), 2)
        cut = (y.shape[1] - m) // 2  # what `SAME` leaves out

        def gradient(dy):
            dw = tf.raw_ops.Conv2DBackpropFilter(
                input=dy, filter_sizes=kernel.shape, out_backprop=x, strides=[1, 2, 2, 1], padding=padding
            )
            return tf.nn.conv2d(dy, kernel, 2, padding), dw

        return y[:, cut : cut + m, cut : cut + m], gradient

    return convolve(x, kernel)


def dropout_masks(count: tf.Tensor, units: Iterable[int], rate: float, seed: tf.Tensor) -> list[tf.Tensor]:
    """Which units are kept in each of several maps, as one draw: booleans, flat, `[count * units]` each.

    One random byte per unit, where TensorFlow's dropout draws four: random numbers take a tenth of a step on a CPU.

    Args:
        count: images of the batch.
        units: numbers in a map of one image.
        rate: of dropping, rounded to a multiple of 1/256.
        seed: int `[2]`.
    """
    sizes = replicas() * count * tf.constant(list(units))
    total = tf.reduce_sum(sizes)
    words = tf.random.stateless_uniform([(total + 3) // 4], seed, None, None, tf.uint32, alg="philox")
    levels = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:total]
    return [own_part(part) >= _levels(rate) for part in tf.split(levels, sizes, num=len(list(units)))]


def dropped(x: tf.Tensor, keep: tf.Tensor, rate: float) -> tf.Tensor:
    """Inverted dropout: what is not kept is 0, the rest grows by 1 / (1 - rate)."""
    factor = _DROPOUT_LEVELS / (_DROPOUT_LEVELS - _levels(rate))
    return x * (tf.cast(tf.reshape(keep, tf.shape(x)), x.dtype) * factor)


def _levels(rate: float) -> int:
    return round(rate * _DROPOUT_LEVELS)


def scaled(widths: Iterable[int], factor: float) -> list[int]:
    return [max(1, round(width * factor)) for width in widths]


def for_size(widths: dict[int, tuple[int, ...]], size: int) -> tuple[int, ...]:
    """The widths for a size; raises `UsageError` where there is no network for it."""
    if size not in widths:
        raise UsageError(f"acgan.size={size}: the ACGAN has networks for {', '.join(map(str, widths))} px")
    return widths[size]
