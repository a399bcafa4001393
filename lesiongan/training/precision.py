"""`precision=auto`: bfloat16 where this machine computes a training's step faster with it.

Weights, norms' statistics, losses and optimizers stay in float32 (Keras's `mixed_bfloat16`). Processors with
AVX512_BF16 or AMX multiply in bfloat16 at once, others make float32 of it first and are slower. So a few steps of
either are timed before a training begins. What was chosen is kept in its folder: one that goes on, elsewhere perhaps,
goes on with it.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf

from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError, read_sealed, write_sealed
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN

AUTO, PLAIN, LOW = "auto", "float32", "mixed_bfloat16"
GAIN = 1.1  # what bfloat16 must win: less is within what one measurement differs from the next
FILE = "precision.json"
_ROUNDS, _WARM = 5, 2

ConfigT = TypeVar("ConfigT", ACGANConfig, CycleGANConfig)


def settled_acgan(config: ACGANConfig, folder: Path, num_classes: int) -> ACGANConfig:
    """The configuration with `auto` settled for this machine, once per folder."""

    def steps(config: ACGANConfig) -> Callable[[], Any]:
        model = ACGAN(config, num_classes, seed=0, steps=1)
        model.compile()
        labels = tf.range(config.batch) // 2 % num_classes  # pairs of one class, which some networks see
        return _steps(model, (_noise(config.batch, config.size, 0), labels))

    return _settled(config, folder, steps)


def settled_cyclegan(config: CycleGANConfig, folder: Path) -> CycleGANConfig:
    """The same for a CycleGAN."""

    def steps(config: CycleGANConfig) -> Callable[[], Any]:
        pair = tuple(_noise(config.batch, config.size, side) for side in (0, 1))
        return _steps(CycleGAN(config, seed=0, steps=1), pair)

    return _settled(config, folder, steps)


def chosen(seconds: Mapping[str, float]) -> str:
    """The precision by the seconds of a step in either."""
    return LOW if seconds[PLAIN] >= GAIN * seconds[LOW] else PLAIN


def _settled(config: ConfigT, folder: Path, steps: Callable[[ConfigT], Callable[[], Any]]) -> ConfigT:
    if config.precision != AUTO:
        return config
    path = folder / FILE
    try:
        precision = read_sealed(path)["precision"] if path.exists() else ""
    except (DamagedError, KeyError):
        precision = ""
    if precision not in (PLAIN, LOW):
        timed = {name: steps(_with(config, name)) for name in (PLAIN, LOW)}
        seconds = _seconds(timed)
        precision = chosen(seconds)
        folder.mkdir(parents=True, exist_ok=True)
        write_sealed(path, {"precision": precision, "seconds": seconds})
        say(f"precision: {precision}; a step takes {seconds[PLAIN]:.3f} s in float32, {seconds[LOW]:.3f} s in bfloat16")
    return _with(config, precision)


def _with(config: ConfigT, precision: Any) -> ConfigT:
    return dataclasses.replace(config, precision=precision)


def _seconds(timed: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of a step of each, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(_WARM + _ROUNDS):
        for name, step in timed.items():
            begin = time.perf_counter()
            step()
            if number >= _WARM:
                taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in taken.items()}


def _steps(model: Any, batch: tuple[tf.Tensor, tf.Tensor]) -> Callable[[], Any]:
    step = tf.function(model.train_step, autograph=False)
    return lambda: tf.nest.map_structure(lambda loss: loss.numpy(), step(batch))


def _noise(batch: int, size: int, seed: int) -> tf.Tensor:
    return tf.random.stateless_uniform([batch, size, size, 3], [seed, 0], -1.0, 1.0)
