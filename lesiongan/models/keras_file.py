"""What a `.keras` file of these models holds beside the weights and optimizers that Keras finds by itself."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.models.replicas import OnReplicas

#: What `compile` of a GAN takes: how a step is run, not what it does.
_OF_RUNNING = ("run_eagerly", "steps_per_execution", "jit_compile")


class WholeState(OnReplicas):
    """A model whose file has its own variables too: counters, image pools, and whatever else a training goes on from.

    Keras saves the weights of layers and the variables of optimizers that are a model's attributes; `own_state` says
    what is none of those.
    """

    def own_state(self) -> dict[str, tf.Variable]:
        """The variables that no layer and no optimizer holds, by the names that they have in a file."""
        raise NotImplementedError

    def save_own_variables(self, store):
        for name, variable in self.own_state().items():
            store[name] = variable.numpy()

    def load_own_variables(self, store):
        """Files of version 0.2 have weights only, and pools are those of as many replicas as there were: what is
        missing stays as it is in a new model."""
        own = self.own_state()
        saved = set(store.keys())
        for name in own.keys() & saved:
            own[name].assign(np.asarray(store[name]))
        if missing := own.keys() - saved:
            warnings.warn(
                f"the file has no {', '.join(sorted(missing))}: a training that goes on from it is not the one that "
                "was saved",
                stacklevel=2,
            )


class GAN(WholeState):
    """A model with losses and optimizers of its own: `compile` takes neither, and `evaluate` gives means of its terms.

    Args:
        tested: names of what `test_step` gives. They must differ from those of `train_step` in one at least: where
            both are alike Keras takes its means, of the evaluation, for the results of an epoch of training.
    """

    generator_optimizer: keras.optimizers.Optimizer

    def __init__(self, tested: list[str], **kwargs):
        super().__init__(**kwargs)
        self.tested = {name: keras.metrics.Mean(name=name) for name in tested}

    def compile(self, **kwargs):
        """Takes `run_eagerly`, `steps_per_execution` and `jit_compile` of `keras.Model.compile` (by default what the
        option `xla` says); losses, rates and optimizers are those of the configuration.

        Raises:
            UsageError: an optimizer, a loss or anything else of the step itself.
        """
        if refused := sorted(kwargs.keys() - set(_OF_RUNNING)):
            raise UsageError(
                f"{type(self).__name__}.compile takes no {', '.join(refused)}: losses and optimizers are those of its "
                f"configuration; it takes {', '.join(_OF_RUNNING)}"
            )
        kwargs = {"jit_compile": self.config.xla} | kwargs
        # Keras knows the one optimizer: for its callbacks, the step has both.
        super().compile(optimizer=self.generator_optimizer, auto_scale_loss=False, **kwargs)

    def get_compile_config(self):
        return {key: value for key, value in super().get_compile_config().items() if key in _OF_RUNNING}

    def compile_from_config(self, config):
        self.compile(**config)

    def means(self, values: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, tf.Tensor]:
        """The means so far over the images of an evaluation, with a batch's `values` of `count` images taken in."""
        for name, value in values.items():
            self.tested[name].update_state(value, tf.cast(count, tf.float32))
        return {name: mean.result() for name, mean in self.tested.items()}
