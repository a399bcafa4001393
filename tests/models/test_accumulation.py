"""A batch in parts against the whole batch."""

import numpy as np
import pytest
import tensorflow as tf

from lesiongan.models.cyclegan.accumulation import in_parts

SEED = tf.constant([3, 4], tf.int64)
WEIGHT = tf.Variable(np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32))


def _gradients(x, y, seed):
    """Means over a batch of a loss that is not linear in the images, its gradients, and two images a pair."""
    with tf.GradientTape() as tape:
        product = tf.tanh(x @ WEIGHT) * y
        loss = tf.reduce_mean(product**2)
    return {"loss": loss, "other": tf.reduce_mean(x)}, [tape.gradient(loss, WEIGHT)], (product, x + 1.0)


def _batches(batch=6):
    generator = np.random.default_rng(1)
    return [tf.constant(generator.normal(size=(batch, n)), tf.float32) for n in (5, 2)]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_parts_give_the_means_and_the_images_of_the_whole_batch(parts, graph):
    def run(x, y):
        return in_parts(_gradients, parts, (x, y), SEED)

    losses, gradients, images = (tf.function(run) if graph else run)(*_batches())
    expected = _gradients(*_batches(), SEED)
    assert losses.keys() == expected[0].keys()
    for name, loss in expected[0].items():
        np.testing.assert_allclose(losses[name], loss, rtol=1e-6)
    np.testing.assert_allclose(gradients[0], expected[1][0], rtol=1e-5)
    for ours, whole in zip(images, expected[2], strict=True):
        np.testing.assert_allclose(ours, whole, rtol=1e-6, atol=1e-6)


def test_results_without_images():
    losses, gradients = in_parts(lambda *arguments: _gradients(*arguments)[:2], 3, _batches(), SEED)
    np.testing.assert_allclose(losses["loss"], _gradients(*_batches(), SEED)[0]["loss"], rtol=1e-6)
    assert len(gradients) == 1


def test_each_part_draws_by_a_seed_of_its_own():
    def drawn(x, y, seed):
        return {"mean": tf.reduce_mean(x)}, [], (tf.random.stateless_uniform([2, 1], seed), y)

    *_, (draws, _) = in_parts(drawn, 3, _batches(), SEED)
    assert len(np.unique(draws.numpy())) == 6
    *_, (again, _) = in_parts(drawn, 3, _batches(), SEED)
    np.testing.assert_array_equal(draws, again)


def test_the_graph_holds_two_parts_however_many_there_are():
    """A loop: an unrolled graph could compute all parts side by side, in the memory of the whole batch."""

    def products(parts):
        graph = tf.function(lambda x, y: in_parts(_gradients, parts, (x, y), SEED))
        definition = graph.get_concrete_function(*_batches(12)).graph.as_graph_def()
        nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
        return sum(node.op == "Tanh" for node in nodes)

    assert products(3) == products(12) == 2
