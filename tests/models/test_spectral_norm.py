"""Spectral normalisation against numpy's singular values, and its gradient against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.spectral_norm import initial_vector, normalised


def _kernel(shape=(4, 4, 3, 5), seed=0):
    return np.random.default_rng(seed).normal(0, 0.02, shape).astype(np.float32)


def _matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)


@pytest.mark.parametrize("shape", [(4, 4, 3, 5), (3, 3, 8, 16), (4, 4, 8, 1), (7, 2)])
def test_after_many_updates_the_largest_singular_value_is_one(shape):
    kernel, u = _kernel(shape), tf.Variable(initial_vector(1, 0, shape[-1]))
    for _ in range(300):
        result = normalised(tf.constant(kernel), u, update=True)
    _, values, right = np.linalg.svd(_matrix(kernel), full_matrices=False)
    np.testing.assert_allclose(result, kernel / values[0], rtol=1e-3)
    np.testing.assert_allclose(abs(right[0] @ u.numpy()), 1, atol=1e-4)


def test_one_iteration_by_the_formula():
    kernel, start = _kernel(), initial_vector(3, 2, 5).numpy()
    u = tf.Variable(start)
    result = normalised(tf.constant(kernel), u, update=True)
    w = _matrix(kernel)
    v = w @ start / np.linalg.norm(w @ start)
    following = w.T @ v / np.linalg.norm(w.T @ v)
    np.testing.assert_allclose(u, following, rtol=1e-5)
    np.testing.assert_allclose(result, kernel / (v @ w @ following), rtol=1e-5)


def test_the_gradient_is_that_of_sigma_with_u_and_v_fixed():
    kernel, weight, u = _kernel(), _kernel(seed=1), initial_vector(3, 2, 5).numpy()
    w = _matrix(kernel)
    v = w @ u / np.linalg.norm(w @ u)
    following = w.T @ v / np.linalg.norm(w.T @ v)

    def loss(matrix):
        return (_matrix(weight) * matrix).sum() / (v @ matrix @ following)

    expected = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = 1e-6
        expected[place] = (loss(w + step) - loss(w - step)) / 2e-6
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weight * normalised(tf.convert_to_tensor(variable), tf.Variable(u), update=True))
    gradient = tape.gradient(total, variable)
    np.testing.assert_allclose(gradient, expected.reshape(kernel.shape), rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_without_update_u_stays():
    u = tf.Variable(initial_vector(0, 0, 5))
    before = u.numpy()
    first = normalised(tf.constant(_kernel()), u, update=False)
    np.testing.assert_array_equal(u, before)
    np.testing.assert_array_equal(first, normalised(tf.constant(_kernel()), u, update=True))
    assert not np.array_equal(u, before)


def test_half_precision_is_normalised_in_float32():
    kernel, u = _kernel(), tf.Variable(initial_vector(0, 0, 5))
    result = normalised(tf.constant(kernel, tf.bfloat16), u, update=False)
    assert result.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(result, tf.float32), normalised(kernel, u, update=False), rtol=0.02, atol=1e-3)


def test_a_kernel_of_zeros_gives_no_infinite_vector():
    u = tf.Variable(initial_vector(0, 0, 5))
    normalised(tf.zeros((4, 4, 3, 5)), u, update=True)
    assert np.isfinite(u.numpy()).all()


def test_initial_vectors_are_unit_and_depend_on_seed_and_index():
    vectors = {(s, i): initial_vector(s, i, 6).numpy() for s in (0, 1) for i in (0, 1)}
    for vector in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    assert len({tuple(vector) for vector in vectors.values()}) == 4
    np.testing.assert_array_equal(initial_vector(0, 1, 6), vectors[0, 1])
