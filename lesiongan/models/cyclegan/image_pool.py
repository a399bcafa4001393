"""The history of generated images for a discriminator (Shrivastava et al. 2017; Zhu et al. 2017, section 4)."""

from __future__ import annotations

import tensorflow as tf

from lesiongan.models.replicas import own_part, whole_batch


class ImagePool(tf.Module):
    """A buffer of earlier generated images, in variables, so that a checkpoint holds it.

    Image by image: while the pool fills, an image is stored and returned. Then, with probability 0.5, a stored image is
    returned and the new one takes its place; else the new one is returned and not stored.

    Made in the scope of a `tf.distribute` strategy each replica has a copy, through which the images of all go.

    Args:
        capacity: images kept, 50 in the reference; 0 returns what comes in.
        shape: of one image, `(height, width, channels)`.
    """

    def __init__(self, capacity: int, shape: tuple[int, int, int], name: str | None = None):
        super().__init__(name=name)
        self.capacity = capacity
        if capacity:
            alike = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
            self.buffer = tf.Variable(tf.zeros((capacity, *shape)), name="buffer", **alike)
            self.count = tf.Variable(0, dtype=tf.int64, name="count", **alike)

    def state(self) -> list[tf.Variable]:
        """Buffer and count."""
        return [self.buffer, self.count] if self.capacity else []

    def reset(self) -> None:
        """Empties the pool, in place."""
        for variable in self.state():
            variable.assign(tf.zeros_like(variable))

    def draw(self, count: int | tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What `query` draws for `count` images by a seed, int64 `[2]`: whether to swap, bool, and slots, int64."""
        coins, slots = tf.unstack(tf.random.split(seed, 2))
        swap = tf.random.stateless_uniform([count], coins) < 0.5
        return swap, tf.random.stateless_uniform([count], slots, maxval=self.capacity, dtype=tf.int64)

    def query(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Images for the discriminator in place of those just generated, and the pool's next state.

        Args:
            images: float `[batch, height, width, channels]`; with a static batch the graph is quicker.
            seed: int64 `[2]`; the same seed and the same state give the same images.

        Returns:
            The same shape, detached.
        """
        images = tf.stop_gradient(images)
        return own_part(self._query(whole_batch(images), seed)) if self.capacity else images

    def _query(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count = images.shape[0]
        swaps, slots = self.draw(tf.shape(images)[0] if count is None else count, seed)
        if count is None:
            each = (images, swaps, slots)
            return tf.map_fn(
                lambda one: self._exchange(*one), each, fn_output_signature=images.dtype, parallel_iterations=1
            )
        return tf.stack([self._exchange(*one) for one in zip(*map(tf.unstack, (images, swaps, slots)), strict=True)])

    def _exchange(self, image: tf.Tensor, swap: tf.Tensor, slot: tf.Tensor) -> tf.Tensor:
        """What is returned for one image."""
        filling = self.count < self.capacity
        swap = tf.logical_and(swap, tf.logical_not(filling))
        slot = tf.where(filling, self.count, slot)
        old = tf.gather(self.buffer, slot)
        # Not storing means storing the old image again: no branch in the graph.
        stored = tf.where(tf.logical_or(filling, swap), image, old)
        # Each replica changes its own copy: what an `assign` does of all is refused in a loop.
        tf.raw_ops.ResourceScatterUpdate(resource=self.buffer.handle, indices=slot[None], updates=stored[None])
        tf.raw_ops.AssignAddVariableOp(resource=self.count.handle, value=tf.cast(filling, tf.int64))
        return tf.where(swap, old, image)
