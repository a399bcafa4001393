"""Differentiable augmentation for GANs on little data (Zhao et al. 2020, "Differentiable Augmentation", DiffAugment).

The discriminator sees real and generated images only after augmentation, so it cannot learn the few real ones by heart;
the gradient flows through the augmentation to the generator, which therefore does not learn to make augmented images.
"""

from __future__ import annotations

import keras
import tensorflow as tf

_TRANSLATION = 1 / 8  # of the image's side, to either side (the paper's ratio)
_CUTOUT = 1 / 2  # side of the square cut out, as a share of the image's side (the paper's ratio)


def augment(images, seed):
    """Colour, translation and cutout, drawn independently for each image.

    Args:
        images: float `[batch, size, size, 3]` in [-1, 1].
        seed: int `[2]`; with the same seed the i-th images of two batches of one size get the same draw, so that
            real and generated images are augmented alike.

    Returns:
        Images of the same shape; brightness may take values out of [-1, 1], as in the paper's code. What is moved in
        or cut out is 0 (grey). The gradient with respect to `images` is exact.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    return cutout(translate(colour(images, seeds[0]), seeds[1]), seeds[2])


def colour(images, seed):
    """Brightness + U(-0.5, 0.5), saturation x U(0, 2), contrast x U(0.5, 1.5), in this order."""
    brightness, saturation, contrast = (
        draw[:, None, None, None] for draw in tf.unstack(tf.random.stateless_uniform([3, _count(images)], seed))
    )
    images = images + (brightness - 0.5)
    grey = keras.ops.mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = keras.ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * (0.5 + contrast)


def translate(images, seed):
    """Moved by up to 1/8 of the side in each direction; zeros move in."""
    size = images.shape[1]
    reach = round(size * _TRANSLATION)
    moves = tf.random.stateless_uniform([2, _count(images)], seed, -reach, reach + 1, tf.int32)
    # As products with shift matrices, whose gradient is again a product; that of a gather would be a slow scatter.
    sources = tf.range(size) - moves[..., None]  # [2, batch, place in the result] -> place in the image
    down, right = tf.unstack(tf.one_hot(sources, size, dtype=images.dtype))  # a row of zeros where nothing moves in
    return tf.einsum("bij,bjkc,blk->bilc", down, images, right)


def cutout(images, seed):
    """A square of half the side set to zero, its centre anywhere in the image."""
    size = images.shape[1]
    side = round(size * _CUTOUT)
    # The paper's code draws the centre in [0, size + 1 - side % 2), and the square begins side // 2 before it.
    centres = tf.random.stateless_uniform([2, _count(images)], seed, 0, size + (1 - side % 2), tf.int32)
    distance = tf.range(size) - (centres[..., None] - side // 2)
    rows, columns = tf.unstack((distance >= 0) & (distance < side))
    cut = rows[:, :, None] & columns[:, None, :]
    return images * tf.cast(~cut, images.dtype)[..., None]


def _count(images):
    return tf.shape(images)[0]
