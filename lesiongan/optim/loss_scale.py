"""Loss scaling for training in float16 (Micikevicius et al. 2018, "Mixed Precision Training", section 3.2)."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("lesiongan")
class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras's dynamic loss scale, which takes a step only where the gradients of ALL replicas are finite.

    Small gradients would be 0 in float16, so the loss is multiplied before the gradients are taken (`scale_loss`) and
    `apply` divides them. The scale starts at 2^15, doubles after 2,000 finite steps in a row, and where a gradient is
    not finite it is halved and nothing else changes in that step. Keras checks the first replica's gradients only.
    """

    def check_finite(self, grads):
        finite = super().check_finite(grads)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return finite
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.int32)) == 0

    def restart(self) -> None:
        """Resets scale and counter; the inner optimizer stays."""
        self.step_counter.assign(0)
        self.dynamic_scale.assign(self.initial_scale)
