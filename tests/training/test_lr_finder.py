"""The learning-rate finder on a quadratic, whose behaviour at each rate is known exactly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.optim.adam import Adam
from lesiongan.optim.one_cycle import OneCycle
from lesiongan.training.lr_finder import LearningRateFinder, find_learning_rate, suggest


def quadratic(curvature: float, optimizer=None):
    """Loss (x w)^2 = curvature / 2 * w^2, so that SGD does w <- (1 - rate * curvature) w.

    The best rate is 1 / curvature; above 2 / curvature it diverges.
    """
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer or keras.optimizers.SGD(1e-3), "mse")
    model.layers[0].kernel.assign([[1.0]])
    x = np.sqrt(curvature / 2).reshape(1, 1).astype(np.float32)
    return model, tf.data.Dataset.from_tensors((x, np.zeros((1, 1), np.float32))).repeat(100)


def simulated(curvature: float, smoothing: float):
    """Rates and smoothed losses by the definition."""
    w, average, best, rates, losses = 1.0, 0.0, np.inf, [], []
    for step in range(100):
        rate = 1e-7 * 1e8 ** (step / 100)
        average = smoothing * average + (1 - smoothing) * curvature / 2 * w**2
        w *= 1 - rate * curvature
        rates.append(rate)
        losses.append(average / (1 - smoothing ** (step + 1)))
        best = min(best, losses[-1])
        if losses[-1] > 4 * best:
            break
    return np.array(rates), np.array(losses)


def fastai_suggestions(rates, losses, steps):
    """The three as in fastai's callback/schedule.py, step by step on lists."""
    rates, losses = list(rates[steps // 10 : -5]), list(losses[steps // 10 : -5])
    n = len(losses)
    slopes = [(losses[i + 1] - losses[i]) / (np.log(rates[i + 1]) - np.log(rates[i])) for i in range(n - 1)]
    longest, end, start = [1] * n, 0, 0
    for i in range(1, n):
        for j in range(i):
            if losses[i] < losses[j] and longest[i] < longest[j] + 1:
                longest[i] = longest[j] + 1
            if longest[end] < longest[i]:
                end = i
                start = end - longest[end]
    sections = (end - start) / 3
    return {
        "minimum": rates[losses.index(min(losses))] / 10,
        "steep": rates[slopes.index(min(slopes))],
        "valley": rates[start + int(sections) + int(sections / 2)],
    }


@pytest.mark.parametrize("smoothing", [0.0, 0.98])
@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_the_curve_and_the_suggestions_are_the_known_ones(curvature, smoothing):
    model, batches = quadratic(curvature)
    curve = find_learning_rate(model, batches, smoothing=smoothing)
    rates, losses = simulated(curvature, smoothing)
    n = len(curve.rates)
    assert abs(n - len(rates)) <= (1 if smoothing else 0) or losses[-1] < 1e-20
    n = min(n, len(rates))
    np.testing.assert_allclose(curve.rates[:n], rates[:n], rtol=1e-6)
    np.testing.assert_allclose(curve.losses[:n], losses[:n], rtol=1e-3, atol=1e-7)
    assert curve.suggestions == pytest.approx(fastai_suggestions(curve.rates, curve.losses, 100))


@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_suggested_rates_are_below_divergence_and_scale_with_the_curvature(curvature):
    model, batches = quadratic(curvature)
    suggestions = find_learning_rate(model, batches, smoothing=0.0).suggestions
    assert max(suggestions.values()) < 2 / curvature
    # A step falls furthest at 1 / curvature; the steps before it, each a fifth lower, have had their share.
    assert 0.02 / curvature < suggestions["steep"] < 1 / curvature


def test_rates_grow_exponentially_from_start_towards_end():
    finder = LearningRateFinder()
    assert finder.rate(0) == 1e-7
    assert finder.rate(50) == pytest.approx(np.sqrt(1e-7 * 10))
    assert finder.rate(100) == pytest.approx(10.0)


@pytest.mark.parametrize("kind", ["keras", "one_cycle"])
def test_model_and_optimizer_are_restored_exactly(kind):
    if kind == "keras":
        optimizer = keras.optimizers.Adam(0.01)
    else:
        cycle = OneCycle(0.01, 50)
        optimizer = Adam.fastai(cycle.rate, cycle.momentum)
    model, batches = quadratic(3.0, optimizer)
    model.fit(batches.take(7), verbose=0)  # moments and step count that are not 0
    before = [np.array(v) for v in (*model.variables, *optimizer.variables)]
    rate = float(optimizer.learning_rate)
    curve = find_learning_rate(model, batches)
    assert np.ptp(curve.losses) > 0.1  # it did train meanwhile
    for old, new in zip(before, (*model.variables, *optimizer.variables), strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    assert float(optimizer.learning_rate) == rate
    assert int(optimizer.iterations) == 7


def test_stops_at_a_loss_that_is_not_finite():
    model, _ = quadratic(1.0)
    x = np.ones((60, 1, 1), np.float32)
    x[40:] = np.nan
    batches = tf.data.Dataset.from_tensor_slices((x, np.zeros_like(x))).repeat()
    curve = find_learning_rate(model, batches)
    assert len(curve.losses) == 40
    assert np.isfinite(curve.losses).all()
    assert np.isfinite(model.get_weights()[0]).all()


def test_another_schedule_is_refused():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model, batches = quadratic(1.0, keras.optimizers.SGD(schedule))
    with pytest.raises(TypeError, match="OneCycle"):
        find_learning_rate(model, batches)


def test_no_suggestions_from_too_few_points():
    assert suggest(np.geomspace(1e-7, 1, 15), np.ones(15), 100) == {}
