"""ResNet50: the backbone, and how it takes Keras's weights.

The network is He et al. 2016 (arXiv 1512.03385), table 1, in Keras's form (`keras.applications.ResNet50`, v1: stride
on the first 1 x 1 convolution of a stage, biases in the convolutions, batch norm epsilon 1.001e-5), so that Keras's
weight files fit.
"""

from __future__ import annotations

import os
import warnings

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.backbones.conv_stack import ConvStack
from lesiongan.models.convolution import padded

#: Kernel size, stride and max pooling of each stem.
STEMS = {"imagenet": (7, 2, True), "small": (3, 2, False)}

#: Filters of the bottleneck, number of blocks and stride of each stage.
STAGES = {"conv2": (64, 3, 1), "conv3": (128, 4, 2), "conv4": (256, 6, 2), "conv5": (512, 3, 2)}

_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet: blue, green, red


class Stem(ConvStack):
    """Input scaling, first convolution, and max pooling where the stem has it."""

    def __init__(self, stem: str, filters: int = 64, momentum: float = 0.9, name: str = "conv1"):
        self.size, self.stride, self.pool = STEMS[stem]
        super().__init__({"conv": (self.size, self.size, 3, filters)}, name, momentum=momentum)

    def call(self, images, training=False):
        # As the ImageNet weights expect it (Caffe's): 0 to 255, blue first, less the mean.
        x = (images[..., ::-1] + 1.0) * 127.5 - tf.constant(_CAFFE_MEAN, images.dtype)
        x = tf.cast(x, self.compute_dtype)
        norms = self.norms.begin(training)
        x = tf.nn.relu(norms(self.conv(padded(x, self.size // 2), "conv", self.stride, "VALID"), "conv"))
        norms.finish()
        if self.pool:
            x = tf.nn.max_pool2d(padded(x, 1), 3, 2, "VALID")
        return x


class Stage(ConvStack):
    """The bottleneck blocks of one resolution; convolutions are named as Keras's (`block1_0` is the shortcut's)."""

    def __init__(self, inputs: int, filters: int, blocks: int, stride: int, name: str, momentum: float = 0.9):
        self.blocks, self.stride = blocks, stride
        shapes = {"block1_0": (1, 1, inputs, 4 * filters)}
        for block in range(1, blocks + 1):
            shapes[f"block{block}_1"] = (1, 1, inputs if block == 1 else 4 * filters, filters)
            shapes[f"block{block}_2"] = (3, 3, filters, filters)
            shapes[f"block{block}_3"] = (1, 1, filters, 4 * filters)
        super().__init__(shapes, name, momentum=momentum)

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
    """The backbone: images float32 `[n, s, s, 3]` in [-1, 1] -> `[n, s', s', 2048]`, s' = s / 32 (s / 16 with `small`).

    Args:
        stem: `imagenet` (7 x 7, stride 2, max pooling), or `small` (3 x 3, stride 2, no pooling) for small pictures, of
            which the first would throw most away; a step is nearly four times as long.
        width: factor on all filters; 1 is ResNet50. The features are then 2048 x width.
        momentum: of batch norm's moving averages.
    """

    def __init__(self, stem: str = "imagenet", width: float = 1.0, momentum: float = 0.9, name: str = "resnet50"):
        super().__init__(name=name, autocast=False)

        def scaled(filters: int) -> int:
            return max(1, round(filters * width))

        self.width = width
        self.stem = Stem(stem, scaled(64), momentum)
        self.stages, inputs = [], scaled(64)
        for stage, (filters, blocks, stride) in STAGES.items():
            self.stages.append(Stage(inputs, scaled(filters), blocks, stride, stage, momentum))
            inputs = 4 * scaled(filters)
        self.features = inputs
        self.built = True

    def call(self, images, training=False):
        x = self.stem(images, training=training)
        for stage in self.stages:
            x = stage(x, training=training)
        return x

    def parts(self) -> tuple[list, list]:
        """The first stages and the last ones, as fastai cuts its ResNets for discriminative rates."""
        return [self.stem, *self.stages[:2]], self.stages[2:]

    def reset(self, random: np.random.Generator) -> None:
        """Re-initialises all weights."""
        for part in (self.stem, *self.stages):
            part.reset(random)

    def load(self, model: keras.Model) -> None:
        """Takes the weights of a `keras.applications.ResNet50`, layer by layer, by Keras's names of its layers."""
        for part in (self.stem, *self.stages):
            convs = {}
            for key in part.kernels:
                prefix = f"{part.name}_{key}" if part is not self.stem else part.name
                conv, norm = model.get_layer(f"{prefix}_conv"), model.get_layer(f"{prefix}_bn")
                variables = {
                    "kernel": conv.kernel,
                    "bias": conv.bias,
                    "scale": norm.gamma,
                    "offset": norm.beta,
                    "moving_mean": norm.moving_mean,
                    "moving_variance": norm.moving_variance,
                }
                convs[key] = {kind: variable.numpy() for kind, variable in variables.items()}
            part.load(convs)

    def load_pretrained(self, weights: str) -> None:
        """Takes `imagenet` (Keras downloads it once), or a weights file of `keras.applications.ResNet50` (.weights.h5
        or .h5), with or without its top.

        Raises:
            UsageError: not available, or not such a file.
        """
        self.load(_keras_resnet50(weights))


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
                warnings.simplefilter("ignore")  # Keras warns of lists of layers that the file need not hold
                model.load_weights(weights)
            return model
        except (ValueError, OSError, KeyError) as error:
            errors.append(str(error))
    raise UsageError(f"classifier.weights={weights}: not the weights of keras.applications.ResNet50 ({errors[0]})")
