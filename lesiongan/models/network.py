"""The base of networks whose kernels have names and come from a seed."""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.models.batch_norms import BatchNorms
from lesiongan.models.spectral_norm import initial_vector, normalised

DEVIATION = 0.02  # of the initial weights


class Network(keras.layers.Layer):
    """Kernels by name, from a seed; weights are float32, cast to the precision's type to compute with.

    Args:
        settings: the constructor's arguments, kept for `get_config`. `seed` decides the initial weights; `precision`
            is a dtype policy of Keras; with `spectral_norm` every kernel is divided by its spectral norm.
    """

    norms: BatchNorms  # of networks that have some

    def __init__(self, settings: dict, name: str):
        super().__init__(name=name, autocast=False)
        self.settings = settings
        self.compute = tf.as_dtype(keras.DTypePolicy(settings["precision"]).compute_dtype)
        self.kernels: dict[str, keras.Variable] = {}
        self.vectors: dict[str, keras.Variable] = {}
        self.biases: dict[str, keras.Variable] = {}
        self.deviations: dict[str, float] = {}

    def add_kernel(
        self, key: str, shape: tuple[int, ...], deviation: float = DEVIATION, *, spectral_norm: bool | None = None
    ) -> None:
        """A kernel of N(0, deviation); the last axis of its shape is the outputs (of a transposed one, the inputs).
        `spectral_norm` overrides the setting."""
        seed, index = self.settings["seed"], len(self.kernels)
        value = tf.random.stateless_normal(shape, [seed, index], 0.0, deviation, alg="philox")
        self.deviations[key] = deviation
        self.kernels[key] = self.weight(shape, lambda *_, **__: value, name=key)
        if self.settings.get("spectral_norm") if spectral_norm is None else spectral_norm:
            vector = initial_vector(seed, index, shape[-1])
            self.vectors[key] = self.weight(shape[-1:], lambda *_, **__: vector, trainable=False, name=f"{key}_vector")

    def kernel(self, key: str, update: bool = False) -> tf.Tensor:
        """The kernel to compute with; `update` stores the power iteration's next vector."""
        kernel = self.kernels[key].value
        if key in self.vectors:
            kernel = normalised(kernel, self.vectors[key].value, update=update)
        return tf.cast(kernel, self.compute)

    def add_biases(self, widths: dict[str, int]) -> None:
        self.biases = {key: self.weight((width,), "zeros", name=f"{key}_bias") for key, width in widths.items()}

    def reset(self, seed: int) -> None:
        """Re-initialises all weights, by another seed than the constructor's."""
        for index, (key, kernel) in enumerate(self.kernels.items()):
            kernel.assign(
                tf.random.stateless_normal(kernel.shape, [seed, index], 0.0, self.deviations[key], alg="philox")
            )
            if key in self.vectors:
                self.vectors[key].assign(initial_vector(seed, index, kernel.shape[-1]))
        for bias in self.biases.values():
            bias.assign(tf.zeros(bias.shape))
        if hasattr(self, "norms"):
            self.norms.reset()

    def weight(self, shape, initializer, **options) -> keras.Variable:
        """A variable that replicas assign alike: an averaged generator's weights, a spectral norm's vector."""
        return self.add_weight(shape, initializer, aggregation="only_first_replica", **options)

    def dense(self, x: tf.Tensor, key: str, update: bool = False) -> tf.Tensor:
        """`[batch, inputs]` -> `[batch, outputs]`, with a bias."""
        return self.biased(tf.matmul(x, self.kernel(key, update)), key)

    def biased(self, x: tf.Tensor, key: str) -> tf.Tensor:
        return tf.nn.bias_add(x, tf.cast(self.biases[key].value, self.compute))

    def get_config(self):
        return {**super().get_config(), **self.settings}
