"""Spectral normalisation of a discriminator's kernels (Miyato et al. 2018, arXiv 1802.05957, algorithm 1)."""

from __future__ import annotations

import tensorflow as tf

_EPSILON = 1e-12  # keeps a kernel of zeros from giving NaN


def normalised(kernel: tf.Tensor, u: tf.Variable, *, update: bool) -> tf.Tensor:
    """A kernel over an estimate of its largest singular value, by one power iteration from `u`.

    With W the kernel as a matrix `[-1, filters]`: v = W u / |W u|, u' = W^T v / |W^T v|, sigma = v^T W u'. As in
    Miyato et al., u and v are constants to the gradient, sigma is not. Computed in float32 whatever the kernel's type.

    Args:
        kernel: float `[..., filters]`.
        u: float32 `[filters]`, a unit vector: the estimate of the first right singular vector.
        update: keep u' in `u` for the next call; else `u` stays as it is.

    Returns:
        `kernel / sigma`, of the kernel's shape and type.
    """
    matrix = tf.cast(tf.reshape(kernel, [-1, kernel.shape[-1]]), tf.float32)
    constant = tf.stop_gradient(matrix)
    v = _unit(tf.linalg.matvec(constant, tf.convert_to_tensor(u)))
    following = _unit(tf.linalg.matvec(constant, v, transpose_a=True))
    if update:
        u.assign(following)
    sigma = tf.tensordot(v, tf.linalg.matvec(matrix, following), 1)
    return kernel / tf.cast(sigma, kernel.dtype)


def initial_vector(seed: int, index: int, length: int) -> tf.Tensor:
    """The vector that the iteration of kernel number `index` starts from.

    Args:
        seed: of the model.
        index: of the kernel, so that no two get the same draw.
        length: filters of the kernel.

    Returns:
        float32 `[length]`, uniform on the unit sphere.
    """
    return _unit(tf.random.stateless_normal([length], tf.stack([tf.cast(n, tf.int64) for n in (seed, index)])))


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), _EPSILON)
