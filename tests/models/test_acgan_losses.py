"""The ACGAN's losses by hand, and R1 against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.models.acgan.losses import R1, CrossEntropy, Hinge, class_loss, source_loss
from lesiongan.models.acgan.networks import Discriminator
from lesiongan.models.batch_norms import NormPass

LN = math.log
LOGITS = tf.constant([[0.0], [LN(3)]])  # sigmoid(0) = 1/2, sigmoid(ln 3) = 3/4


def test_source_loss_by_hand():
    loss = source_loss(ACGANConfig())
    assert float(loss.real(LOGITS)) == pytest.approx((LN(2) + LN(4 / 3)) / 2, rel=1e-6)
    assert float(loss.generated(LOGITS)) == pytest.approx((LN(2) + LN(4)) / 2, rel=1e-6)
    assert float(loss.generator(LOGITS)) == pytest.approx((LN(2) + LN(4 / 3)) / 2, rel=1e-6)


def test_class_loss_by_hand():
    logits = tf.constant([[0.0, LN(2), 0.0]] * 2)  # softmax (1/4, 1/2, 1/4)
    assert float(class_loss(logits, tf.constant([1, 2]))) == pytest.approx((LN(2) + LN(4)) / 2, rel=1e-6)


def test_label_smoothing_is_one_sided():
    loss = source_loss(ACGANConfig(label_smoothing=0.1))
    # cross-entropy with the target 0.9
    expected = (LN(2) - 0.9 * LN(3 / 4) - 0.1 * LN(1 / 4)) / 2
    assert float(loss.real(LOGITS)) == pytest.approx(expected, rel=1e-6)
    plain = CrossEntropy()
    assert float(loss.generated(LOGITS)) == float(plain.generated(LOGITS))
    assert float(loss.generator(LOGITS)) == float(plain.generator(LOGITS))


def test_hinge_loss_by_hand():
    loss = source_loss(ACGANConfig(loss="hinge"))
    assert isinstance(loss, Hinge)
    logits = tf.constant([[0.5], [2.0], [-1.5]])
    assert float(loss.real(logits)) == pytest.approx((0.5 + 0 + 2.5) / 3)
    assert float(loss.generated(logits)) == pytest.approx((1.5 + 3 + 0) / 3)
    assert float(loss.generator(logits)) == pytest.approx(-(0.5 + 2 - 1.5) / 3)


def test_impossible_options_are_the_users_mistake():
    with pytest.raises(UsageError, match="hinge"):
        ACGANConfig(loss="hinge", label_smoothing=0.1)
    with pytest.raises(UsageError, match="less than 1"):
        ACGANConfig(label_smoothing=1.0)
    with pytest.raises(UsageError, match=r"acgan\.r1_every': 0 is less than 1"):
        ACGANConfig(r1=1.0, r1_every=0)


def test_r1_of_a_linear_discriminator_by_hand():
    w = tf.Variable(tf.reshape(tf.range(12.0), [2, 2, 3]))

    def discriminator(images):
        return tf.tensordot(images, w, 3)[:, None], None

    images = tf.random.stateless_normal([5, 2, 2, 3], [1, 2])
    square = sum(n * n for n in range(12))
    assert float(R1(3.0, 1).penalty(discriminator, images)) == pytest.approx(1.5 * square, rel=1e-6)
    penalty, (gradient,) = R1(3.0, 1).gradients(tf.constant(0), [w], lambda loss: 2 * loss, discriminator, images)
    assert float(penalty) == pytest.approx(1.5 * square, rel=1e-6)
    np.testing.assert_allclose(gradient, 2 * 3.0 * w, rtol=1e-6)  # twice, as the scale says


def test_r1_is_lazy_and_counts_for_the_steps_between():
    w = tf.Variable(tf.ones([2, 2, 3]))

    @tf.function(autograph=False)
    def at(step):
        images = tf.ones([5, 2, 2, 3])
        return R1(3.0, 4).gradients(step, [w], lambda loss: loss, lambda x: (tf.tensordot(x, w, 3), None), images)

    found = [at(tf.constant(step, tf.int64)) for step in range(9)]
    for step, (penalty, (gradient,)) in enumerate(found):
        due = step % 4 == 0
        assert float(penalty) == pytest.approx(18.0 if due else 0.0)
        np.testing.assert_allclose(gradient, np.full((2, 2, 3), 4 * 3.0 if due else 0.0))


def test_r1_of_the_papers_discriminator_is_that_of_plain_operations(monkeypatch):
    """Its gradients go twice through the fused batch norm; here through one written in plain operations too."""
    discriminator = Discriminator(32, 4, width=1 / 8, seed=3)
    for kernel in discriminator.kernels.values():
        kernel.assign(5 * kernel)
    images = tf.random.stateless_uniform([6, 32, 32, 3], [1, 2], -1, 1)
    options = {"training": True, "dropout_seed": tf.constant([1, 2]), "update": False}

    def computed():
        variables = [variable.value for variable in discriminator.trainable_variables]
        return R1(2.0, 1).gradients(tf.constant(0), variables, lambda loss: loss, discriminator, images, **options)

    penalty, gradients = computed()

    def plain(run, x, key):
        mean = tf.reduce_mean(x, [0, 1, 2], keepdims=True)
        variance = tf.reduce_mean((x - mean) ** 2, [0, 1, 2], keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-5) * run.scale[key] + run.offset[key]

    monkeypatch.setattr(NormPass, "__call__", plain)
    expected_penalty, expected = computed()
    assert float(penalty) > 1.0
    assert float(penalty) == pytest.approx(float(expected_penalty), rel=1e-3)
    for gradient, value, variable in zip(gradients, expected, discriminator.trainable_variables, strict=True):
        error = np.linalg.norm(gradient - value)
        assert error <= 1e-3 * np.linalg.norm(value), variable.path
    assert sum(np.linalg.norm(value) > 0.01 for value in expected) >= 8  # all but biases of the heads and the like
