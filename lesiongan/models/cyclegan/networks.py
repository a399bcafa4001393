"""CycleGAN's networks: the residual generator and the PatchGAN discriminator (Zhu et al. 2017, section 7.2)."""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.config.cyclegan import half_of
from lesiongan.models.cyclegan.fast.forms import FORMS
from lesiongan.models.spectral_norm import normalised


class _Chain(keras.layers.Layer):
    """Blocks one after the other, their variables built at once; what comes out is float32 in mixed precision too."""

    built: bool  # Keras's own

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
        return tf.cast(x, self.variable_dtype)

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
        filters: n, 64 in Zhu et al.
        blocks: residual blocks, 9 at 256 pixels and 6 at 128 and below in Zhu et al.
        upsampling: `transposed` or `resize`.
        form: a key of `forms.FORMS`.
        dtype: a dtype policy of Keras.
    """

    def __init__(self, size, *, filters=64, blocks=9, upsampling="transposed", form="plain", dtype=None, **kwargs):
        self.settings = {"size": size, "filters": filters, "blocks": blocks, "upsampling": upsampling, "form": form}
        make, n = FORMS[form], filters
        policy = {"dtype": dtype}
        chain = [
            make.convolution(n, 7, padding=3, mode="reflect", name="stem", **policy),
            make.convolution(2 * n, 3, stride=2, padding=1, name="down_1", **policy),
            make.convolution(4 * n, 3, stride=2, padding=1, name="down_2", **policy),
            *(make.residual(name=f"residual_{i + 1}", **policy) for i in range(blocks)),
            make.upsampling(2 * n, upsampling=upsampling, name="up_1", **policy),
            make.upsampling(n, upsampling=upsampling, name="up_2", **policy),
            make.convolution(3, 7, padding=3, mode="reflect", norm=False, activation="tanh", name="head", **policy),
        ]
        super().__init__(chain, (None, size, size, 3), **policy, **kwargs)

    def get_config(self):
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("lesiongan")
class PatchGAN(_Chain):
    """The 70 x 70 PatchGAN, a score for each patch: `[batch, size, size, 3]` to `[batch, m, m, 1]` (m = 30 at 256).

    4 x 4 convolutions n, 2n, 4n (stride 2), 8n, 1 (stride 1), padding 1; no norm on the first and none on the last,
    LeakyReLU 0.2; no sigmoid, because the loss is least squares.

    With spectral norm there is no instance norm: a kernel before an instance norm has no scale, its output is the same
    whatever it is divided by. Miyato et al. 2018 and SN-PatchGAN (Yu et al. 2019, "Free-Form Image Inpainting with
    Gated Convolution") have spectral norm alone too. Call `advance` once per step.

    Args:
        size: pixels, at least 32 (where m = 2).
        filters: n, 64 in Zhu et al.
        spectral_norm: of every kernel, see `spectral_norm.normalised`.
        form: a key of `forms.FORMS`.
        dtype: a dtype policy of Keras.
    """

    def __init__(self, size, *, filters=64, spectral_norm=False, form="plain", dtype=None, **kwargs):
        self.settings = {"size": size, "filters": filters, "spectral_norm": spectral_norm, "form": form}
        make, n = FORMS[form], filters
        inner = {"padding": 1, "norm": not spectral_norm, "activation": "leaky_relu", "dtype": dtype}
        outer = inner | {"norm": False}
        chain = [
            make.convolution(n, 4, stride=2, name="patch_1", **outer),
            make.convolution(2 * n, 4, stride=2, name="patch_2", **inner),
            make.convolution(4 * n, 4, stride=2, name="patch_3", **inner),
            make.convolution(8 * n, 4, name="patch_4", **inner),
            make.convolution(1, 4, name="score", **(outer | {"activation": "none"})),
        ]
        super().__init__(chain, (None, size, size, 3), dtype=dtype, **kwargs)

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        vector = {"initializer": "zeros", "trainable": False, "autocast": False}
        normed = self.blocks if self.settings["spectral_norm"] else []
        self.vectors = [self.add_weight(shape=(block.filters,), name=f"u_{block.name}", **vector) for block in normed]

    def call(self, x):
        if not self.vectors:
            return super().call(x)
        for block, u in zip(self.blocks, self.vectors, strict=True):
            x = block(x, kernel=normalised(tf.convert_to_tensor(block.weight), u.value, update=False))
        return tf.cast(x, self.variable_dtype)

    def advance(self) -> None:
        """Moves spectral norm's vectors, where there are any, on by one power iteration."""
        for block, u in zip(self.blocks if self.vectors else [], self.vectors, strict=True):
            normalised(tf.convert_to_tensor(block.weight), u.value, update=True)

    def get_config(self):
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("lesiongan")
class MultiScalePatchGAN(keras.layers.Layer):
    """PatchGANs of one architecture at the full size, half of it, and so on (pix2pixHD: Wang et al. 2018, section 3.2).

    The coarser a network's images, the more of them one of its scores sees. Call: `[batch, size, size, 3]` to a list
    of score maps, the full size's first.

    Args:
        size: pixels.
        scales: how many, each with its own weights.
        settings: of every `PatchGAN`.
    """

    def __init__(self, size, *, scales, settings, dtype=None, name=None, **kwargs):
        super().__init__(dtype=dtype, name=name, autocast=False, **kwargs)
        self.settings = {"size": size, "scales": scales, "settings": settings}
        self.networks = []
        for scale in range(scales):
            self.networks.append(PatchGAN(size, name=f"scale_{scale + 1}", dtype=dtype, **settings))
            size = half_of(size)
        self.built = True

    def call(self, x):
        maps: list[tf.Tensor] = []
        for network in self.networks:
            x = half_size(x) if maps else x
            maps.append(network(x))
        return maps

    def advance(self) -> None:
        """See `PatchGAN.advance`."""
        for network in self.networks:
            network.advance()

    def compute_output_shape(self, input_shape):
        shapes = [(input_shape[0], *[network.settings["size"]] * 2, 3) for network in self.networks]
        return [network.compute_output_shape(shape) for network, shape in zip(self.networks, shapes, strict=True)]

    @property
    def vectors(self) -> list:
        return [u for network in self.networks for u in network.vectors]

    def get_config(self):
        return {**super().get_config(), **self.settings}


def half_size(images: tf.Tensor) -> tf.Tensor:
    """Average pooling 3 x 3, stride 2, padding 1 whose pixels do not count: `[batch, height, width, channels]` to half.

    As PyTorch's `AvgPool2d(3, stride=2, padding=1, count_include_pad=False)` in pix2pixHD; TensorFlow's `SAME` pads an
    even picture on the other side.
    """
    sides = [[0, 0], [1, 1], [1, 1], [0, 0]]

    def pooled(x):
        return tf.nn.avg_pool2d(tf.pad(x, sides), 3, 2, "VALID")

    return pooled(images) / pooled(tf.ones((1, *images.shape[1:3], 1), images.dtype))
