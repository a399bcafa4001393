"""Differentiable augmentation for GANs on little data (Zhao et al. 2020, "Differentiable Augmentation", DiffAugment).

The discriminator sees real and generated images only after augmentation, so it cannot learn the few real ones by heart;
the gradient flows through the augmentation to the generator, which therefore does not learn to make augmented images.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.models.replicas import drawn

_TRANSLATION = 1 / 8  # of the image's side, to either side (Zhao et al.)
_ADJUSTED_EVERY = 4  # steps (Karras et al. 2020)


def augment(images, seed, probability=None, *, with_colour=True, cut=1 / 2):
    """Colour, translation and cutout, drawn independently for each image.

    Args:
        images: float `[batch, size, size, 3]` in [-1, 1].
        seed: int `[2]`; with the same seed the i-th images of two batches of one size get the same draw, so that
            real and generated images are augmented alike.
        probability: float scalar: of each of the five transformations (brightness, saturation, contrast, translation,
            cutout) for each image; None: all happen to all.
        with_colour: whether colours change.
        cut: side of the square cut out, as a share of the image's side; Zhao et al.'s 1/2.

    Returns:
        Images of the same shape; brightness may take values out of [-1, 1], as in Zhao et al.'s code. What is moved in
        or cut out is 0 (grey). The gradient with respect to `images` is exact.
    """
    seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
    happens = [None] * 5
    if probability is not None:
        draws = _uniform(5, images, seeds[3])
        happens = tf.unstack(draws < probability)
    if with_colour:
        images = colour(images, seeds[0], happens[:3])
    return cutout(translate(images, seeds[1], happens[3]), seeds[2], happens[4], cut)


def colour(images, seed, happens=(None, None, None)):
    """Brightness + U(-0.5, 0.5), saturation x U(0, 2), contrast x U(0.5, 1.5), in this order; each where it `happens`
    (boolean `[batch]` each, or None for everywhere)."""
    draws = tf.unstack(_uniform(3, images, seed))
    changes = (draws[0] - 0.5, 2 * draws[1], 0.5 + draws[2])
    brightness, saturation, contrast = (
        tf.cast(change if where is None else tf.where(where, change, none), images.dtype)[:, None, None, None]
        for change, none, where in zip(changes, (0.0, 1.0, 1.0), happens, strict=True)
    )
    images = images + brightness
    grey = keras.ops.mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * saturation
    mean = keras.ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * contrast


def translate(images, seed, happens=None):
    """Moved by up to 1/8 of the side in each direction, where it `happens` (boolean `[batch]`); zeros move in."""
    size = images.shape[1]
    reach = round(size * _TRANSLATION)
    moves = _uniform(2, images, seed, -reach, reach + 1, tf.int32)
    if happens is not None:
        moves *= tf.cast(happens, tf.int32)
    # As products with shift matrices, whose gradient is again a product; that of a gather would be a slow scatter.
    sources = tf.range(size) - moves[..., None]  # [2, batch, place in the result] -> place in the image
    down, right = tf.unstack(tf.one_hot(sources, size, dtype=images.dtype))  # a row of zeros where nothing moves in
    return tf.einsum("bij,bjkc,blk->bilc", down, images, right)


def cutout(images, seed, happens=None, cut=1 / 2):
    """A square of a share `cut` of the side set to zero, its centre anywhere in the image, where it `happens` (boolean
    `[batch]`)."""
    size = images.shape[1]
    side = round(size * cut)
    # Zhao et al.'s code draws the centre in [0, size + 1 - side % 2), and the square begins side // 2 before it.
    last = size + (1 - side % 2)
    centres = _uniform(2, images, seed, 0, last, tf.int32)
    distance = tf.range(size) - (centres[..., None] - side // 2)
    rows, columns = tf.unstack((distance >= 0) & (distance < side))
    cut = rows[:, :, None] & columns[:, None, :]
    if happens is not None:
        cut &= happens[:, None, None]
    return images * tf.cast(~cut, images.dtype)[..., None]


class AdaptiveProbability:
    """How often images are augmented, steered by how far the discriminator overfits (Karras et al. 2020, "Training
    generative adversarial networks with limited data", section 3.1: ADA).

    r_t = E[sign(D(real))] is 0 where the discriminator cannot tell and 1 where it is always sure. Over each four steps
    it is compared with the target, and p moves up or down by a fixed amount, such that it goes from 0 to 1 in `images`
    images; it starts at 0.

    Attributes:
        p: tf.Variable float32, the probability.
        seen: tf.Variable float32 `[2]`, sum and number of the signs since p last moved.

    Args:
        target: of r_t; 0.6 in Karras et al.
        images: real images that the discriminator sees while p goes from 0 to 1; 500,000 in Karras et al.
    """

    def __init__(self, target: float, images: int):
        self.target, self.images = target, images
        shared = {"trainable": False, "aggregation": tf.VariableAggregation.MEAN}
        self.p = tf.Variable(0.0, name="augmentation_probability", **shared)
        self.seen = tf.Variable([0.0, 0.0], name="augmentation_signs", **shared)

    def update(self, source: tf.Tensor, step: tf.Tensor) -> None:
        """Takes in the source logits `[batch, 1]` of a step's real images (of each replica, where there are several);
        `step` counts from 0."""
        signs = tf.stack([tf.reduce_sum(tf.sign(source)), tf.cast(tf.size(source), tf.float32)])
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            signs = context.all_reduce(tf.distribute.ReduceOp.SUM, signs)
        seen = self.seen + signs
        due = tf.cast(step % _ADJUSTED_EVERY == _ADJUSTED_EVERY - 1, tf.float32)
        move = tf.sign(seen[0] / seen[1] - self.target) * seen[1] / self.images
        self.p.assign(tf.clip_by_value(self.p + due * move, 0.0, 1.0))
        self.seen.assign((1.0 - due) * seen)

    def state(self) -> list[tf.Variable]:
        return [self.p, self.seen]


def _uniform(numbers, images, seed, *of):
    """`numbers` draws for each image, `[numbers, batch]`; `of`: lowest, highest, type."""
    return drawn(
        lambda count: tf.random.stateless_uniform([numbers, count], seed, *of, alg="philox"), tf.shape(images)[0], 1
    )
