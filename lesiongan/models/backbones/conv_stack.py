"""What the backbones are made of: convolutions and their batch norms, with few variables and few operations.

Building and optimising a graph of one Keras layer per convolution takes as long as dozens of training steps on small
pictures. Here a stage is one layer, and its batch norms share variables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lesiongan.models.batch_norms import BatchNorms

#: Places of a map from which 1 x 1 convolutions have their gradient as matrix products (measured on two cores).
_LARGE = 400
_SMALL = 12  # side of a map up to which a 5 x 5 depthwise kernel has a gradient of its own


class ConvStack(keras.layers.Layer):
    """Convolutions, each with its batch norm.

    Args:
        shapes: name -> kernel shape of each convolution, `[h, w, in, out]`, or `[h, w, c, 1]` of a depthwise one.
        depthwise: the names of those that are depthwise.
        epsilon, momentum: of the batch norms.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        name: str,
        *,
        depthwise: Collection[str] = (),
        epsilon: float = 1.001e-5,
        momentum: float = 0.9,
    ):
        # Images stay float32 until a stem has scaled them: half precision is too coarse for values around 200.
        super().__init__(name=name, autocast=False)
        self.depthwise = frozenset(depthwise)
        self.kernels = {key: self.add_weight(shape, "zeros", name=key) for key, shape in shapes.items()}
        widths = {key: shape[-2] if key in depthwise else shape[-1] for key, shape in shapes.items()}
        self.norms: Any = BatchNorms(widths, bias=True, epsilon=epsilon, momentum=momentum)
        self.built = True

    def conv(self, x, key: str, stride: int = 1, padding="SAME"):
        """Convolution `key` of `[n, h, w, in]`, without its norm."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernels[key]), x.dtype)
        if kernel.shape[:2] == (1, 1) and stride == 1 and (x.shape[1] or 0) * (x.shape[2] or 0) >= _LARGE:
            return pointwise_conv(x, kernel)
        return tf.nn.conv2d(x, kernel, stride, padding)

    def depthwise_conv(self, x, key: str, stride: int = 1):
        """Depthwise convolution `key` of `[n, h, w, c]`, without its norm; padding as TensorFlow's `SAME`."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernels[key]), x.dtype)
        size, places = kernel.shape[0], x.shape[1:3]
        if size == 5 and None not in places and max(places) <= _SMALL:
            return depthwise_5x5(x, kernel, stride)
        padding = "SAME"
        if None not in places and min(places) < size:
            # Where the kernel is larger than the map, oneDNN's gradient is 2.5 times faster without padding of its own.
            x, padding = tf.pad(x, [[0, 0], *(same_padding(n, size, stride) for n in places), [0, 0]]), "VALID"
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding)

    def freeze(self, dtype: tf.DType) -> None:
        """Makes constants of the weights, the norms' factors part of the kernels: what a network computes that is not
        trained any more, with fewer operations.

        Args:
            dtype: of the constants.
        """
        factors, self.norms = self.norms.folded()
        kernels = {}
        for key, kernel in self.kernels.items():
            factor = factors[key][:, None] if key in self.depthwise else factors[key]
            kernels[key] = tf.cast(kernel.value * factor, dtype)
        self.kernels = kernels

    def reset(self, random: np.random.Generator) -> None:
        """He et al. 2015: N(0, 2 / fan-out), as torchvision initialises its ResNet; the norms too."""
        for kernel in self.kernels.values():
            height, width, _, filters = kernel.shape
            kernel.assign(he_normal(random, kernel.shape, fan=height * width * filters))
        self.norms.reset()

    def load(self, convs: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Takes the weights of every convolution: name -> `kernel` (of the shape here) and its norm's `scale`,
        `offset`, `moving_mean`, `moving_variance`, and `bias` where the convolution has one."""
        for key, kernel in self.kernels.items():
            kernel.assign(convs[key]["kernel"])
        for kind in ("scale", "offset", "moving_mean", "moving_variance", "bias"):
            values = [convs[key].get(kind, np.zeros(width)) for key, width in self.norms.widths.items()]
            getattr(self.norms, kind).assign(np.concatenate(values).astype(np.float32))


def depthwise_5x5(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """A depthwise convolution of `[n, h, w, c]` with `[5, 5, c, 1]`, padding as TensorFlow's `SAME`; the kernel's
    gradient as that of four kernels of 3 x 3, which meet in the middle row and column.

    TensorFlow's gradient of a 5 x 5 kernel takes up to fourteen times as long as that of a 3 x 3 one on a CPU, most on
    small maps, where it is two thirds of a convolution's training (`benchmarks.stages`).
    """
    pads = [same_padding(places, 5, stride) for places in x.shape[1:3]]
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(dy):
            dx = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=dy, strides=strides, padding="VALID"
            )
            rows, columns = (stride * (dy.shape[axis] - 1) + 3 for axis in (1, 2))

            def corner(top, left):
                return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                    input=x[:, top : top + rows, left : left + columns],
                    filter_sizes=[3, 3, *kernel.shape[2:]],
                    out_backprop=dy,
                    strides=strides,
                    padding="VALID",
                )

            upper, lower = (tf.concat([corner(top, 0)[:, :2], corner(top, 2)], 1) for top in (0, 2))
            return dx, tf.concat([upper[:2], lower], 0)

        return tf.nn.depthwise_conv2d(x, kernel, strides, "VALID"), gradient

    return convolve(tf.pad(x, [[0, 0], *pads, [0, 0]]), kernel)


@tf.custom_gradient
def pointwise_conv(x: tf.Tensor, kernel: tf.Tensor):
    """A 1 x 1 convolution of `[n, h, w, in]` with `[1, 1, in, out]`, its gradient as matrix products.

    On a CPU these are faster than the convolution's own where maps are large: a step of EfficientNet-Lite0 at 96 px
    takes 0.8 to 0.9 of the time; ResNet50 at 64 px, whose maps are small, takes longer. Forward, the
    convolution itself is faster, since norm and ReLU are fused into it.
    """
    inputs, filters = kernel.shape[2:]

    def gradient(dy):
        rows = tf.reshape(dy, [-1, filters])
        dx = tf.reshape(tf.matmul(rows, kernel[0, 0], transpose_b=True), tf.shape(x))
        return dx, tf.matmul(tf.reshape(x, [-1, inputs]), rows, transpose_a=True)[None, None]

    return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient


def same_padding(places: int, kernel: int, stride: int) -> list[int]:
    """Rows before and after a map of `places` rows, as TensorFlow's `SAME` padding has them."""
    total = max((-(-places // stride) - 1) * stride + kernel - places, 0)
    return [total // 2, total - total // 2]


def he_normal(random: np.random.Generator, shape: Sequence[int], fan: int) -> np.ndarray:
    """N(0, 2 / fan), float32 of a shape."""
    return random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan))
