"""`precision=auto`: bfloat16 where this machine computes a training's step faster with it.

Weights, norms' statistics, losses and optimizers stay in float32 (Keras's `mixed_bfloat16`). Processors with
AVX512_BF16 or AMX multiply in bfloat16 at once, others make float32 of it first and are slower. So a few steps of
either are timed before a training begins. What was chosen is kept in its folder: one that goes on, elsewhere perhaps,
goes on with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf

from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed
from lesiongan.base.timing import median_seconds
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig

AUTO, PLAIN, LOW = "auto", "float32", "mixed_bfloat16"
GAIN = 1.1  # what bfloat16 must win: less is within what one measurement differs from the next
FILE = "precision.json"
_ROUNDS, _WARM = 5, 2

ConfigT = TypeVar("ConfigT", ACGANConfig, CycleGANConfig)


def chosen(seconds: Mapping[str, float]) -> str:
    """The precision by the seconds of a step in either."""
    return LOW if seconds[PLAIN] >= GAIN * seconds[LOW] else PLAIN


def settled(config: ConfigT, folder: Path, prepared: Callable[[ConfigT], tuple[Any, Any]]) -> ConfigT:
    """The configuration with `auto` settled for this machine, once per folder.

    Args:
        config: any other precision is left alone.
        folder: of the training; gets `precision.json`.
        prepared: a configuration -> a model that is ready to train, and a batch for its `train_step`.
    """
    if config.precision != AUTO:
        return config
    path = folder / FILE
    try:
        precision = read_sealed(path)["precision"] if path.exists() else ""
    except (DamagedError, KeyError):
        precision = ""
    if precision not in (PLAIN, LOW):
        timed = {name: _steps(*prepared(_with(config, name))) for name in (PLAIN, LOW)}
        seconds = median_seconds(timed, _ROUNDS, _WARM)
        precision = chosen(seconds)
        folder.mkdir(parents=True, exist_ok=True)
        write_sealed(path, {"precision": precision, "seconds": seconds})
        say(f"precision: {precision}; a step takes {seconds[PLAIN]:.3f} s in float32, {seconds[LOW]:.3f} s in bfloat16")
    return _with(config, precision)


def _with(config: ConfigT, precision: Any) -> ConfigT:
    return dataclasses.replace(config, precision=precision)


def _steps(model: Any, batch: Any) -> Callable[[], Any]:
    step = tf.function(model.train_step, autograph=False)
    return lambda: tf.nest.map_structure(lambda loss: loss.numpy(), step(batch))
