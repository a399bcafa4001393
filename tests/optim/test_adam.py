"""Adam against algorithm 1 of Kingma and Ba (2015), written out in float64."""

import keras
import numpy as np

from lesiongan.optim.adam import Adam
from lesiongan.optim.schedules import LinearDecay


def test_updates_equal_the_papers_formula_with_a_schedule_and_an_epsilon_that_matters():
    generator = np.random.default_rng(0)
    variable = keras.Variable(generator.normal(size=(3, 4)).astype(np.float32))
    schedule, epsilon = LinearDecay(0.1, 10), 1e-3
    optimizer = Adam(schedule, beta_1=0.5, beta_2=0.999, epsilon=epsilon)
    optimizer.build([variable])
    w, m, v = variable.numpy().astype(np.float64), 0.0, 0.0
    for t in range(1, 11):
        gradient = 1e-3 * generator.normal(size=(3, 4))
        m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * gradient**2
        w -= float(schedule(t - 1)) * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.999**t)) + epsilon)
        optimizer.apply([gradient.astype(np.float32)], [variable])
        np.testing.assert_allclose(variable.numpy(), w, rtol=2e-4, atol=1e-5)
    assert int(optimizer.iterations) == 10
