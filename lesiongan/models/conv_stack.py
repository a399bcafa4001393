"""What the backbones are made of: convolutions and their batch norms, with few variables and few operations.

Building and optimising a graph of one Keras layer a convolution takes as long as dozens of training steps on small
pictures. Here a stage is one layer, and its batch norms share variables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

#: Places of a map from which 1 x 1 convolutions have their gradient as matrix products (measured on two cores).
_LARGE = 400


class NormVectors(keras.layers.Layer):
    """The variables of several batch norms, each kind in one vector (one variable in place of one a norm).

    A bias before a batch norm does nothing in training (the norm takes it away with the mean, and its gradient is 0),
    so it is not trained and not even added: the moving means include it, as Keras's do, and inference subtracts it
    again. It is there for the sake of ImageNet's weights.

    Args:
        widths: name -> channels of each norm, in order.
        epsilon: added to the variance.
        momentum: of the moving averages, the share of the old value that a step keeps (PyTorch's is 1 less this); with
            Keras's 0.99 they lag behind in trainings of a few hundred steps.
    """

    def __init__(self, widths: dict[str, int], epsilon: float, momentum: float = 0.9, name: str = "norms"):
        super().__init__(name=name)
        self.widths, self.epsilon, self.momentum = dict(widths), epsilon, momentum

        def vector(name, initializer, trainable):
            shape = (sum(widths.values()),)
            return self.add_weight(shape, initializer, trainable=trainable, autocast=False, name=name)

        self.scale = vector("scale", "ones", True)
        self.offset = vector("offset", "zeros", True)
        self.bias = vector("bias", "zeros", False)
        self.moving_mean = vector("moving_mean", "zeros", False)
        self.moving_variance = vector("moving_variance", "ones", False)
        self.built = True

    def split(self, vector) -> dict[str, tf.Tensor]:
        """One of the vectors, cut into name -> part of each norm."""
        return dict(zip(self.widths, tf.split(vector, list(self.widths.values())), strict=True))

    def begin(self, training: bool) -> NormPass:
        """The norms for one pass; call its `finish` after the last of them."""
        return NormPass(self, training)

    def reset(self) -> None:
        """Scales and variances 1, all else 0."""
        for variable, value in ((self.scale, 1.0), (self.moving_variance, 1.0)):
            variable.assign(tf.fill(variable.shape, value))
        for variable in (self.offset, self.bias, self.moving_mean):
            variable.assign(tf.zeros(variable.shape))


class NormPass:
    """The batch norms of one pass through a network; `finish` moves the moving averages, in training."""

    def __init__(self, vectors: NormVectors, training: bool):
        self.vectors, self.training = vectors, training
        self.scale, self.offset = vectors.split(vectors.scale.value), vectors.split(vectors.offset.value)
        if training:
            empty = tf.zeros([0])
            self.mean, self.variance = dict.fromkeys(vectors.widths, empty), dict.fromkeys(vectors.widths, empty)
        else:
            self.mean = vectors.split(vectors.moving_mean.value - vectors.bias.value)
            self.variance = vectors.split(vectors.moving_variance.value)

    def __call__(self, x: tf.Tensor, key: str) -> tf.Tensor:
        """Norm `key` of `[n, h, w, c]`."""
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.scale[key],
            offset=self.offset[key],
            mean=self.mean[key],
            variance=self.variance[key],
            epsilon=self.vectors.epsilon,
            is_training=self.training,
        )
        if self.training:
            self.mean[key], self.variance[key] = mean, variance
        return y

    def finish(self) -> None:
        """Moves the moving averages towards what the norms of this pass saw; nothing outside training."""
        if not self.training:
            return
        vectors = self.vectors
        mean = tf.concat(list(self.mean.values()), 0) + vectors.bias.value
        variance = tf.concat(list(self.variance.values()), 0)
        for variable, value in ((vectors.moving_mean, mean), (vectors.moving_variance, variance)):
            variable.value.assign_sub((1.0 - vectors.momentum) * (variable.value - value))


class ConvStack(keras.layers.Layer):
    """Convolutions, each with its batch norm.

    Args:
        shapes: name -> kernel shape of each convolution, `[h, w, in, out]`, or `[h, w, c, 1]` of a depthwise one.
        depthwise: the names of those that are depthwise.
        epsilon, momentum: of the batch norms.
    """

    def __init__(
        self,
        shapes: dict[str, Sequence[int]],
        name: str,
        *,
        depthwise: Collection[str] = (),
        epsilon: float = 1.001e-5,
        momentum: float = 0.9,
    ):
        # Images stay float32 until a stem has scaled them: half precision knows 200 greys badly.
        super().__init__(name=name, autocast=False)
        self.kernels = {key: self.add_weight(shape, "zeros", name=key) for key, shape in shapes.items()}
        widths = {key: shape[-2] if key in depthwise else shape[-1] for key, shape in shapes.items()}
        self.norms = NormVectors(widths, epsilon, momentum)
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
        padding = "SAME"
        if None not in places and min(places) < size:
            # Where the kernel is larger than the map, oneDNN's gradient is 2.5 times faster without padding of its own.
            x, padding = tf.pad(x, [[0, 0], *(same_padding(n, size, stride) for n in places), [0, 0]]), "VALID"
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding)

    def reset(self, random: np.random.Generator) -> None:
        """He et al. 2015: N(0, 2 / fan-out), as torchvision starts its ResNet; the norms at their start."""
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


@tf.custom_gradient
def pointwise_conv(x: tf.Tensor, kernel: tf.Tensor):
    """A 1 x 1 convolution of `[n, h, w, in]` with `[1, 1, in, out]`, its gradient as matrix products.

    On a CPU these are faster than the convolution's own where maps are large: a step of EfficientNet-Lite0 at 96 px
    takes 0.8 to 0.9 of the time; ResNet50 at 64 px, whose maps are small, takes longer. Forward the convolution is the
    faster, since norm and ReLU are fused into it.
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
