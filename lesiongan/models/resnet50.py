"""ResNet50 as a lesion classifier, with fastai's head.

The network is He et al. 2016 (arXiv 1512.03385), table 1, in Keras's form (`keras.applications.ResNet50`, v1: stride
on the first 1 x 1 convolution of a stage, biases in the convolutions, batch norm epsilon 1.001e-5), so that Keras's
weight files fit. It is written in few, large operations, since building and optimising a graph of Keras's 190 layers
takes as long as dozens of training steps on small pictures: a stage is one layer, and its batch norms share variables.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lesiongan.errors import UsageError

#: Of batch norm's moving averages; with Keras's 0.99 they lag behind in trainings of a few hundred steps.
MOMENTUM = 0.9

#: Kernel size, stride and max pooling of each stem.
STEMS = {"imagenet": (7, 2, True), "small": (3, 1, False)}

#: Filters of the bottleneck, number of blocks and stride of each stage.
STAGES = {"conv2": (64, 3, 1), "conv3": (128, 4, 2), "conv4": (256, 6, 2), "conv5": (512, 3, 2)}

_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet: blue, green, red


class NormVectors(keras.layers.Layer):
    """The variables of several batch norms, each kind in one vector (one variable in place of one a norm).

    A bias before a batch norm does nothing in training (the norm takes it away with the mean, and its gradient is 0),
    so it is not trained and not even added: the moving means include it, as Keras's do, and inference subtracts it
    again. It is there for the sake of ImageNet's weights.

    Args:
        widths: name -> channels of each norm, in order.
        epsilon: added to the variance.
    """

    def __init__(self, widths: dict[str, int], epsilon: float, name: str = "norms"):
        super().__init__(name=name)
        self.widths, self.epsilon = dict(widths), epsilon

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
        return dict(zip(self.widths, tf.split(vector, list(self.widths.values())), strict=True))

    def begin(self, training: bool) -> NormPass:
        return NormPass(self, training)

    def reset(self) -> None:
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
        if not self.training:
            return
        vectors = self.vectors
        mean = tf.concat(list(self.mean.values()), 0) + vectors.bias.value
        variance = tf.concat(list(self.variance.values()), 0)
        for variable, value in ((vectors.moving_mean, mean), (vectors.moving_variance, variance)):
            variable.value.assign_sub((1.0 - MOMENTUM) * (variable.value - value))


class ConvStack(keras.layers.Layer):
    """Convolutions, each with its batch norm.

    Args:
        shapes: name -> kernel shape `[h, w, in, out]` of each convolution.
    """

    def __init__(self, shapes: dict[str, Sequence[int]], name: str):
        super().__init__(name=name)
        self.kernels = {key: self.add_weight(shape, "zeros", name=key) for key, shape in shapes.items()}
        self.norms = NormVectors({key: shape[-1] for key, shape in shapes.items()}, epsilon=1.001e-5)
        self.built = True

    def conv(self, x, key: str, stride: int = 1, padding="SAME"):
        return tf.nn.conv2d(x, tf.convert_to_tensor(self.kernels[key]), stride, padding)

    def reset(self, random: np.random.Generator) -> None:
        """He et al. 2015: N(0, 2 / fan-out), as torchvision starts its ResNet."""
        for kernel in self.kernels.values():
            height, width, _, filters = kernel.shape
            kernel.assign(_normal(random, kernel.shape, fan=height * width * filters))
        self.norms.reset()


class Stem(ConvStack):
    """Input scaling, first convolution, and max pooling where the stem has it."""

    def __init__(self, stem: str, filters: int = 64, name: str = "conv1"):
        self.size, self.stride, self.pool = STEMS[stem]
        super().__init__({"conv": (self.size, self.size, 3, filters)}, name)

    def call(self, images, training=False):
        # As the ImageNet weights expect it (Caffe's): 0 to 255, blue first, less the mean.
        x = (images[..., ::-1] + 1.0) * 127.5 - tf.constant(_CAFFE_MEAN, images.dtype)
        norms = self.norms.begin(training)
        around = [self.size // 2] * 2
        x = tf.nn.relu(norms(self.conv(x, "conv", self.stride, [[0, 0], around, around, [0, 0]]), "conv"))
        norms.finish()
        if self.pool:
            x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        return x


class Stage(ConvStack):
    """The bottleneck blocks of one resolution; convolutions are named as Keras's (`block1_0` is the shortcut's)."""

    def __init__(self, inputs: int, filters: int, blocks: int, stride: int, name: str):
        self.blocks, self.stride = blocks, stride
        shapes = {"block1_0": (1, 1, inputs, 4 * filters)}
        for block in range(1, blocks + 1):
            shapes[f"block{block}_1"] = (1, 1, inputs if block == 1 else 4 * filters, filters)
            shapes[f"block{block}_2"] = (3, 3, filters, filters)
            shapes[f"block{block}_3"] = (1, 1, filters, 4 * filters)
        super().__init__(shapes, name)

    def call(self, x, training=False):
        norms = self.norms.begin(training)

        def conv_norm(x, key, stride=1):
            return norms(self.conv(x, key, stride), key)

        for block in range(1, self.blocks + 1):
            stride = self.stride if block == 1 else 1
            shortcut = conv_norm(x, "block1_0", stride) if block == 1 else x
            x = tf.nn.relu(conv_norm(x, f"block{block}_1", stride))
            x = tf.nn.relu(conv_norm(x, f"block{block}_2"))
            x = tf.nn.relu(conv_norm(x, f"block{block}_3") + shortcut)
        norms.finish()
        return x


class ResNet50(keras.layers.Layer):
    """The backbone: images float32 `[n, s, s, 3]` in [-1, 1] -> `[n, s', s', 2048]`, s' = s / 32 (s / 8 with `small`).

    Args:
        stem: `imagenet` (7 x 7, stride 2, max pooling), or `small` (3 x 3, stride 1, no pooling) for small pictures, of
            which the first would throw most away.
        width: factor on all filters; 1 is ResNet50. The features are then 2048 x width.
    """

    def __init__(self, stem: str = "imagenet", width: float = 1.0, name: str = "resnet50"):
        super().__init__(name=name)

        def scaled(filters: int) -> int:
            return max(1, round(filters * width))

        self.width = width
        self.stem = Stem(stem, scaled(64))
        self.stages, inputs = [], scaled(64)
        for stage, (filters, blocks, stride) in STAGES.items():
            self.stages.append(Stage(inputs, scaled(filters), blocks, stride, stage))
            inputs = 4 * scaled(filters)
        self.features = inputs
        self.built = True

    def call(self, images, training=False):
        x = self.stem(images, training=training)
        for stage in self.stages:
            x = stage(x, training=training)
        return x

    def reset(self, random: np.random.Generator) -> None:
        for part in (self.stem, *self.stages):
            part.reset(random)

    def load(self, model: keras.Model) -> None:
        """Takes the weights of a `keras.applications.ResNet50`, layer by layer, by Keras's names of its layers."""
        for part in (self.stem, *self.stages):
            vectors = {key: [] for key in ("bias", "scale", "offset", "moving_mean", "moving_variance")}
            for key, kernel in part.kernels.items():
                prefix = f"{part.name}_{key}" if part is not self.stem else part.name
                conv = model.get_layer(f"{prefix}_conv")
                norm = model.get_layer(f"{prefix}_bn")
                kernel.assign(conv.kernel)
                found = (conv.bias, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
                for values, variable in zip(vectors.values(), found, strict=True):
                    values.append(variable.numpy())
            for key, values in vectors.items():
                getattr(part.norms, key).assign(np.concatenate(values))


class Head(keras.layers.Layer):
    """fastai's: average and maximum over the picture -> norm -> dropout -> 512 -> ReLU -> norm -> dropout -> classes.

    No biases, since fastai has none where batch norm is (the norm before a dense layer gives it one).
    """

    def __init__(self, features: int, classes: int, hidden: int = 512, dropout: float = 0.5, name: str = "head"):
        super().__init__(name=name)
        self.dropout = dropout
        self.norms = NormVectors({"pooled": 2 * features, "hidden": hidden}, epsilon=1e-5)
        self.hidden = self.add_weight((2 * features, hidden), "zeros", name="hidden")
        self.classes = self.add_weight((hidden, classes), "zeros", name="classes")
        self.built = True

    def call(self, maps, seed=None, training=False):
        """Feature maps `[n, h, w, f]` -> (logits float32 `[n, classes]`, average-pooled features `[n, f]`).

        `seed`: int64 `[2]`, decides dropout.
        """
        average = tf.reduce_mean(maps, [1, 2])
        norms = self.norms.begin(training)

        def block(x, key, kernel, rate, part):
            x = norms(x[:, None, None, :], key)[:, 0, 0, :]
            if training:
                x = tf.nn.experimental.stateless_dropout(x, rate, seed=seed + tf.constant([0, part], tf.int64))
            return tf.matmul(x, tf.convert_to_tensor(kernel))

        x = tf.concat([tf.reduce_max(maps, [1, 2]), average], 1)
        x = tf.nn.relu(block(x, "pooled", self.hidden, self.dropout / 2, 0))
        logits = block(x, "hidden", self.classes, self.dropout, 1)
        norms.finish()
        return tf.cast(logits, tf.float32), tf.cast(average, tf.float32)

    def reset(self, random: np.random.Generator) -> None:
        for kernel in (self.hidden, self.classes):
            kernel.assign(_normal(random, kernel.shape, fan=kernel.shape[0]))
        self.norms.reset()


@keras.saving.register_keras_serializable(package="lesiongan")
class LesionClassifier(keras.Model):
    """A backbone and fastai's head; called on images, it gives logits.

    Weights start at zero: call `reset` (or load some) before use. All that is random follows from the seed of `reset`
    and the optimizer's step, so that a resumed training equals an uninterrupted one.

    Args:
        classes: number of classes, k.
        stem: of the backbone, `imagenet` or `small`.
        width: of the backbone, a factor on its filters.
        label_smoothing: share of the target spread evenly over all classes.
    """

    def __init__(
        self,
        classes: int,
        *,
        stem: str = "imagenet",
        width: float = 1.0,
        label_smoothing: float = 0.0,
        name: str = "classifier",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.classes, self.stem, self.label_smoothing = classes, stem, label_smoothing
        self.backbone = ResNet50(stem, width)
        self.head = Head(self.backbone.features, classes)
        # Settings of a training, in variables so that another training needs no other trace.
        self._seed = tf.Variable(0, dtype=tf.int64, trainable=False, name="seed")
        self._class_weights = tf.Variable(tf.ones([classes]), trainable=False, name="class_weights")
        self.built = True

    def call(self, images, training=False):
        return self._forward(images, training)[0]

    def classify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Images float32 `[n, s, s, 3]` in [-1, 1] -> `probabilities` `[n, k]`, `features` (pooled) `[n, 2048]`."""
        logits, features = self._forward(images, training=False)
        return {"probabilities": tf.nn.softmax(logits), "features": features}

    def train_step(self, data):
        """One step on (images `[n, s, s, 3]` in [-1, 1], labels `[n]`); gives `loss`, `accuracy`, rate and momentum."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self.loss_of(labels, logits, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        rates = {"learning_rate": tf.convert_to_tensor(self.optimizer.learning_rate)}
        if hasattr(self.optimizer, "momentum_now"):
            rates["momentum"] = self.optimizer.momentum_now()
        self.optimizer.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        return {"loss": loss, "accuracy": _accuracy(labels, logits), **rates}

    def test_step(self, data):
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        logits = self(images, training=False)
        return {"loss": self.loss_of(labels, logits, sample_weight), "accuracy": _accuracy(labels, logits)}

    def loss_of(self, labels, logits, sample_weight=None) -> tf.Tensor:
        """Cross-entropy with label smoothing, averaged with the classes' weights (PyTorch's weighted mean)."""
        labels = tf.cast(labels, tf.int32)
        targets = tf.one_hot(labels, self.classes) * (1.0 - self.label_smoothing) + self.label_smoothing / self.classes
        losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
        weights = tf.gather(self._class_weights, labels)
        if sample_weight is not None:
            weights *= tf.cast(sample_weight, tf.float32)
        return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))

    def reset(self, seed: int) -> None:
        """All weights random anew, from `seed`, and the optimizer at its start, in place: compiled steps stay valid."""
        random = np.random.Generator(np.random.Philox(seed))
        self.backbone.reset(random)
        self.head.reset(random)
        self._seed.assign(seed % 2**63)
        self.set_class_weights(None)
        self.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Moments and step count to zero; a learning rate that is a variable keeps its value."""
        if not self.compiled:
            return
        self.build_optimizer()
        rate = self.optimizer.learning_rate
        for variable in self.optimizer.variables:
            if variable is not rate:
                variable.assign(tf.zeros(variable.shape, variable.dtype))

    def build_optimizer(self) -> None:
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def set_class_weights(self, weights) -> None:
        """Weights of the classes in the loss, `[k]`; None for equal ones."""
        self._class_weights.assign(np.ones(self.classes) if weights is None else np.asarray(weights, np.float32))

    def state(self) -> list[tf.Variable]:
        """What a resumed training needs: weights, moving averages, and the optimizer's variables, in a fixed order."""
        variables = list(self.weights)
        if self.compiled:
            self.build_optimizer()
            variables += self.optimizer.variables
        return [v.value for v in variables]

    def get_state(self) -> list[np.ndarray]:
        """Weights and moving averages (without the optimizer), copied; `set_state` of an equal model takes them."""
        return [np.array(v) for v in self.weights]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Weights and moving averages of `get_state`; the optimizer starts anew."""
        if [tuple(v.shape) for v in self.weights] != [np.shape(value) for value in values]:
            raise UsageError(
                f"the saved weights do not fit this classifier ({self.classes} classes, stem {self.stem}); "
                "train it anew, or use the settings that they were trained with"
            )
        for variable, value in zip(self.weights, values, strict=True):
            variable.assign(value)
        self.reset_optimizer()

    def load_backbone_weights(self, weights: str | Path) -> None:
        """Weights of a `keras.applications.ResNet50` for the backbone; the head stays as it is.

        Args:
            weights: `imagenet` (Keras downloads them once), or a Keras weights file, with or without its top.

        Raises:
            UsageError: not to be had, not such a file, or the stem is another one.
        """
        if self.backbone.width != 1.0:
            raise UsageError(
                f"classifier.weights={weights} is for the full ResNet50, not classifier.width={self.backbone.width:g}: "
                "use --set classifier.width=1 or --set classifier.weights=none"
            )
        if self.stem != "imagenet":
            raise UsageError(
                f"classifier.weights={weights} is for stem `imagenet`, not `{self.stem}`: "
                "use --set classifier.stem=imagenet or --set classifier.weights=none"
            )
        self.backbone.load(_keras_resnet50(str(weights)))

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "stem": self.stem,
            "width": self.backbone.width,
            "label_smoothing": self.label_smoothing,
        }

    def _forward(self, images, training):
        seed = None
        if training:
            step = tf.cast(self.optimizer.iterations, tf.int64) if self.compiled else tf.zeros([], tf.int64)
            seed = tf.stack([self._seed, 2 * step])  # the head has two dropouts
        return self.head(self.backbone(images, training=training), seed=seed, training=training)


def _accuracy(labels, logits) -> tf.Tensor:
    hits = tf.equal(tf.cast(labels, tf.int64), tf.argmax(logits, 1))
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def _normal(random: np.random.Generator, shape: Sequence[int], fan: int) -> np.ndarray:
    return random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan))


def _keras_resnet50(weights: str) -> keras.Model:
    """Keras's own ResNet50 with its weights read."""
    build = keras.applications.ResNet50
    if weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet")
        except Exception as error:  # Keras raises a plain Exception when a download fails
            raise UsageError(
                f"the ImageNet weights could not be downloaded ({error}): give a file with "
                "--set classifier.weights=PATH, or start from random weights with --set classifier.weights=none"
            ) from error
    if not os.path.isfile(weights):
        raise UsageError(f"classifier.weights={weights}: no such file; give `imagenet`, `none` or a Keras weights file")
    errors = []
    for include_top in (False, True):
        model = build(include_top=include_top, weights=None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns of its own lists of layers, which the file need not hold
                model.load_weights(weights)
            return model
        except (ValueError, OSError, KeyError) as error:
            errors.append(str(error))
    raise UsageError(f"classifier.weights={weights}: not the weights of keras.applications.ResNet50 ({errors[0]})")
