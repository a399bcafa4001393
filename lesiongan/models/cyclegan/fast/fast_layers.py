"""CycleGAN's ops in formulations that are quicker on a CPU than one library call each: float32, for a plain graph.

Winograd's convolutions have a file of their own. What else is gained:

* A convolution with three filters fills three of the 8 or 16 lanes of a vector; computed for 2 x 2 pixels at once it
  fills twelve. The gradient in the pictures of a convolution with three channels is such a one too.
* The gradient in the kernel of a convolution with few filters is that of one with few channels, pictures and gradients
  having changed places, which the library is quick at.
* The gradient in the kernel of a convolution of stride 2 is quicker as one matrix product for each of its taps.
* Instance norm of one image is batch norm, for which the library has one kernel in each direction.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.models.cyclegan import layers
from lesiongan.models.cyclegan.fast.pixels import reflect_padded
from lesiongan.models.cyclegan.fast.winograd import TILE, Tiling, transformed_filters, winograd_convolution

_FEW = 4  # channels
LARGE = 2**18  # values of an image: with fewer, the library's overhead for each image is more than it gains
LEAST_TILES = 16  # of a picture: with fewer, Winograd's time goes into the transforms of the filters


def fast_convolution(
    x: tf.Tensor, kernel: tf.Tensor, stride: int = 1, padding: int = 0, mode: str = "zero"
) -> tf.Tensor:
    """`layers.convolution`, each geometry in its quickest form; a kernel may be what `transformed_filters` gives."""
    if x.dtype != tf.float32:
        return layers.convolution(x, kernel, stride, padding, mode)
    if kernel.shape.rank == 3:
        height, width = x.shape[1:3]
        return winograd_convolution(x, kernel, Tiling(height, width, 3, padding))
    thin = min(kernel.shape[2:]) <= _FEW
    if stride == 2 and mode == "zero" and not thin:
        return _strided(x, kernel, padding)
    if stride == 1 and thin:
        x = reflect_padded(x, padding) if mode == "reflect" else tf.pad(x, _sides(padding))
        return _few_channels(x, kernel) if kernel.shape[2] <= _FEW else _few_filters(x, kernel)
    rows, columns = (n + 2 * padding + 1 - kernel.shape[0] for n in x.shape[1:3])
    if stride == 1 and takes_winograd(rows, columns, kernel.shape):
        outside = padding if mode == "zero" else 0
        x = tf.pad(x, _sides(outside))
        height, width = x.shape[1:3]
        return winograd_convolution(x, kernel, Tiling(height, width, kernel.shape[0], padding - outside))
    return layers.convolution(x, kernel, stride, padding, mode)


def takes_winograd(rows: int, columns: int, shape: tuple[int, ...]) -> bool:
    """Whether `fast_convolution` uses Winograd's form for so many outputs and a kernel of that shape, stride 1."""
    size, _, channels, filters = shape
    if size not in (3, 4) or min(channels, filters) <= _FEW:
        return False
    side = TILE + 1 - size
    return -(-rows // side) * -(-columns // side) >= LEAST_TILES


def fast_transposed_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`layers.transposed_convolution`."""
    if x.dtype != tf.float32:
        return layers.transposed_convolution(x, kernel)

    @tf.custom_gradient
    def convolution(x, kernel):
        def gradient(dy):
            turned = tf.transpose(kernel, [0, 1, 3, 2])
            dw = _strided_kernel_gradient(dy, x, kernel.shape[0], 1)
            return tf.nn.conv2d(dy, turned, 2, _sides(1)), tf.transpose(dw, [0, 1, 3, 2])

        return layers.transposed_convolution(x, kernel), gradient

    return convolution(x, kernel)


def fast_instance_norm(x: tf.Tensor) -> tf.Tensor:
    """`layers.instance_norm`; one kernel per image, where the batch size is known and the images are large."""
    if x.dtype != tf.float32 or not x.shape[0] or x.shape[1:].num_elements() < LARGE:
        return layers.instance_norm(x)
    ones, zeros = tf.ones(x.shape[-1:]), tf.zeros(x.shape[-1:])

    def norm(image):
        return tf.raw_ops.FusedBatchNormV3(
            x=image, scale=ones, offset=zeros, mean=(), variance=(), epsilon=1e-5, is_training=True
        ).y

    return tf.concat([norm(image) for image in tf.split(x, x.shape[0])], 0) if x.shape[0] > 1 else norm(x)


@tf.custom_gradient
def _few_channels(x: tf.Tensor, kernel: tf.Tensor):
    """Convolution without padding; its gradient in `x` has few filters."""

    def gradient(dy):
        dx = _by_blocks(tf.pad(dy, _sides(kernel.shape[0] - 1)), _turned(kernel))
        return dx, _kernel_gradient(x, dy, kernel.shape)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


@tf.custom_gradient
def _few_filters(x: tf.Tensor, kernel: tf.Tensor):
    """Convolution without padding; its gradient in `kernel` is that of a convolution with few channels."""

    def gradient(dy):
        padded = tf.pad(dy, _sides(kernel.shape[0] - 1))
        dx = tf.nn.conv2d(padded, _turned(kernel), 1, "VALID")
        return dx, _turned(_kernel_gradient(padded, x, _turned(kernel).shape))

    return _by_blocks(x, kernel), gradient


def _strided(x: tf.Tensor, kernel: tf.Tensor, padding: int) -> tf.Tensor:
    """Convolution of stride 2 with zeros around the picture."""
    sides = _sides(padding)

    @tf.custom_gradient
    def convolution(x, kernel):
        def gradient(dy):
            dx = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=dy,
                strides=[1, 2, 2, 1],
                padding="EXPLICIT",
                explicit_paddings=[n for side in sides for n in side],
            )
            return tf.ensure_shape(dx, x.shape), _strided_kernel_gradient(x, dy, kernel.shape[0], padding)

        return tf.nn.conv2d(x, kernel, 2, sides), gradient

    return convolution(x, kernel)


def _strided_kernel_gradient(x: tf.Tensor, dy: tf.Tensor, size: int, padding: int) -> tf.Tensor:
    """Of a convolution of stride 2: for each tap the product of the pixels that it sees with `dy`."""
    channels, (rows, columns, filters) = x.shape[-1], dy.shape[1:]
    extents = [(size - 1) // 2 + n for n in (rows, columns)]  # of pairs of rows and of columns
    ends = [[padding, 2 * extent - padding - n] for extent, n in zip(extents, x.shape[1:3], strict=True)]
    x = tf.pad(x, [[0, 0], *([begin, max(end, 0)] for begin, end in ends), [0, 0]])
    pairs = tf.reshape(x[:, : 2 * extents[0], : 2 * extents[1]], (-1, extents[0], 2, extents[1], 2, channels))
    dy = tf.reshape(dy, (-1, filters))
    taps = []
    for i in range(size):
        for j in range(size):
            seen = pairs[:, i // 2 : i // 2 + rows, i % 2, j // 2 : j // 2 + columns, j % 2]
            taps.append(tf.matmul(tf.reshape(seen, (-1, channels)), dy, transpose_a=True))
    return tf.reshape(tf.stack(taps), (size, size, channels, filters))


def _by_blocks(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolution without padding, 2 x 2 pixels at once as channels of one: four kernels, each in its place."""
    size, _, channels, filters = kernel.shape
    height, width = (n - size + 1 for n in x.shape[1:3])
    x = tf.pad(x, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])
    kernels = [tf.pad(kernel, [[i, 1 - i], [j, 1 - j], [0, 0], [0, 0]]) for i in (0, 1) for j in (0, 1)]
    kernels = tf.reshape(tf.stack(kernels, 3), (size + 1, size + 1, channels, 4 * filters))
    return tf.nn.depth_to_space(tf.nn.conv2d(x, kernels, 2, "VALID"), 2)[:, :height, :width]


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x, filter_sizes=shape, out_backprop=dy, strides=[1, 1, 1, 1], padding="VALID"
    )


def _turned(kernel: tf.Tensor) -> tf.Tensor:
    """The kernel of the transposed convolution: turned by half a circle, channels and filters exchanged."""
    return tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])


def _sides(padding: int) -> list[list[int]]:
    return [[0, 0], [padding, padding], [padding, padding], [0, 0]]


class _Fast:
    convolution = staticmethod(fast_convolution)
    instance_norm = staticmethod(fast_instance_norm)
    transposed_convolution = staticmethod(fast_transposed_convolution)


@keras.saving.register_keras_serializable("lesiongan")
class FastConvolutionBlock(_Fast, layers.ConvolutionBlock):
    """See `layers.ConvolutionBlock`."""


@keras.saving.register_keras_serializable("lesiongan")
class FastResidualBlock(_Fast, layers.ResidualBlock):
    """See `layers.ResidualBlock`."""

    def prepared(self, size: int) -> dict:
        """The filters, ready for Winograd's convolution, where it is taken."""
        if not takes_winograd(size, size, self.first.shape):
            return {}
        return {"kernels": [transformed_filters(tf.convert_to_tensor(kernel)) for kernel in (self.first, self.second)]}


@keras.saving.register_keras_serializable("lesiongan")
class FastUpsamplingBlock(_Fast, layers.UpsamplingBlock):
    """See `layers.UpsamplingBlock`."""
