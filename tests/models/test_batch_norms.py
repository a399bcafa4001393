"""Batch norm, plain and conditional on the class, against loops over the batch in NumPy."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lesiongan.models.batch_norms import BatchNorms

RNG = np.random.default_rng(0)
X = RNG.normal(1, 2, (6, 3, 3, 4)).astype(np.float32)
LABELS = np.array([0, 2, 2, 1, 0, 2])
ONE_HOT = tf.one_hot(LABELS, 3)


def _norms(classes: int) -> BatchNorms:
    norms = BatchNorms({"first": 2, "second": 4}, classes=classes)
    for variable in (norms.scale, norms.offset):
        variable.assign(RNG.normal(size=variable.shape))
    norms.moving_mean.assign(RNG.normal(size=6))
    norms.moving_variance.assign(RNG.uniform(1, 2, 6))
    return norms


def _expected(norms: BatchNorms, mean, variance) -> np.ndarray:
    """The norm `second`, image by image."""
    result = np.empty_like(X)
    for index, image in enumerate(X):
        scale, offset = norms.scale.numpy(), norms.offset.numpy()
        if norms.classes:
            scale, offset = scale[LABELS[index]], offset[LABELS[index]]
        result[index] = scale[2:] * (image - mean) / np.sqrt(variance + 1e-5) + offset[2:]
    return result


def test_training_takes_the_batchs_statistics_and_moves_the_averages():
    for classes in (0, 3):
        norms = _norms(classes)
        before = norms.moving_mean.numpy(), norms.moving_variance.numpy()
        run = norms.begin(True, ONE_HOT)
        run(tf.constant(X[..., :2]), "first")
        y = run(tf.constant(X), "second")
        run.finish()
        mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
        np.testing.assert_allclose(y, _expected(norms, mean, variance), rtol=1e-3, atol=1e-4)
        # as PyTorch's: the unbiased variance, a tenth of the way
        seen = np.concatenate([X[..., :2].mean((0, 1, 2)), mean])
        np.testing.assert_allclose(norms.moving_mean, 0.9 * before[0] + 0.1 * seen, rtol=1e-4)
        seen = np.concatenate([X[..., :2].var((0, 1, 2), ddof=1), X.var((0, 1, 2), ddof=1)])
        np.testing.assert_allclose(norms.moving_variance, 0.9 * before[1] + 0.1 * seen, rtol=1e-4)


def test_inference_takes_the_moving_averages_and_leaves_them():
    for classes in (0, 3):
        norms = _norms(classes)
        before = norms.moving_mean.numpy(), norms.moving_variance.numpy()
        run = norms.begin(False, ONE_HOT)
        y = run(tf.constant(X), "second")
        run.finish()
        np.testing.assert_allclose(y, _expected(norms, before[0][2:], before[1][2:]), rtol=1e-3, atol=1e-4)
        for variable, value in zip((norms.moving_mean, norms.moving_variance), before, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_each_class_learns_its_own_scale_and_offset():
    norms = _norms(3)
    with tf.GradientTape() as tape:
        y = norms.begin(True, ONE_HOT[:4])(tf.constant(X[:4]), "second")  # classes 0, 2, 2, 1
        total = tf.reduce_sum(y[0] * X[0])  # of the image of class 0 alone
    scale, offset = tape.gradient(total, [norms.scale.value, norms.offset.value])
    np.testing.assert_allclose(offset[0, 2:], X[0].sum((0, 1)), rtol=1e-4)
    assert np.abs(scale[0, 2:]).min() > 0
    np.testing.assert_array_equal(offset[1:], np.zeros((2, 6)))
    np.testing.assert_array_equal(scale[1:], np.zeros((2, 6)))
