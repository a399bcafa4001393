"""A step of a CycleGAN written out independently, and what the tests of the model share."""

import numpy as np
import tensorflow as tf

from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.models.augmentation import augment

TINY = CycleGANConfig(size=32, blocks=1, filters=4, discriminator_filters=4, batch=2, identity=0.5, pool=3)


def batches(count, batch=2, size=32, seed=0):
    """Pairs of batches of the two domains."""
    generator = np.random.default_rng(seed)
    shape = (count, 2, batch, size, size, 3)
    return [tuple(tf.unstack(pair)) for pair in tf.unstack(tf.constant(generator.uniform(-1, 1, shape), tf.float32))]


def l1(a, b):
    return tf.reduce_mean(tf.abs(a - b))


def towards(scores, target):
    """Least squares, summed over the scales."""
    return sum(tf.reduce_mean((score - target) ** 2) for score in tf.nest.flatten(scores))


def step_written_out(model, x, y, shown_x=None, shown_y=None):
    """Losses and gradients of one step as the paper and the reference have them: one pass at a time, nothing shared.

    The step's draws are the model's: four seeds from its seed and its step, the last two of augmentation.
    """
    config = model.config
    seed = tf.constant([int(model.seed), int(model.step)], tf.int64)
    *_, of_generators, of_discriminators = tf.unstack(tf.random.split(seed, 4))
    g, f = model.generator_xy, model.generator_yx

    def d_x(images, seed):
        return model.discriminator_x(augment(images, seed) if config.augment else images)

    def d_y(images, seed):
        return model.discriminator_y(augment(images, seed) if config.augment else images)

    with tf.GradientTape() as tape:
        terms = {
            "adversarial_xy": towards(d_y(g(x), of_generators), 1.0),
            "adversarial_yx": towards(d_x(f(y), of_generators), 1.0),
            "cycle_x": l1(f(g(x)), x),
            "cycle_y": l1(g(f(y)), y),
            "identity_x": l1(f(x), x),
            "identity_y": l1(g(y), y),
        }
        weight = {"adversarial": 1.0, "cycle": config.cycle, "identity": config.cycle * config.identity}
        total = tf.add_n([weight[name.split("_")[0]] * term for name, term in terms.items()])
    generator_gradients = tape.gradient(total, model.generator_variables)
    fake_x, fake_y = f(y) if shown_x is None else shown_x, g(x) if shown_y is None else shown_y
    with tf.GradientTape() as tape:
        for name, d, real, fake in (("x", d_x, x, fake_x), ("y", d_y, y, fake_y)):
            real_scores, fake_scores = d(real, of_discriminators), d(fake, of_discriminators)
            terms[f"discriminator_{name}"] = 0.5 * (towards(real_scores, 1.0) + towards(fake_scores, 0.0))
        total = terms["discriminator_x"] + terms["discriminator_y"]
    return terms, generator_gradients, tape.gradient(total, model.discriminator_variables)


def applied(optimizer):
    """The gradients of the first step: Adam's first moment after it is (1 - beta1) times them."""
    return [2 * moment.numpy() for moment in optimizer._averages]


def assert_gradients_agree(gradients, expected, tolerance=1e-3):
    assert len(gradients) == len(expected)
    for ours, other in zip(gradients, expected, strict=True):
        error = np.linalg.norm(ours - other) / np.linalg.norm(other)
        assert error < tolerance, (error, ours.shape)
