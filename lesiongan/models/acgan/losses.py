"""The ACGAN's losses: of the source (real or generated), of the class, and R1.

Odena et al. 2017 write L_S, the log-likelihood of the right source, and L_C, of the right class; here both are negated,
so that every loss is minimised.
"""

from __future__ import annotations

import tensorflow as tf

from lesiongan.config.acgan import ACGANConfig
from lesiongan.models.hinge import Hinge


class CrossEntropy:
    """-L_S, and the generator's non-saturating form (Goodfellow et al. 2014, section 3): means of -log sigmoid.

    Args:
        smoothing: the target for real images is 1 - smoothing, for generated ones 0 (Salimans et al. 2016, section
            3.4: one-sided; the generator's own target stays 1).
    """

    def __init__(self, smoothing: float = 0.0):
        self.smoothing = smoothing

    def real(self, logits: tf.Tensor) -> tf.Tensor:
        """The discriminator's loss for the source logits `[batch, any]` of real images."""
        loss = tf.reduce_mean(tf.nn.softplus(-logits))
        if self.smoothing:  # (1 - s) softplus(-x) + s softplus(x)
            loss += self.smoothing * tf.reduce_mean(logits)
        return loss

    def generated(self, logits: tf.Tensor) -> tf.Tensor:
        """The discriminator's loss for the source logits of generated images."""
        return tf.reduce_mean(tf.nn.softplus(logits))

    def generator(self, logits: tf.Tensor) -> tf.Tensor:
        """The generator's loss for the same logits."""
        return tf.reduce_mean(tf.nn.softplus(-logits))


def source_loss(config: ACGANConfig) -> CrossEntropy | Hinge:
    """The loss of the source that a configuration asks for."""
    return CrossEntropy(config.label_smoothing) if config.loss == "cross_entropy" else Hinge()


def class_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-L_C: mean cross-entropy of the class logits `[batch, classes]` with the labels `[batch]`."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


class R1:
    """gamma / 2 * E |grad D(x)|^2 over real images (Mescheder et al. 2018, equation 9), every few steps only.

    Where it is computed it is multiplied by `every` (Karras et al. 2020, "Analyzing and improving the image quality of
    StyleGAN", appendix B: lazy regularisation). There it has an optimizer step of its own; here its gradient is added
    to that of the step.

    Args:
        gamma: the strength.
        every: steps from one penalty to the next.
    """

    def __init__(self, gamma: float, every: int):
        self.gamma, self.every = gamma, every

    def penalty(self, discriminator, images: tf.Tensor, **options) -> tf.Tensor:
        """gamma / 2 * E |grad D(x)|^2, for `[batch, size, size, 3]` as the discriminator sees them.

        Batch norm makes an image's logit depend on the others; as everywhere the gradient is then the sum's.

        Args:
            discriminator: gives (source logits, class logits).
            options: keyword arguments of its call.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            source, _ = discriminator(images, **options)
            total = tf.reduce_sum(source)
        gradient = tf.cast(tape.gradient(total, images), tf.float32)
        return self.gamma / 2.0 * tf.reduce_mean(tf.reduce_sum(gradient * gradient, [1, 2, 3]))

    def gradients(self, step: tf.Tensor, variables: list, scale, discriminator, images, **options) -> tuple:
        """The penalty and its gradients for the variables at step `step` (from 0); zeros where it is not computed.

        Args:
            scale: applied to the loss that is differentiated (loss scaling for float16).
        """

        def computed():
            with tf.GradientTape() as tape:
                penalty = self.penalty(discriminator, images, **options)
                loss = scale(penalty * self.every)
            gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return penalty, gradients

        def skipped():
            return tf.zeros([]), [tf.zeros(variable.shape) for variable in variables]

        if self.every == 1:
            return computed()
        return tf.cond(step % self.every == 0, computed, skipped)
