"""Training steps under a `tf.distribute` strategy: what each replica does on its own, and the means over all."""

from __future__ import annotations

import tensorflow as tf


def replica_seed(seed: tf.Tensor) -> tf.Tensor:
    """The seed of this replica's own draws, int64 `[2]`; with one replica the seed itself."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return seed
    return tf.random.fold_in(seed, tf.cast(context.replica_id_in_sync_group, tf.int64))


def share_of_mean(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """This replica's share of the mean over replicas, for `apply` of a Keras optimizer, which takes their sum."""
    count = tf.distribute.get_strategy().num_replicas_in_sync
    return gradients if count == 1 else [gradient / count for gradient in gradients]
