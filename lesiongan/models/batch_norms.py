"""Batch norms of a network, plain or conditional on the class, with few variables and few operations."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from lesiongan.models.replicas import mean_over_replicas, replicas

_NOISE_DEVIATION = 0.02  # of the first scales and offsets that noise gives


class BatchNorms(keras.layers.Layer):
    """The batch norms of a network (Ioffe and Szegedy 2015), each kind of variable in one for all of them.

    With classes every class has scales and offsets of its own (Dumoulin et al. 2017; Miyato and Koyama 2018, appendix
    A): `y = scale[class] * (x - mean) / sqrt(variance + epsilon) + offset[class]`, mean and variance over the whole
    batch (of all replicas, where there are several), whatever its classes. With `noise` more numbers of each image
    shift and scale it too (Brock et al. 2019, appendix B): scale and offset are linear in [one-hot class, noise], so
    that an image's noise reaches every layer.

    A bias before a batch norm does nothing in training (the norm takes it away with the mean, and its gradient is 0),
    so it is not trained and not even added: the moving means include it, as Keras's do, and inference subtracts it
    again. It exists only so that ImageNet's weights can be loaded.

    Args:
        widths: name -> channels of each norm, in order.
        classes: k; 0: one scale and offset for all.
        noise: numbers beside the class, whose rows are N(0, 0.02) at first; only with classes.
        seed: of the initial scales, N(1, deviation).
        deviation: of the initial scales; 0.02 in the ACGAN.
        bias: keep the biases of the convolutions before the norms.
        epsilon: added to the variance.
        momentum: of the moving averages: the share of the old value that a step keeps (1 - PyTorch's); with Keras's
            0.99 they lag behind in trainings of a few hundred steps.
    """

    def __init__(
        self,
        widths: dict[str, int],
        *,
        classes: int = 0,
        noise: int = 0,
        seed: int = 0,
        deviation: float = 0.0,
        bias: bool = False,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        name: str = "norms",
    ):
        super().__init__(name=name, autocast=False)
        self.widths, self.classes, self.epsilon, self.momentum = dict(widths), classes, epsilon, momentum
        self.noise = noise
        self.seed, self.deviation = seed, deviation
        total = sum(widths.values())
        shape = (classes + noise, total) if classes else (total,)

        def vector(shape, initializer, name, trainable=True):  # replicas see different images: means of theirs
            return self.add_weight(
                shape, initializer, aggregation="mean", trainable=trainable, autocast=False, name=name
            )

        self.scale = vector(shape, lambda shape, **_: self._first_scales(shape), "scale")
        self.offset = vector(shape, lambda shape, **_: self._first_offsets(shape), "offset")
        self.bias = vector((total,), "zeros", "bias", trainable=False) if bias else None
        self.moving_mean = vector((total,), "zeros", "moving_mean", trainable=False)
        self.moving_variance = vector((total,), "ones", "moving_variance", trainable=False)
        self.built = True

    def begin(self, training: bool, condition: tf.Tensor | None = None, *, update: bool = True) -> NormPass:
        """The norms for one pass; call its `finish` after the last of them.

        Args:
            training: the batch's statistics, or the moving averages.
            condition: float `[batch, k + noise]`, of a conditional norm: each image's one-hot class, then its noise.
            update: a pass in training moves the moving averages.
        """
        return NormPass(self, training, condition, update)

    def folded(self) -> tuple[dict[str, tf.Tensor], FoldedNorms]:
        """Norms of inference as what a convolution can do: name -> factors on the filters before the norm, and the
        offsets that are left; not for conditional ones."""
        factors = self.scale.value * tf.math.rsqrt(self.moving_variance.value + self.epsilon)
        mean = self.moving_mean.value - (0.0 if self.bias is None else self.bias.value)
        return self.split(factors), FoldedNorms(self.split(self.offset.value - mean * factors))

    def reset(self) -> None:
        """Re-initialises all variables."""
        self.scale.assign(self._first_scales(self.scale.shape))
        self.offset.assign(self._first_offsets(self.offset.shape))
        self.moving_variance.assign(tf.ones(self.moving_variance.shape))
        for variable in (self.bias, self.moving_mean):
            if variable is not None:
                variable.assign(tf.zeros(variable.shape))

    def _first_scales(self, shape) -> tf.Tensor:
        rows = tf.concat([tf.ones([self.classes]), tf.zeros([self.noise])], 0)[:, None] if self.classes else 1.0
        return tf.random.stateless_normal(shape, [self.seed, -1], rows, self._deviations(self.deviation), alg="philox")

    def _first_offsets(self, shape) -> tf.Tensor:
        return tf.random.stateless_normal(shape, [self.seed, -2], 0.0, self._deviations(0.0), alg="philox")

    def _deviations(self, of_class: float):
        """Of the first values, per row where there are classes."""
        if not self.classes:
            return of_class
        return tf.constant([of_class] * self.classes + [_NOISE_DEVIATION] * self.noise)[:, None]

    def split(self, vectors) -> dict[str, tf.Tensor]:
        """`[..., all channels]`, cut into name -> part of each norm."""
        return dict(zip(self.widths, tf.split(vectors, list(self.widths.values()), axis=-1), strict=True))


class FoldedNorms:
    """What is left of norms whose factors are part of the kernels before them; used as `BatchNorms` and its pass."""

    def __init__(self, offsets: dict[str, tf.Tensor]):
        self.offsets = offsets

    def begin(self, training: bool) -> FoldedNorms:
        return self

    def __call__(self, x: tf.Tensor, key: str) -> tf.Tensor:
        return tf.nn.bias_add(x, tf.cast(self.offsets[key], x.dtype))

    def finish(self) -> None:
        """Nothing: there are no moving averages."""


class NormPass:
    """The batch norms of one pass through a network; see `BatchNorms.begin`."""

    def __init__(self, norms: BatchNorms, training: bool, condition: tf.Tensor | None, update: bool):
        self.norms, self.training, self.update = norms, training, training and update
        scale, offset = norms.scale.value, norms.offset.value
        self.affine: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]] | None  # of each image, where there are classes
        if norms.classes:
            self.affine = norms.split(tf.matmul(condition, scale)), norms.split(tf.matmul(condition, offset))
            scale, offset = tf.ones_like(scale[0]), tf.zeros_like(offset[0])
        else:
            self.affine = None
        self.scale, self.offset = norms.split(scale), norms.split(offset)
        if training:
            self.mean = self.variance = dict.fromkeys(norms.widths, tf.zeros([0]))
        else:
            mean = norms.moving_mean.value
            self.mean = norms.split(mean if norms.bias is None else mean - norms.bias.value)
            self.variance = norms.split(norms.moving_variance.value)
        self.seen: dict[str, Sequence[tf.Tensor]] = {}

    def __call__(self, x: tf.Tensor, key: str) -> tf.Tensor:
        """Norm `key` of `[batch, height, width, channels]`; statistics are float32 whatever the type."""
        if self.training and replicas() > 1:
            y, *seen = self._over_replicas(x, key)
        else:
            y, *seen = tf.raw_ops.FusedBatchNormV3(
                x=x,
                scale=self.scale[key],
                offset=self.offset[key],
                mean=self.mean[key],
                variance=self.variance[key],
                epsilon=self.norms.epsilon,
                is_training=self.training,
            )[:3]
        self.seen[key] = seen
        if self.affine is None:
            return y
        scale, offset = (tf.cast(part[key], y.dtype)[:, None, None] for part in self.affine)
        return y * scale + offset

    def _over_replicas(self, x: tf.Tensor, key: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What `FusedBatchNormV3` gives for the batch of all replicas: the normed maps, mean, unbiased variance."""
        full = tf.cast(x, tf.float32)
        own_mean = tf.reduce_mean(full, [0, 1, 2])
        own_variance = tf.reduce_mean((full - own_mean) ** 2, [0, 1, 2])  # the second derivative of `moments` is wrong
        average, square = tf.unstack(mean_over_replicas(tf.stack([own_mean, own_variance + own_mean**2])))
        variance = tf.maximum(square - average**2, 0.0)
        factor = self.scale[key] * tf.math.rsqrt(variance + self.norms.epsilon)
        y = full * factor + (self.offset[key] - average * factor)
        count = tf.cast(replicas() * tf.size(x[..., 0]), tf.float32)
        return tf.cast(y, x.dtype), average, variance * count / tf.maximum(count - 1.0, 1.0)

    def finish(self) -> None:
        """Moves the moving averages towards what the norms of this pass saw."""
        if not self.update:
            return
        means, variances = (
            tf.concat(parts, 0) for parts in zip(*(self.seen[key] for key in self.norms.widths), strict=True)
        )
        if self.norms.bias is not None:
            means += self.norms.bias.value
        for variable, value in ((self.norms.moving_mean, means), (self.norms.moving_variance, variances)):
            variable.value.assign_sub((1.0 - self.norms.momentum) * (variable.value - tf.stop_gradient(value)))
