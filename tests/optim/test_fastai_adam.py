"""fastai's Adam against its formulas in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.optim.adam import Adam
from lesiongan.optim.one_cycle import OneCycle


def reference(parameter, gradients, rates, momenta, decay, beta_2=0.99, epsilon=1e-5):
    """fastai's `weight_decay`, `average_grad` (dampened), `average_sqr_grad`, `adam_step`, in float64."""
    p = np.array(parameter, np.float64)
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, (g, rate, beta_1) in enumerate(zip(gradients, rates, momenta, strict=True), start=1):
        p = p * (1 - rate * decay)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        p = p - rate / (1 - beta_1**t) * m / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return p


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(4, 3)), rng.normal(size=(3,)), rng.normal(size=(2, 2, 3, 5))]
    # Gradients from 1e-7 to 1: where epsilon stands matters for the small ones.
    gradients = [[rng.normal(size=p.shape) * 10.0 ** rng.uniform(-7, 0, p.shape) for p in start] for _ in range(12)]
    return start, gradients


def run(optimizer, start, gradients):
    """Updates within one compiled function; gives the parameters and how often it was traced."""
    variables = [keras.Variable(p.astype(np.float32)) for p in start]
    optimizer.build(variables)

    @tf.function
    def step(*gradients):
        optimizer.apply(gradients, variables)

    for gs in gradients:
        step(*[tf.constant(g, tf.float32) for g in gs])
    return [v.numpy() for v in variables], step.experimental_get_tracing_count()


def test_constant_rate_and_momentum(problem):
    start, gradients = problem
    found, _ = run(Adam.fastai(0.05, 0.9, weight_decay=0.1), start, gradients)
    n = len(gradients)
    for i, value in enumerate(found):
        decay = 0.0 if i == 1 else 0.1  # none on what has rank 1
        wanted = reference(start[i], [g[i] for g in gradients], [0.05] * n, [0.9] * n, decay)
        np.testing.assert_allclose(value, wanted, rtol=2e-4, atol=1e-5)


def test_rate_and_momentum_move_within_the_compiled_step(problem):
    start, gradients = problem
    n = len(gradients)
    cycle = OneCycle(0.1, n)
    rates = [float(cycle.rate(i)) for i in range(n)]
    momenta = [float(cycle.momentum(i)) for i in range(n)]
    assert max(momenta) - min(momenta) > 0.09
    found, traces = run(Adam.fastai(cycle.rate, cycle.momentum), start, gradients)
    assert traces == 1
    for i, value in enumerate(found):
        decay = 0.0 if i == 1 else 0.01
        wanted = reference(start[i], [g[i] for g in gradients], rates, momenta, decay)
        np.testing.assert_allclose(value, wanted, rtol=2e-4, atol=1e-5)
        frozen = reference(start[i], [g[i] for g in gradients], rates, [momenta[0]] * n, decay)
        assert np.abs(value - frozen).max() > 1e-3  # what a momentum baked into the graph would give


def test_first_step_of_a_tiny_gradient_is_damped_after_the_bias_correction():
    # m / (1 - beta_1) = g, sqrt(v / (1 - beta_2)) = |g|: the step is rate * g / (|g| + epsilon), here rate / 2.
    found, _ = run(Adam.fastai(0.1, 0.9, weight_decay=0.0), [np.zeros((1, 1))], [[np.full((1, 1), 1e-5)]])
    assert found[0].item() == pytest.approx(-0.05, rel=1e-3)


def test_keras_model_trains_and_the_optimizer_serialises():
    keras.utils.set_random_seed(1)  # the start and the order of the batches decide how far 120 steps come
    cycle = OneCycle(0.1, 120)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(Adam.fastai(cycle.rate, cycle.momentum, weight_decay=0.0), "mse")
    x = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)
    history = model.fit(x, x @ np.array([[1.0], [-2.0]]) + 0.5, epochs=60, batch_size=32, verbose=0)
    assert history.history["loss"][-1] < 0.01 * history.history["loss"][0]
    copy = Adam.from_config(model.optimizer.get_config())
    assert copy.get_config() == model.optimizer.get_config()
    copy.iterations.assign(30)
    assert float(copy.momentum_now()) == pytest.approx(0.85)
