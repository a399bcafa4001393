"""The formulations of CycleGAN's blocks, and the rule that takes the quickest.

The rule is that of `python -m benchmarks.cyclegan_step --form ...`, measured on CPUs with AVX-512: the fast form takes
half the plain one's time at 256 px, where nine tenths of a step are residual convolutions, and a fifth less at 64 px.
XLA was slower than the plain graph in every stage once Winograd's convolution was a few matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lesiongan.models.cyclegan import layers
from lesiongan.models.cyclegan.fast import fast_layers


class Form(NamedTuple):
    """One formulation of the blocks: the same mathematics and the same weights, each quickest somewhere."""

    convolution: type[layers.ConvolutionBlock]
    residual: type[layers.ResidualBlock]
    upsampling: type[layers.UpsamplingBlock]


#: `plain` is for cuDNN and for small sizes; `subpixel` where a graph goes through XLA; `fast` for the CPU.
FORMS = {
    "plain": Form(layers.ConvolutionBlock, layers.ResidualBlock, layers.UpsamplingBlock),
    "subpixel": Form(layers.ConvolutionBlock, layers.ResidualBlock, layers.SubpixelUpsamplingBlock),
    "fast": Form(fast_layers.FastConvolutionBlock, fast_layers.FastResidualBlock, fast_layers.FastUpsamplingBlock),
}


def choose(size: int, *, precision: str = "float32", xla: bool = False, gpu: bool | None = None) -> str:
    """The key of `FORMS` that is the quickest.

    Args:
        size: pixels of the images.
        precision: a dtype policy of Keras; the fast form is float32's.
        xla: whether the whole step goes through XLA.
        gpu: whether it runs on a GPU; None: where TensorFlow sees one.
    """
    if xla:
        return "subpixel"
    if gpu is None:
        gpu = bool(tf.config.list_logical_devices("GPU"))
    return "plain" if gpu or precision != "float32" or size < 64 else "fast"
