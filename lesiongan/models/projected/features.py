"""What a projected discriminator sees of an image: four maps of frozen features, mixed at random, and its colours.

Sauer et al. 2021, "Projected GANs converge faster" (arXiv 2111.01007), section 3: EfficientNet-Lite0 with ImageNet
weights; random 1 x 1 convolutions mix the channels of its maps and, from the deepest map on, the scales. Nothing of it
is trained. Frozen features see colour poorly, so the picture itself, averaged down, is a map of its own (ours).
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite
from lesiongan.models.bilinear import doubled, enlarged

#: Groups of EfficientNet-Lite0 whose output is the end of a map, from the finest on, and their channels.
ENDS = {2: 24, 3: 40, 5: 112, 7: 320}
#: Channels that a map is mixed to across channels, and then across scales.
ACROSS_CHANNELS, ACROSS_SCALES = (64, 128, 256, 512), (64, 64, 128, 256)
COLOURS = 16  # pixels of the averaged picture


class FrozenFeatures:
    """Images float `[batch, size, size, 3]` in [-1, 1] -> five maps, from the finest on.

    The maps have 1/4, 1/8, 1/16 and 1/32 of the size that is looked at and 64, 64, 128 and 256 channels, and are judged
    doubled (`shapes`), which `Heads` does in one with its first convolution; the last one is the picture of 16 x 16
    pixels. All of it is constants: no variable, nothing to save with a model.

    Args:
        size: of the images.
        look_size: pixels to which smaller ones are enlarged first (bilinear): the network learned from photographs of
            224 px, and halves a map twice in its first layers, so that it sees little of 64 px.
        seed: of the mixing.
        compute: the type of the maps. The network itself computes with float32: bfloat16's gradient of a depthwise
            convolution of stride 2 takes eight times as long on a CPU.

    Raises:
        UsageError: the ImageNet weights are not installed (the extra `imagenet`).
    """

    def __init__(self, size: int, *, look_size: int = 0, seed: int = 0, compute: tf.DType = tf.float32):
        self.size, self.look_size, self.compute = size, max(size, look_size), compute
        network = EfficientNetLite()
        network.load_pretrained("imagenet")
        network.freeze(tf.float32)
        self.network = network
        random = np.random.default_rng(seed)
        self.across_channels = [
            _Mix(random, before, after, compute) for before, after in zip(ENDS.values(), ACROSS_CHANNELS, strict=True)
        ]
        self.across_scales = [
            _Mix(random, before, after, compute) for before, after in zip(ACROSS_CHANNELS, ACROSS_SCALES, strict=True)
        ]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Side, doubled where it is to be doubled, and channels of each map."""
        sides = [2 * math.ceil(self.look_size / 2**power) for power in (2, 3, 4, 5)]
        return [*zip(sides, ACROSS_SCALES, strict=True), (COLOURS, 3)]

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        maps, x = [], self.network.stem(enlarged(images, self.look_size))
        for number, group in enumerate(self.network.groups, 1):
            x = group(x)
            if number in ENDS:
                maps.append(x)
        mixed: list[tf.Tensor] = []
        for x, channels, scales in zip(
            reversed(maps), reversed(self.across_channels), reversed(self.across_scales), strict=True
        ):
            x = channels(tf.cast(x, self.compute))
            # a 1 x 1 convolution and doubling may change places
            mixed.insert(0, scales(x + doubled(mixed[0]) if mixed else x))
        colours = tf.nn.avg_pool2d(images, self.size // COLOURS, self.size // COLOURS, "VALID")
        return [*mixed, tf.cast(colours, self.compute)]


class _Mix:
    """A random 1 x 1 convolution with a bias, uniform in +-1 / sqrt(inputs), PyTorch's default."""

    def __init__(self, random: np.random.Generator, inputs: int, outputs: int, compute: tf.DType):
        bound = 1.0 / math.sqrt(inputs)
        self.kernel = tf.constant(random.uniform(-bound, bound, (1, 1, inputs, outputs)), compute)
        self.bias = tf.constant(random.uniform(-bound, bound, outputs), compute)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, 1, "VALID"), self.bias)
