"""`precision=auto`: bfloat16 where this machine computes a training's step faster with it.

Weights, norms' statistics, losses and optimizers stay in float32 (Keras's `mixed_bfloat16`). Processors with
AVX512_BF16 or AMX multiply in bfloat16 at once; on others the gradient of a convolution takes ten to twenty times as
long as in float32. So one small convolution is timed before a training begins, and where that leaves the question open
a few steps of either. What was chosen is kept in its folder: one that goes on, elsewhere perhaps, goes on with it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import keras
import tensorflow as tf

from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed
from lesiongan.base.timing import median_seconds
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig

AUTO, PLAIN, LOW = "auto", "float32", "mixed_bfloat16"
GAIN = 1.1  # what bfloat16 must win: less is within what one measurement differs from the next
HOPELESS = 3.0  # a convolution that takes so many times as long is not made good by the rest of a step
FILE = "precision.json"
_ROUNDS, _WARM = 5, 2

ConfigT = TypeVar("ConfigT", ACGANConfig, CycleGANConfig)


def chosen(seconds: Mapping[str, float]) -> str:
    """The precision by the seconds of a step in either."""
    return LOW if seconds[PLAIN] >= GAIN * seconds[LOW] else PLAIN


@functools.cache  # a table trains many classifiers in one process
def slowness(precision: str) -> float:
    """How many times as long as in float32 a small convolution and its gradient take on this machine (in a second)."""
    dtypes = {PLAIN: tf.float32, precision: tf.as_dtype(keras.DTypePolicy(precision).compute_dtype)}
    seconds = median_seconds({name: _convolution(dtype) for name, dtype in dtypes.items()}, _ROUNDS, _WARM)
    return seconds[precision] / seconds[PLAIN]


def say_if_slow(precision: str) -> None:
    """Says it where a training in this precision would take many times as long as in float32."""
    if precision != PLAIN and (slower := slowness(precision)) > HOPELESS:
        say(f"precision: a convolution takes {slower:.0f} times as long in {precision} as in float32 on this machine")


def settled(config: ConfigT, folder: Path, prepared: Callable[[ConfigT], tuple[Any, Any]]) -> ConfigT:
    """The configuration with `auto` settled for this machine, once per folder.

    Args:
        config: any other precision is left alone.
        folder: of the training; gets `precision.json`.
        prepared: a configuration -> a model that is ready to train, and a batch for its `train_step`.
    """
    if config.precision != AUTO:
        say_if_slow(config.precision)
        return config
    path = folder / FILE
    try:
        precision = read_sealed(path)["precision"] if path.exists() else ""
    except (DamagedError, KeyError):
        precision = ""
    if precision not in (PLAIN, LOW):
        kept: dict[str, Any]
        slower = slowness(LOW)
        if slower > HOPELESS:
            precision, kept = PLAIN, {"convolution": slower}
            why = f"a convolution takes {slower:.0f} times as long in bfloat16 here"
        else:
            timed = {name: _steps(*prepared(_with(config, name))) for name in (PLAIN, LOW)}
            seconds = median_seconds(timed, _ROUNDS, _WARM)
            precision, kept = chosen(seconds), {"seconds": seconds}
            why = f"a step takes {seconds[PLAIN]:.3f} s in float32, {seconds[LOW]:.3f} s in bfloat16"
        folder.mkdir(parents=True, exist_ok=True)
        write_sealed(path, {"precision": precision, **kept})
        say(f"precision: {precision}; {why}")
    return _with(config, precision)


def _with(config: ConfigT, precision: Any) -> ConfigT:
    return dataclasses.replace(config, precision=precision)


def _convolution(dtype: tf.DType) -> Callable[[], Any]:
    images, kernel = tf.zeros([8, 16, 16, 32], dtype), tf.zeros([3, 3, 32, 32], dtype)

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            total = tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME"))
        return tape.gradient(total, (images, kernel))

    return lambda: [gradient.numpy() for gradient in gradients()]


def _steps(model: Any, batch: Any) -> Callable[[], Any]:
    step = tf.function(model.train_step, autograph=False)
    return lambda: tf.nest.map_structure(lambda loss: loss.numpy(), step(batch))
