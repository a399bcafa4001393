"""A training of one number that can be followed by hand."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


class Line(keras.Model):
    """Fits y = w x; the batch says how fast, so that any change of the data's position shows in w."""

    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(), initializer="zeros", name="w")
        self.built = True

    def train_step(self, data):
        x, y = data
        error = tf.reduce_mean(y - self.w * x)
        self.w.assign_add(0.1 * error)
        return {"loss": error}

    def state(self):
        return [self.w.value]


class Counted(Line):
    """Counts its own steps."""

    def __init__(self):
        super().__init__()
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)

    def train_step(self, data):
        self.step.assign_add(1)
        return super().train_step(data)

    def state(self):
        return [*super().state(), self.step]


def model() -> Line:
    line = Line()
    line.compile(jit_compile=False)
    return line


def batches(stop: int, step_count: list | None = None):
    def start_at(start: int) -> tf.data.Dataset:
        if step_count is not None:
            step_count.append(start)
        data = tf.data.Dataset.range(start, stop)
        return data.map(lambda i: (tf.cast(i % 7, tf.float32)[None], tf.cast(i % 5, tf.float32)[None]))

    return start_at


def by_hand(steps: int) -> float:
    w = np.float32(0)
    for i in range(steps):
        w += np.float32(0.1) * (np.float32(i % 5) - w * np.float32(i % 7))
    return float(w)


class Stop(keras.callbacks.Callback):
    """Ends a training as Ctrl-C does, after so many steps of this process."""

    def __init__(self, after: int):
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.after:
            raise KeyboardInterrupt
