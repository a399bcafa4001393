"""Batch norms of a network, plain or conditional on the class, with few variables and few operations."""

from __future__ import annotations

import keras
import tensorflow as tf


class BatchNorms(keras.layers.Layer):
    """The batch norms of a network (Ioffe and Szegedy 2015), each kind of variable in one for all of them.

    With classes every class has scales and offsets of its own (Dumoulin et al. 2017; Miyato and Koyama 2018, appendix
    A): `y = scale[class] * (x - mean) / sqrt(variance + epsilon) + offset[class]`, mean and variance over the whole
    batch, whatever its classes.

    A bias before a batch norm does nothing in training (the norm takes it away with the mean, and its gradient is 0),
    so it is not trained and not even added: the moving means include it, as Keras's do, and inference subtracts it
    again. It exists only so that ImageNet's weights can be loaded.

    Args:
        widths: name -> channels of each norm, in order.
        classes: k; 0: one scale and offset for all.
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
        seed: int = 0,
        deviation: float = 0.0,
        bias: bool = False,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        name: str = "norms",
    ):
        super().__init__(name=name, autocast=False)
        self.widths, self.classes, self.epsilon, self.momentum = dict(widths), classes, epsilon, momentum
        self.seed, self.deviation = seed, deviation
        total = sum(widths.values())
        shape = (classes, total) if classes else (total,)

        def vector(shape, initializer, name, trainable=True):  # replicas see different images: means of theirs
            return self.add_weight(
                shape, initializer, aggregation="mean", trainable=trainable, autocast=False, name=name
            )

        self.scale = vector(shape, lambda shape, **_: self._first_scales(shape), "scale")
        self.offset = vector(shape, "zeros", "offset")
        self.bias = vector((total,), "zeros", "bias", trainable=False) if bias else None
        self.moving_mean = vector((total,), "zeros", "moving_mean", trainable=False)
        self.moving_variance = vector((total,), "ones", "moving_variance", trainable=False)
        self.built = True

    def begin(self, training: bool, one_hot: tf.Tensor | None = None, *, update: bool = True) -> NormPass:
        """The norms for one pass; call its `finish` after the last of them.

        Args:
            training: the batch's statistics, or the moving averages.
            one_hot: float `[batch, k]`, the classes of a conditional norm's images.
            update: a pass in training moves the moving averages.
        """
        return NormPass(self, training, one_hot, update)

    def reset(self) -> None:
        """Re-initialises all variables."""
        self.scale.assign(self._first_scales(self.scale.shape))
        self.moving_variance.assign(tf.ones(self.moving_variance.shape))
        for variable in (self.offset, self.bias, self.moving_mean):
            if variable is not None:
                variable.assign(tf.zeros(variable.shape))

    def _first_scales(self, shape) -> tf.Tensor:
        return tf.random.stateless_normal(shape, [self.seed, -1], 1.0, self.deviation, alg="philox")

    def split(self, vectors) -> dict[str, tf.Tensor]:
        """`[..., all channels]`, cut into name -> part of each norm."""
        return dict(zip(self.widths, tf.split(vectors, list(self.widths.values()), axis=-1), strict=True))


class NormPass:
    """The batch norms of one pass through a network; see `BatchNorms.begin`."""

    def __init__(self, norms: BatchNorms, training: bool, one_hot: tf.Tensor | None, update: bool):
        self.norms, self.training, self.update = norms, training, training and update
        scale, offset = norms.scale.value, norms.offset.value
        self.affine: tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]] | None  # of each image, where there are classes
        if norms.classes:
            self.affine = norms.split(tf.matmul(one_hot, scale)), norms.split(tf.matmul(one_hot, offset))
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
        self.seen: dict[str, tuple] = {}

    def __call__(self, x: tf.Tensor, key: str) -> tf.Tensor:
        """Norm `key` of `[batch, height, width, channels]`; statistics are float32 whatever the type."""
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
