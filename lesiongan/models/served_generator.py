"""A trained generator as it is exported: in the form that is quickest for images alone."""

from __future__ import annotations

import tensorflow as tf

from lesiongan.models.fast_layers import FastResidualBlock, takes_winograd
from lesiongan.models.forms import choose
from lesiongan.models.networks import ResNetGenerator
from lesiongan.models.winograd import transformed_filters

_ONE_BY_ONE = 128  # pixels; from here on the transformed data of one image fill the processor's cache


class ServedGenerator:
    """Call: float32 `[n, size, size, 3]` to the same, in [-1, 1]; n may be unknown.

    Args:
        generator: a trained generator; its weights are copied.
    """

    def __init__(self, generator: ResNetGenerator):
        # A file goes to machines of all kinds; most of them serve on a CPU.
        form = choose(generator.settings["size"], gpu=False)
        self.network = ResNetGenerator(**{**generator.settings, "form": form}, name="generator")
        self.network.set_weights(generator.get_weights())
        self.size = self.network.settings["size"]

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """The same, as `serving.export` calls it; the seeds are ignored."""
        return self(images)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        kernels = [self._transformed(block) for block in self.network.blocks]  # once for all images

        def translated(images):
            for block, given in zip(self.network.blocks, kernels, strict=True):
                images = block(images, **given)
            return images

        if self.size < _ONE_BY_ONE:
            return translated(images)
        return tf.map_fn(lambda image: translated(image[None])[0], images, parallel_iterations=1)

    def _transformed(self, block) -> dict:
        """What a block is called with beside its images: the filters of a residual block, ready for Winograd."""
        inner = self.size // 4
        if not isinstance(block, FastResidualBlock) or not takes_winograd(inner, inner, block.first.shape):
            return {}
        return {"kernels": [transformed_filters(tf.convert_to_tensor(k)) for k in (block.first, block.second)]}
