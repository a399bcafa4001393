"""A training step on several replicas, each with its share of the batch, as the step of one device with all of it.

Replica r of n has the r-th of n equal parts of the batch. What is drawn at random is drawn for the whole batch, by the
same seed on each of them, and each keeps what is of its own images; statistics over a batch are means over all; what a
later step needs of the images themselves is gathered. So weights, optimizers and image pools are the same on each
replica and as on one device, but for the order of sums, and nothing of a checkpoint depends on their number.

On one device every function here gives back what it was given: the graph is that of a model that knows of no replicas.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from lesiongan.base.errors import UsageError


def replicas() -> int:
    """How many share the batch of the step that is being traced; 1 outside of one."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def drawn(draw: Callable[[tf.Tensor], tf.Tensor], count: int | tf.Tensor, axis: int = 0) -> tf.Tensor:
    """What is drawn for this replica's `count` images.

    Args:
        draw: from a number of images what is drawn for them; `axis` counts the images.
        count: images of this replica.
    """
    return draw(count) if replicas() == 1 else own_part(draw(replicas() * count), axis)


def own_part(whole: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """This replica's part of what is of the whole batch along `axis`."""
    if replicas() == 1:
        return whole
    return tf.split(whole, replicas(), axis)[_index()]


def whole_batch(part: tf.Tensor) -> tf.Tensor:
    """`[batch, ...]` of all replicas, `[batch / n, ...]` from each. It has no gradient."""
    if replicas() == 1:
        return part
    return tf.distribute.get_replica_context().all_gather(tf.stop_gradient(part), axis=0)


def mean_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean over the replicas; its gradient goes to all of them."""
    if replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, value)


def next_image(images: tf.Tensor) -> tf.Tensor:
    """For each image of `[batch, ...]` the next one of the whole batch, round it."""
    if replicas() == 1:
        return tf.roll(images, -1, 0)
    firsts = whole_batch(images[:1])
    following = (_index() + 1) % replicas()
    return tf.concat([images[1:], firsts[following : following + 1]], 0)


class OnReplicas(keras.Model):
    """A model whose `fit` runs a step on each replica of the strategy in whose scope it was made, and gives the means
    of their losses. Keras's own gives those of the first, and fails where replicas are on several machines."""

    train_function: Callable | None

    def make_train_function(self, force=False):
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return super().make_train_function(force)
        if self.train_function is None or force:
            if self.steps_per_execution > 1 or self.jit_compile:
                raise UsageError("on several replicas a step is run alone and without XLA: compile the model so")

            def step(batch):
                losses = strategy.run(self.train_step, args=(batch,))
                return {name: strategy.reduce("MEAN", loss, axis=None) for name, loss in losses.items()}

            compiled = tf.function(step, autograph=False)
            self.train_function = lambda iterator: compiled(next(iterator))
        return self.train_function


def check_share(batch: int, option: str, parts: int = 1, replicas: int = 0) -> None:
    """Refuses a batch that replicas cannot share.

    Args:
        batch: images of a step.
        option: that says so.
        parts: in which each replica computes its share.
        replicas: their number; 0: of the strategy in scope.

    Raises:
        UsageError: it is no multiple.
    """
    count = replicas or tf.distribute.get_strategy().num_replicas_in_sync
    if batch % (count * parts):
        times = f" times {parts} parts of each" if parts > 1 else ""
        raise UsageError(f"option {option!r}: {batch} is not a multiple of the number of replicas ({count}){times}")


def share_of_mean(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """This replica's share of the mean over replicas, for `apply` of a Keras optimizer, which takes their sum."""
    count = tf.distribute.get_strategy().num_replicas_in_sync
    # the gradient of an embedding that is gathered by labels is one of slices
    return gradients if count == 1 else [tf.convert_to_tensor(gradient) / count for gradient in gradients]


def _index() -> int:
    """Which of the replicas this is."""
    return int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
