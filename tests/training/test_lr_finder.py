"""The learning-rate finder on a quadratic, whose behaviour at each rate is known exactly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import LesionganError, UsageError
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


def test_a_models_own_counter_of_steps_is_restored():
    class Counted(keras.Sequential):
        def train_step(self, data):
            self.step.assign_add(1)
            return super().train_step(data)

    plain, batches = quadratic(3.0)
    model = Counted(plain.layers)
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    model.step = tf.Variable(5, dtype=tf.int64, trainable=False)
    model.fit(batches.take(2), verbose=0)
    find_learning_rate(model, batches)
    assert int(model.step) == 7


def test_stops_at_a_loss_that_is_not_finite():
    model, _ = quadratic(1.0)
    x = np.ones((60, 1, 1), np.float32)
    x[40:] = np.nan
    batches = tf.data.Dataset.from_tensor_slices((x, np.zeros_like(x))).repeat()
    curve = find_learning_rate(model, batches)
    assert len(curve.losses) == 40
    assert np.isfinite(curve.losses).all()
    assert np.isfinite(model.get_weights()[0]).all()


def one_cycle():
    return OneCycle(0.01, 50).rate


def cosine():
    return keras.optimizers.schedules.CosineDecay(0.1, 50)


def function():
    return lambda: 0.01


RATES = [lambda: 0.01, one_cycle, cosine, function]


@pytest.mark.parametrize("rate", RATES, ids=["number", "one_cycle", "cosine", "function"])
@pytest.mark.parametrize("at_a_time", [1, 4])
def test_each_rate_is_measured_whatever_the_optimizers_own_and_everything_is_put_back(rate, at_a_time):
    """As plain SGD at each rate does, by the definition; and the training after it is the one without it."""
    curvature, rates_before = 3.0, rate()
    model, batches = quadratic(curvature, keras.optimizers.SGD(rates_before))
    other, _ = quadratic(curvature, keras.optimizers.SGD(rate()))
    for each in (model, other):
        each.steps_per_execution = at_a_time
        each.fit(batches.take(8), verbose=0)  # a step that is compiled with the optimizer's own rate
    weight = float(model.get_weights()[0][0, 0])
    curve = find_learning_rate(model, batches, smoothing=0.0)
    rates, losses = simulated(curvature, 0.0)
    n = min(len(curve.rates), len(rates))
    assert n > 80
    np.testing.assert_allclose(curve.rates[:n], rates[:n], rtol=1e-6)
    np.testing.assert_allclose(curve.losses[:n], losses[:n] * weight**2, rtol=1e-3, atol=1e-7)
    assert model.steps_per_execution == at_a_time
    assert int(model.optimizer.iterations) == 8
    if callable(rates_before):
        assert model.optimizer._learning_rate is rates_before
    for each in (model, other):
        each.fit(batches.take(8), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_the_callback_refuses_several_steps_at_one_rate():
    model, batches = quadratic(1.0)
    model.steps_per_execution = 4
    with pytest.raises(ValueError, match="runs 4 steps at a time"):
        model.fit(batches, verbose=0, callbacks=[LearningRateFinder()])


def test_everything_is_put_back_after_an_error():
    schedule = cosine()
    model, _ = quadratic(1.0, keras.optimizers.SGD(schedule))
    model.steps_per_execution = 2

    def broken():
        for _ in range(30):
            yield np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
        raise OSError("the disk is gone")

    like = tf.TensorSpec((1, 1))
    batches = tf.data.Dataset.from_generator(broken, output_signature=(like, like))
    before = model.get_weights()[0]
    with pytest.raises(Exception, match="the disk is gone"):
        find_learning_rate(model, batches, start=1e-2)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert model.optimizer._learning_rate is schedule
    assert model.steps_per_execution == 2


@pytest.mark.parametrize("count", [8, 40])
def test_too_few_batches_are_called_that(count, recwarn):
    model, batches = quadratic(1.0)
    before = model.get_weights()[0]
    with pytest.raises(UsageError, match=f"given {count} batches and tries 100 rates.*at least 100 batches"):
        find_learning_rate(model, batches.take(count))
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]


def test_few_batches_are_enough_for_few_rates():
    model, batches = quadratic(1.0)
    assert set(find_learning_rate(model, batches.take(7), steps=7).suggestions) == {"minimum", "steep", "valley"}
    with pytest.raises(ValueError, match="at least 7 steps"):
        LearningRateFinder(steps=6)


def test_a_loss_that_fails_at_once_has_a_true_reason():
    model, _ = quadratic(1.0)
    nothing = np.full((1, 1), np.nan, np.float32)
    with pytest.raises(LesionganError, match=r"not finite at step 1 .*check the images"):
        find_learning_rate(model, tf.data.Dataset.from_tensors((nothing, nothing)).repeat())
    model, batches = quadratic(1.0)
    with pytest.raises(LesionganError, match=r"4 times its lowest by step 2 .*a lower rate"):
        find_learning_rate(model, batches, start=100.0, end=1e4, smoothing=0.0)


def test_no_suggestions_from_too_few_points():
    assert suggest(np.geomspace(1e-7, 1, 15), np.ones(15), 100) == {}
