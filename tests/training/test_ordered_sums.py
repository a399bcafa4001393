"""A training whose gradients are sums of several large parts ends the same each time, in however many threads."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from line import Stop
from tensorflow.python.eager import context

from lesiongan.training.loop import fit
from lesiongan.training.run import Run

SHAPE, STEPS = (64, 65_536), 3  # 17 MB; a step takes more than the 205 MB from which on sums are rewritten


class Waves(keras.Model):
    """The gradient of what is shown is a sum of five parts."""

    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=SHAPE, initializer="ones", name="w")
        self.built = True

    def train_step(self, data):
        with tf.GradientTape() as tape:
            shown = self.w * data
            loss = tf.add_n([tf.reduce_mean(tf.sin(shown * (wave + 0.5)) ** 2) for wave in range(5)])
        self.w.assign_sub(1000.0 * tape.gradient(loss, self.w))
        return {"loss": loss}

    def state(self):
        return [self.w.value]


def batches(start: int) -> tf.data.Dataset:
    pixels = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    return tf.data.Dataset.from_tensors(pixels).repeat(STEPS - start)


def trained(folder, *stops: int) -> np.ndarray:
    """The weight after a training that is stopped after so many steps of each process."""
    for stop in (*stops, None):
        model = Waves()
        model.compile(jit_compile=False)
        run = Run("waves", folder, steps=STEPS, images_per_step=1)
        if stop:
            with pytest.raises(KeyboardInterrupt):
                fit(model, batches, run, [Stop(stop)], checkpoint_every=0.0)
        else:
            fit(model, batches, run, checkpoint_every=0.0)
    return model.w.numpy()


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="of processors")
def test_an_interrupted_training_ends_with_the_same_weights_in_several_threads(tmp_path):
    context.context().enable_run_metadata()
    whole = trained(tmp_path / "whole")
    graphs = context.context().export_run_metadata().function_graphs
    context.context().disable_run_metadata()
    for attempt in range(2):
        np.testing.assert_array_equal(trained(tmp_path / str(attempt), 1), whole)
    ran = [node for graph in graphs for node in _nodes(graph.post_optimization_graph)]
    assert [node for node in ran if node.op == "AddN" and len(node.input) == 5]
    assert not [node for node in ran if node.op == "TemporaryVariable"]  # what parts are added to as they arrive


def _nodes(graph):
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
