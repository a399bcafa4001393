"""Convolutions of 3 x 3 and 4 x 4 by Winograd's minimal filtering, F(4 x 4, 3 x 3) and F(3 x 3, 4 x 4) (Lavin and Gray
2016, "Fast Algorithms for Convolutional Neural Networks"): 36 products instead of 144 for a tile of outputs.

A few ops of a plain graph: tiles of 6 x 6 pixels that overlap are gathered; a transform of both axes is one product
with a Kronecker product, so that all tiles and channels are its columns; then 36 products of tiles and filters in one
batch, and the way back. Transforms written as sums cost the same once XLA has fused them, which takes it long.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lesiongan.models.cyclegan.fast.pixels import gather_pixels, reflected, scatter_pixels

TILE = 6  # pixels along a side of a tile of data

# Lavin and Gray, section 4.3, for one axis: interpolation at 0, 1, -1, 2, -2 and infinity.
_DATA_AXIS = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_POINTS, _SCALES = np.array([0, 1, -1, 2, -2]), np.array([1 / 4, -1 / 6, -1 / 6, 1 / 24, 1 / 24])


def _evaluation(terms: int) -> np.ndarray:
    """Values of a polynomial at the points, from its coefficients: `[6, terms]`."""
    return np.vstack([_POINTS[:, None] ** np.arange(terms), np.eye(1, terms, terms - 1)])


def _both_axes(matrix) -> np.ndarray:
    return np.kron(matrix, matrix).astype(np.float32)


_DATA = _both_axes(_DATA_AXIS)
_FILTERS = {size: _both_axes(np.append(_SCALES, 1)[:, None] * _evaluation(size)) for size in (3, 4)}
_OUTPUTS = {size: _both_axes(_evaluation(TILE + 1 - size).T) for size in (3, 4)}


def transformed_filters(kernel: tf.Tensor) -> tf.Tensor:
    """float32 `[size, size, channels, filters]`, size 3 or 4, to `[36, channels, filters]`."""
    return tf.reshape(_product(_FILTERS[kernel.shape[0]], kernel), (TILE**2, *kernel.shape[2:]))


class Tiling:
    """The tiles of a convolution of stride 1, and their transforms.

    Args:
        height, width: of the pictures.
        size: of the kernel, 3 or 4.
        padding: pixels on each side, which are reflected.
    """

    def __init__(self, height: int, width: int, size: int, padding: int):
        self.picture, self.size = (height, width), size
        self.side = side = TILE + 1 - size  # of a tile of outputs
        self.rows, self.columns = (n + 2 * padding + 1 - size for n in (height, width))
        self.down, self.across = -(-self.rows // side), -(-self.columns // side)
        pixels = np.arange(TILE)[:, None] - padding  # a tile's, along one axis
        places = (pixels + side * np.arange(self.down), pixels + side * np.arange(self.across))
        self.numbers = reflected(height, width, *places).transpose(0, 2, 1, 3).reshape(TILE**2, -1)

    def data(self, x: tf.Tensor) -> tf.Tensor:
        """Pictures `[n, height, width, channels]` to `[36, n tiles, channels]`."""
        return tf.reshape(_product(_DATA, gather_pixels(x, self.numbers)), (TILE**2, -1, x.shape[-1]))

    def data_gradient(self, d: tf.Tensor) -> tf.Tensor:
        """The gradient of `data`."""
        tiles = tf.reshape(_product(_DATA.T, d), (TILE**2, -1, self.down * self.across, d.shape[-1]))
        return scatter_pixels(tiles, self.numbers, self.picture)

    def outputs(self, products: tf.Tensor) -> tf.Tensor:
        """`[36, n tiles, filters]` to pictures `[n, rows, columns, filters]`."""
        side, filters = self.side, products.shape[-1]
        y = tf.reshape(_product(_OUTPUTS[self.size], products), (side, side, -1, self.down, self.across, filters))
        y = tf.reshape(tf.transpose(y, [2, 3, 0, 4, 1, 5]), (-1, side * self.down, side * self.across, filters))
        return y[:, : self.rows, : self.columns]

    def outputs_gradient(self, dy: tf.Tensor) -> tf.Tensor:
        """The gradient of `outputs`."""
        side, down, across, filters = self.side, self.down, self.across, dy.shape[-1]
        dy = tf.pad(dy, [[0, 0], [0, side * down - self.rows], [0, side * across - self.columns], [0, 0]])
        dy = tf.transpose(tf.reshape(dy, (-1, down, side, across, side, filters)), [2, 4, 0, 1, 3, 5])
        return tf.reshape(_product(_OUTPUTS[self.size].T, tf.reshape(dy, (side**2, -1))), (TILE**2, -1, filters))


def winograd_convolution(x: tf.Tensor, kernel: tf.Tensor, tiling: Tiling) -> tf.Tensor:
    """Convolution with reflected borders. Its error is some 1e-5 of the largest output.

    The gradient takes the same transforms in the other direction. The transformed data are computed again for it, not
    kept: they are more than twice the data.

    Args:
        x: float32 `[n, height, width, channels]`; n may be unknown.
        kernel: float32 `[size, size, channels, filters]`, or `transformed_filters` of it, which has no gradient.
        tiling: of such pictures and kernels.

    Returns:
        `[n, rows, columns, filters]`.
    """
    if kernel.shape.rank == 3:
        return tiling.outputs(tf.matmul(tiling.data(x), kernel))

    @tf.custom_gradient
    def convolution(x, kernel):
        def gradient(dy):
            # Without the dependency the graph's optimizer would find the same ops in the forward pass, and keep them.
            with tf.control_dependencies([dy]):
                data, filters = tiling.data(x), transformed_filters(kernel)
            products = tiling.outputs_gradient(dy)
            dx = tiling.data_gradient(tf.matmul(products, filters, transpose_b=True))
            dw = _product(_FILTERS[tiling.size].T, tf.matmul(data, products, transpose_a=True))
            return dx, tf.reshape(dw, kernel.shape)

        return tiling.outputs(tf.matmul(tiling.data(x), transformed_filters(kernel))), gradient

    return convolution(x, kernel)


def _product(matrix: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """`matrix` times `x`, whose first axes are the rows and all others the columns: a matrix."""
    return tf.matmul(tf.constant(matrix), tf.reshape(x, (matrix.shape[1], -1)))
