"""The building blocks of CycleGAN's networks (Johnson et al. 2016; Zhu et al. 2017, section 7.2), NHWC.

Each block is one Keras layer over raw TensorFlow ops: few layers and few ops, because a step traces each of them up to
six times. The ops are plain functions, so that other formulations can be written beside them and compared with them.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.models.convolution import convolution
from lesiongan.models.resize_convolution import resize_convolution

ACTIVATIONS = {
    "none": tf.identity,
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.2),
    "tanh": tf.tanh,
}


@tf.custom_gradient
def instance_norm(x: tf.Tensor) -> tf.Tensor:
    """Instance normalisation without an affine part, eps 1e-5: each channel of each image to mean 0 and variance 1.

    The gradient is written by hand, `rstd * (dy - mean(dy) - y * mean(dy * y))`: few ops, and only `y` is kept.

    Args:
        x: float `[batch, height, width, channels]`.

    Returns:
        The same shape and type; statistics are taken in float32 at least.
    """

    def mean(z):
        return tf.reduce_mean(z, [1, 2], keepdims=True)

    precise = tf.float32 if x.dtype.size < 4 else x.dtype
    centred = tf.cast(x, precise)
    centred -= mean(centred)
    rstd = tf.math.rsqrt(mean(centred * centred) + 1e-5)
    y = centred * rstd

    def gradient(dy):
        dy = tf.cast(dy, precise)
        return tf.cast(rstd * (dy - mean(dy) - y * mean(dy * y)), x.dtype)

    return tf.cast(y, x.dtype), gradient


def transposed_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Transposed 3 x 3 convolution of stride 2: `ConvTranspose2d(3, stride=2, padding=1, output_padding=1)` of PyTorch.

    Along each axis `out[2i] = x[i] w[1]` and `out[2i+1] = x[i] w[2] + x[i+1] w[0]`, with x = 0 past the end. (Keras's
    `Conv2DTranspose(padding="same")` is aligned differently.) One op, the gradient of a convolution with one pixel of
    padding: in the plain graph of a training step it is quicker than `subpixel_transposed_convolution`.

    Args:
        x: `[batch, height, width, channels]`.
        kernel: `[3, 3, channels, filters]`.

    Returns:
        `[batch, 2 height, 2 width, filters]`.
    """
    shape = tf.shape(x)
    size = tf.stack([shape[0], 2 * x.shape[1] + 1, 2 * x.shape[2] + 1, kernel.shape[3]])
    y = tf.nn.conv2d_transpose(x, tf.transpose(kernel, [0, 1, 3, 2]), size, 2, "VALID")
    y = tf.slice(y, [0, 1, 1, 0], [-1, -1, -1, -1])  # whose gradient, unlike that of an index, is one padding
    return tf.ensure_shape(y, [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[3]])


def subpixel_transposed_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`transposed_convolution` as four small convolutions, one for each parity of row and column: the form for XLA."""
    x = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]])
    taps = (slice(1, 2), slice(None, None, -2))  # an even pixel sees w[1]; an odd one w[2] at i and w[0] at i + 1
    extents = (slice(None, -1), slice(None))
    return interleave(
        [
            tf.nn.conv2d(x[:, extents[row], extents[column]], kernel[taps[row], taps[column]], 1, "VALID")
            for row in (0, 1)
            for column in (0, 1)
        ]
    )


def interleave(phases: list[tf.Tensor]) -> tf.Tensor:
    """Four pictures, of even and odd rows times even and odd columns, to one of twice the size."""
    return tf.nn.depth_to_space(tf.concat(phases, -1), 2)


class _Block(keras.layers.Layer):
    """A block that keeps its constructor's arguments. Weights start at 0: the model initialises them by its seed."""

    convolution = staticmethod(convolution)
    instance_norm = staticmethod(instance_norm)
    transposed_convolution = staticmethod(transposed_convolution)

    def __init__(self, **settings):
        super().__init__(**{k: settings.pop(k) for k in ("name", "dtype", "trainable") if k in settings})
        self.settings = settings

    def get_config(self):
        return {**super().get_config(), **self.settings}

    def kernel(self, size: int, channels: int, filters: int, name: str = "kernel"):
        return self.add_weight(shape=(size, size, channels, filters), initializer="zeros", name=name)


@keras.saving.register_keras_serializable("lesiongan")
class ConvolutionBlock(_Block):
    """Convolution, then instance norm or a bias, then an activation.

    There is no bias before a norm, which would subtract it again (the reference has one there).

    Args:
        filters: channels of the output.
        size: of the kernel.
        stride: of the convolution.
        padding: pixels on each side.
        mode: `zero` or `reflect`, see `convolution`.
        norm: instance norm; else a bias.
        activation: a key of `ACTIVATIONS`.
    """

    def __init__(self, filters, size, *, stride=1, padding=0, mode="zero", norm=True, activation="relu", **kwargs):
        settings = {"stride": stride, "padding": padding, "mode": mode, "norm": norm, "activation": activation}
        super().__init__(filters=filters, size=size, **settings, **kwargs)
        self.filters, self.size, self.stride, self.padding, self.mode = filters, size, stride, padding, mode
        self.norm, self.activation = norm, ACTIVATIONS[activation]

    def build(self, input_shape):
        self.weight = self.kernel(self.size, input_shape[-1], self.filters)
        if not self.norm:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.built = True

    def call(self, x, kernel=None):
        """The block's output for `x`; `kernel` replaces the block's own, for example a normalised one."""
        kernel = tf.convert_to_tensor(self.weight) if kernel is None else kernel
        y = self.convolution(x, kernel, self.stride, self.padding, self.mode)
        y = self.instance_norm(y) if self.norm else tf.nn.bias_add(y, tf.convert_to_tensor(self.bias))
        return self.activation(y)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        out = (None if n is None else (n + 2 * self.padding - self.size) // self.stride + 1 for n in (height, width))
        return (batch, *out, self.filters)


@keras.saving.register_keras_serializable("lesiongan")
class ResidualBlock(_Block):
    """`x + norm(conv(relu(norm(conv(x)))))`, 3 x 3, reflect padding 1; no ReLU after the sum, no dropout."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.first = self.kernel(3, channels, channels, "first")
        self.second = self.kernel(3, channels, channels, "second")
        self.built = True

    def call(self, x, kernels=None):
        """The block's output for `x`; `kernels`, two, replace the block's own."""
        first, second = kernels or map(tf.convert_to_tensor, (self.first, self.second))
        y = tf.nn.relu(self.instance_norm(self.convolution(x, first, 1, 1, "reflect")))
        return x + self.instance_norm(self.convolution(y, second, 1, 1, "reflect"))

    def prepared(self, size: int) -> dict:
        """Keyword arguments of the call that can be computed once, while the kernels stay the same; here none.

        Args:
            size: the images' pixels per side.
        """
        return {}

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@keras.saving.register_keras_serializable("lesiongan")
class UpsamplingBlock(_Block):
    """Doubles height and width by a 3 x 3 kernel, then instance norm and ReLU.

    Args:
        filters: channels of the output.
        upsampling: `transposed` (Zhu et al.) or `resize` (see `resize_convolution`).
    """

    def __init__(self, filters, *, upsampling="transposed", **kwargs):
        super().__init__(filters=filters, upsampling=upsampling, **kwargs)
        self.filters = filters
        self.operation = {"transposed": self.transposed_convolution, "resize": resize_convolution}[upsampling]

    def build(self, input_shape):
        self.weight = self.kernel(3, input_shape[-1], self.filters)
        self.built = True

    def call(self, x):
        return tf.nn.relu(self.instance_norm(self.operation(x, tf.convert_to_tensor(self.weight))))

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, *(None if n is None else 2 * n for n in (height, width)), self.filters)


@keras.saving.register_keras_serializable("lesiongan")
class SubpixelUpsamplingBlock(UpsamplingBlock):
    """`UpsamplingBlock` without a transposed convolution op, which XLA on CPU has no quick form of."""

    transposed_convolution = staticmethod(subpixel_transposed_convolution)
