"""Adam as PyTorch and fastai define it: epsilon after the bias correction, momentum that moves within the compiled
step, and weight decay apart from the gradient.

Source: Kingma and Ba 2015, algorithm 1; fastai, `optimizer.py` (`adam_step`, `weight_decay`); Loshchilov and Hutter
2019 for the decoupled decay.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ParameterGroups:
    """Groups of variables with rates of their own (fastai's discriminative rates).

    Attributes:
        index: `id` of each variable -> its group.
        schedule: from the step (0 is the first) the factor on the rate of each group (0: frozen) and the step that
            each group's training begins with, float32 `[groups]`.
    """

    index: Mapping[int, int]
    schedule: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@keras.saving.register_keras_serializable(package="lesiongan")
class Adam(keras.optimizers.Optimizer):
    """Adam in one fused kernel per variable, so that it adds little to a graph.

    With t = 1, 2, ... the number of this step, rate and beta_1 those of this step:

        p <- p - rate * weight_decay * p                      (variables of rank 2 and more only)
        m <- beta_1 * m + (1 - beta_1) * g
        v <- beta_2 * v + (1 - beta_2) * g^2
        p <- p - rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    It differs from `keras.optimizers.AdamW` in three ways: `epsilon` is added after the bias correction (Keras adds it
    before, which is a larger one in the first steps), `beta_1` may be a schedule (Keras bakes a number into the
    compiled step), and biases and batch norm's scales and offsets (all variables of rank 0 and 1) do not decay.

    Args:
        learning_rate: a float, or a function of `iterations` (0 in the first step) such as a `LearningRateSchedule`.
        beta_1: likewise.
        beta_2: decay of the squared gradients' average.
        epsilon: added to the bias-corrected root.
        weight_decay: decoupled; multiplied by the rate.
        groups: groups of variables with rates of their own; not part of the optimizer's configuration.
    """

    _now: list[types.SimpleNamespace] | None  # this step's numbers, one entry per group, while `apply` runs

    def __init__(
        self,
        learning_rate: float | Callable = 1e-3,
        beta_1: float | Callable = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        groups: ParameterGroups | None = None,
        name: str = "adam",
        **kwargs,
    ):
        # Keras's own decay would reach every variable, so it is switched off.
        kwargs.pop("weight_decay", None)
        super().__init__(learning_rate=learning_rate, weight_decay=None, name=name, **kwargs)
        self.schedule = learning_rate if callable(learning_rate) else None
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.decoupled_decay = weight_decay
        self.groups = groups

    @classmethod
    def fastai(cls, learning_rate: float | Callable, beta_1: float | Callable = 0.9, **options) -> Adam:
        """With fastai's defaults: `beta_2` 0.99, `epsilon` 1e-5, `weight_decay` 0.01."""
        return cls(learning_rate, beta_1, **{"beta_2": 0.99, "epsilon": 1e-5, "weight_decay": 0.01} | options)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._group_of = [self.groups.index[id(v)] if self.groups else 0 for v in variables]
        self._averages, self._square_averages = self.add_optimizer_variables(variables, ["average", "square_average"])

    def momentum_now(self) -> tf.Tensor:
        """This step's beta_1, float32 scalar."""
        beta_1 = self.beta_1(self.iterations) if callable(self.beta_1) else self.beta_1
        return tf.convert_to_tensor(beta_1, tf.float32)

    def apply(self, grads, trainable_variables=None):
        # What is the same for all variables is computed once: a schedule per variable would be most of the graph.
        step = tf.cast(self.iterations, tf.float32) + 1.0
        rate, beta_1 = tf.cast(self.learning_rate, tf.float32), self.momentum_now()
        if self.groups is None:
            self._now = [self._numbers(rate, beta_1, step)]
        else:
            factors, begins = self.groups.schedule(self.iterations)
            count = factors.shape[0]
            numbers = zip(tf.unstack(factors, count), tf.unstack(begins, count), strict=True)
            self._now = [
                self._numbers(rate * factor, beta_1, tf.maximum(step - begin, 1.0), frozen=factor == 0.0)
                for factor, begin in numbers
            ]
        super().apply(grads, trainable_variables)
        self._now = None

    def _numbers(self, rate, beta_1, step, frozen=None) -> types.SimpleNamespace:
        """What the update of a group's variables needs, at the step that the group counts."""
        beta_2_power = tf.constant(self.beta_2) ** step
        return types.SimpleNamespace(
            rate=rate,
            decay=rate * self.decoupled_decay,
            beta_1=beta_1,
            beta_1_power=beta_1**step,
            beta_2=tf.constant(self.beta_2),
            beta_2_power=beta_2_power,
            # The kernel adds its epsilon to the root before the bias correction: rate * c / (sqrt(v) + c * epsilon)
            # with c = sqrt(1 - beta_2^t) is rate / (sqrt(v / c^2) + epsilon).
            epsilon=self.epsilon * tf.sqrt(1.0 - beta_2_power),
            # a frozen variable's averages must stay 0, as if it had seen no gradient
            gradient=None if frozen is None else 1.0 - tf.cast(frozen, tf.float32),
        )

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)

        def cast(x):
            return tf.cast(x, variable.dtype)

        assert self._now is not None  # only `apply` comes here
        now = self._now[self._group_of[index]]
        gradient = cast(gradient) if now.gradient is None else cast(gradient) * cast(now.gradient)
        if self.decoupled_decay and len(variable.shape) > 1:
            variable.assign_sub(cast(now.decay) * variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._averages[index].value.handle,
            v=self._square_averages[index].value.handle,
            beta1_power=cast(now.beta_1_power),
            beta2_power=cast(now.beta_2_power),
            lr=cast(now.rate),
            beta1=cast(now.beta_1),
            beta2=cast(now.beta_2),
            epsilon=cast(now.epsilon),
            grad=gradient,
        )

    def get_config(self):
        config = super().get_config()
        serialize = keras.saving.serialize_keras_object
        config.update(
            beta_1=serialize(self.beta_1) if callable(self.beta_1) else self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.decoupled_decay,
        )
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if isinstance(config["beta_1"], dict):
            config["beta_1"] = keras.saving.deserialize_keras_object(config["beta_1"], custom_objects=custom_objects)
        return super().from_config(config, custom_objects=custom_objects)
