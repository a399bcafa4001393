"""1cycle against fastai's formulas, at every step."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.optim.one_cycle import OneCycle


def cosine(start: float, end: float, position: float) -> float:
    """fastai's SchedCos."""
    return start + (1 + math.cos(math.pi * (1 - position))) * (end - start) / 2


def fastai_1(maximum, steps) -> OneCycle:
    """A longer warm-up, and an end 10^4 below the start."""
    return OneCycle(maximum, steps, warm_up=0.3, div_final=25e4)


def expected(step, steps, maximum, warm_up, first, last):
    """(rate, momentum) as fastai combines two cosine schedules."""
    position = step / steps
    if position < warm_up:
        inner = position / warm_up
        return cosine(first, maximum, inner), cosine(0.95, 0.85, inner)
    inner = (position - warm_up) / (1 - warm_up)
    return cosine(maximum, last, inner), cosine(0.85, 0.95, inner)


@pytest.mark.parametrize("steps", [1, 7, 100])
@pytest.mark.parametrize(
    ("make", "warm_up", "last"),
    [(OneCycle, 0.25, 3e-3 / 1e5), (fastai_1, 0.3, 3e-3 / 25 / 1e4)],
    ids=["v2", "v1"],
)
def test_every_step_follows_the_formulas(make, steps, warm_up, last):
    cycle = make(3e-3, steps)
    for step in range(steps + 1):
        rate, momentum = expected(step, steps, 3e-3, warm_up, 3e-3 / 25, last)
        assert float(cycle.rate(step)) == pytest.approx(rate, rel=1e-4, abs=1e-9)
        assert float(cycle.momentum(step)) == pytest.approx(momentum, abs=1e-6)


def test_landmarks():
    cycle = OneCycle(1.0, 100)
    assert float(cycle.rate(0)) == pytest.approx(0.04)
    assert float(cycle.rate(25)) == pytest.approx(1.0)
    assert float(cycle.rate(100)) == pytest.approx(1e-5, rel=1e-2)
    assert float(cycle.rate(1000)) == float(cycle.rate(100))
    assert [round(float(cycle.momentum(s)), 4) for s in (0, 25, 100)] == [0.95, 0.85, 0.95]


def test_a_compiled_function_follows_another_length_without_a_new_trace():
    cycle = OneCycle(1.0, 100)
    compiled = tf.function(lambda step: cycle.rate(step))
    assert float(compiled(tf.constant(25))) == pytest.approx(1.0)
    cycle.set(0.5, 400)
    assert float(compiled(tf.constant(100))) == pytest.approx(0.5)
    assert float(compiled(tf.constant(0))) == pytest.approx(0.02)
    assert compiled.experimental_get_tracing_count() == 1


def test_hold_and_release():
    cycle = OneCycle(1.0, 100)
    compiled = tf.function(lambda step: (cycle.rate(step), cycle.momentum(step)))
    cycle.hold(0.3, 0.9)
    np.testing.assert_allclose(compiled(tf.constant(25)), (0.3, 0.9), rtol=1e-6)
    cycle.release()
    np.testing.assert_allclose(compiled(tf.constant(25)), (1.0, 0.85), rtol=1e-6)


def test_keras_optimizers_take_it_and_it_serialises():
    cycle = fastai_1(2e-3, 40)
    optimizer = keras.optimizers.SGD(learning_rate=cycle.rate)
    assert float(optimizer.learning_rate) == pytest.approx(2e-3 / 25)
    copy = keras.optimizers.SGD.from_config(optimizer.get_config())
    copy.iterations.assign(12)
    assert float(copy.learning_rate) == pytest.approx(2e-3)


def test_refuses_senseless_settings():
    with pytest.raises(ValueError, match="at least one step"):
        OneCycle(1.0, 0)
    with pytest.raises(ValueError, match="warm_up"):
        OneCycle(1.0, 10, warm_up=0.0)
