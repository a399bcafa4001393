"""CycleGAN's losses (Zhu et al. 2017, section 3; least squares as in section 4 of it and in the reference)."""

from __future__ import annotations

import tensorflow as tf

from lesiongan.models.hinge import Hinge

_HINGE = Hinge()


def least_squares(scores: tf.Tensor | list[tf.Tensor], target: float) -> tf.Tensor:
    """Mean of (score - target)^2 over images and patches: the LSGAN loss, target 1 for real and 0 for generated.

    For several discriminators' maps it is the sum of their losses (pix2pixHD: Wang et al. 2018, equation 3).
    """
    maps = tf.nest.flatten(scores)
    return sum(tf.reduce_mean(tf.math.squared_difference(each, tf.cast(target, each.dtype))) for each in maps)


def discriminator_loss(real: tf.Tensor | list[tf.Tensor], fake: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
    """0.5 x (real towards 1 + generated towards 0); the generator's `least_squares(fake, 1)` is not halved."""
    return 0.5 * (least_squares(real, 1.0) + least_squares(fake, 0.0))


def hinge_discriminator_loss(real: list[tf.Tensor], fake: list[tf.Tensor]) -> tf.Tensor:
    """mean relu(1 - real) + mean relu(1 + generated), over images and places (Lim and Ye 2017)."""
    return sum(map(_HINGE.real, real)) + sum(map(_HINGE.generated, fake))


def hinge_generator_loss(fake: list[tf.Tensor]) -> tf.Tensor:
    """- mean of the scores of generated images."""
    return sum(map(_HINGE.generator, fake))


def l1(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference over images, pixels and channels: the cycle-consistency and the identity loss."""
    return tf.reduce_mean(tf.abs(images - targets))
