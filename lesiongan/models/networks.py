"""CycleGAN's networks: the residual generator and the PatchGAN discriminator (Zhu et al. 2017, section 7.2)."""

from __future__ import annotations

import keras

from lesiongan.models.layers import FORMS


class _Chain(keras.layers.Layer):
    """Blocks one after the other, their variables built at once."""

    def __init__(self, blocks, input_shape, **kwargs):
        super().__init__(**kwargs)
        self.blocks = blocks
        self.build(input_shape)

    def build(self, input_shape):
        if self.built:
            return
        shape = tuple(input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return x

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        for block in self.blocks:
            shape = block.compute_output_shape(shape)
        return shape


@keras.saving.register_keras_serializable("lesiongan")
class ResNetGenerator(_Chain):
    """c7s1-n, d2n, d4n, `blocks` x R4n, u2n, un, c7s1-3, tanh: `[batch, size, size, 3]` to the same, both in [-1, 1].

    Args:
        size: pixels, a multiple of 4.
        filters: n, 64 in the paper.
        blocks: residual blocks, 9 at 256 pixels and 6 at 128 and below in the paper.
        upsampling: `transposed` or `resize`.
        form: a key of `layers.FORMS`.
    """

    def __init__(self, size, *, filters=64, blocks=9, upsampling="transposed", form="plain", **kwargs):
        self.settings = {"size": size, "filters": filters, "blocks": blocks, "upsampling": upsampling, "form": form}
        make, n = FORMS[form], filters
        chain = [
            make.convolution(n, 7, padding=3, mode="reflect", name="stem"),
            make.convolution(2 * n, 3, stride=2, padding=1, name="down_1"),
            make.convolution(4 * n, 3, stride=2, padding=1, name="down_2"),
            *(make.residual(name=f"residual_{i + 1}") for i in range(blocks)),
            make.upsampling(2 * n, upsampling=upsampling, name="up_1"),
            make.upsampling(n, upsampling=upsampling, name="up_2"),
            make.convolution(3, 7, padding=3, mode="reflect", norm=False, activation="tanh", name="head"),
        ]
        super().__init__(chain, (None, size, size, 3), **kwargs)

    def get_config(self):
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("lesiongan")
class PatchGAN(_Chain):
    """The 70 x 70 PatchGAN, a score for each patch: `[batch, size, size, 3]` to `[batch, m, m, 1]` (m = 30 at 256).

    4 x 4 convolutions n, 2n, 4n (stride 2), 8n, 1 (stride 1), padding 1; no norm on the first and none on the last,
    LeakyReLU 0.2; no sigmoid, because the loss is least squares.

    Args:
        size: pixels, at least 32 (where m = 2).
        filters: n, 64 in the paper.
        form: a key of `layers.FORMS`.
    """

    def __init__(self, size, *, filters=64, form="plain", **kwargs):
        self.settings = {"size": size, "filters": filters, "form": form}
        make, n = FORMS[form], filters
        chain = [
            make.convolution(n, 4, stride=2, padding=1, norm=False, activation="leaky_relu", name="patch_1"),
            make.convolution(2 * n, 4, stride=2, padding=1, activation="leaky_relu", name="patch_2"),
            make.convolution(4 * n, 4, stride=2, padding=1, activation="leaky_relu", name="patch_3"),
            make.convolution(8 * n, 4, padding=1, activation="leaky_relu", name="patch_4"),
            make.convolution(1, 4, padding=1, norm=False, activation="none", name="score"),
        ]
        super().__init__(chain, (None, size, size, 3), **kwargs)

    def get_config(self):
        return {**super().get_config(), **self.settings}
