"""A trained generator as it is exported: in the form that is quickest on a CPU, or in one that runs anywhere."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from lesiongan.models.cyclegan.additive import AdditiveGenerator
from lesiongan.models.cyclegan.fast.forms import choose
from lesiongan.models.cyclegan.layers import ResidualBlock
from lesiongan.models.cyclegan.networks import ResNetGenerator

#: `cpu`: quickest there, for images of the trained size. `portable`: plain convolutions, for GPUs, other runtimes
#: (ONNX, XLA) and images of any size.
Target = Literal["cpu", "portable"]
_ONE_BY_ONE = 128  # pixels; from here on the transformed data of one image fill the processor's cache


def served_generator(generator: ResNetGenerator | AdditiveGenerator, target: Target = "cpu"):
    """What is exported of a trained generator, with float32 weights and arithmetic whatever it was trained with. The
    additive one is the same for both targets."""
    if isinstance(generator, AdditiveGenerator):
        copy = AdditiveGenerator(**{**generator.settings, "precision": "float32"}, name="generator")
        copy.set_weights(generator.get_weights())
        return copy
    return ServedGenerator(generator) if target == "cpu" else PortableGenerator(generator)


class PortableGenerator:
    """Call: float32 `[n, height, width, 3]` to the same, in [-1, 1]; all but the 3 may be unknown to the graph, and
    height and width are multiples of 4.

    Args:
        generator: a trained generator; its weights are copied.
    """

    any_size = True

    def __init__(self, generator: ResNetGenerator):
        # without a transposed convolution, which runtimes pad each in its own way
        self.network = ResNetGenerator(**{**generator.settings, "form": "subpixel"}, name="generator")
        self.network.set_weights(generator.get_weights())

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """The same, as `saved_models.export` calls it; the seeds are ignored."""
        return self(images)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        for block in self.network.blocks:
            images = block(images)
        return images


class ServedGenerator:
    """Call: float32 `[n, size, size, 3]` to the same, in [-1, 1]; n may be unknown.

    Args:
        generator: a trained generator; its weights are copied.
    """

    any_size = False

    def __init__(self, generator: ResNetGenerator):
        form = choose(generator.settings["size"], gpu=False)
        self.network = ResNetGenerator(**{**generator.settings, "form": form}, name="generator")
        self.network.set_weights(generator.get_weights())
        self.size = self.network.settings["size"]

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """The same, as `saved_models.export` calls it; the seeds are ignored."""
        return self(images)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        # once for all images; residual blocks work at a quarter of the size
        prepared = [
            block.prepared(self.size // 4) if isinstance(block, ResidualBlock) else {} for block in self.network.blocks
        ]

        def translated(images):
            for block, arguments in zip(self.network.blocks, prepared, strict=True):
                images = block(images, **arguments)
            return images

        if self.size < _ONE_BY_ONE:
            return translated(images)
        return tf.map_fn(lambda image: translated(image[None])[0], images, parallel_iterations=1)
