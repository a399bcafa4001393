"""Where a network's time goes: every convolution and product of it, forward and with its gradient.

    python -m benchmarks.stages --model acgan|cyclegan|classifier [--recipe paper|best] [--size N] [--batch N]
        [--rounds 7] [--precision float32|mixed_bfloat16] [--quick]

A stage is a convolution (or product, or instance norm) as the network calls it, with its own formulation and gradient,
at its own shapes; CycleGAN's blocks, which compute in several forms, are stages as they are. Equal stages are one line,
with how many there are. For each: milliseconds forward, and forward with the gradients of input and kernel (of frozen
features the input's alone), its GFLOP forward by TensorFlow's profiler, the share that its forward pass reaches of the
rate of a product of matrices of 1,536 on the same cores, and the ratio of training to forward. Arithmetic says 3 (2
where only the input has a gradient); ratios above 3.3 (2.3) are marked. Stages are timed in turn, medians of the
rounds, after two that warm up.
The last line is the share of the stages' training time that marked ones take.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from benchmarks import quick
from lesiongan.base.timing import median_seconds
from lesiongan.config.checks import require
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.training.classifier import build_classifier
from pipelines.presets import resolve

_RATE_SIDE = 1536
_WARM = 2  # rounds that do not count
_LIMITS = {True: 3.3, False: 2.3}  # of training over forward, with and without the kernel's gradient
_LEAST = 0.02  # of all time: shorter stages are not marked, what they take is overhead
_WITHIN = {  # modules whose own formulations are stages, and their names
    "lesiongan.models.acgan.networks": ("transposed_convolution",),
    "lesiongan.models.acgan.residual": ("resize_convolution", "halving_convolution"),
    "lesiongan.models.cyclegan.additive": ("resize_convolution", "instance_norm"),
    "lesiongan.models.backbones.conv_stack": ("depthwise_5x5", "pointwise_conv"),
    "lesiongan.models.projected.features": ("enlarged",),
    "lesiongan.models.bilinear": ("enlarged",),
    "tensorflow.nn": ("conv2d", "depthwise_conv2d"),
    "tensorflow": ("matmul",),
}


@dataclasses.dataclass
class Stage:
    """One call: the function, which takes the tensors alone; their shapes and type; whether the kernel is trained."""

    name: str
    function: Callable[..., tf.Tensor]
    shapes: tuple[tuple[int, ...], ...]
    dtype: tf.DType
    trained: bool
    count: int = 1
    variables: tuple = ()

    @property
    def key(self) -> tuple:
        return self.name, self.shapes, self.dtype, self.trained


@contextlib.contextmanager
def recording(found: list[Stage]) -> Iterator[None]:
    """Within it calls of the functions of `_WITHIN` with static shapes are noted, those inside another are not."""
    depth = [0]

    def noted(name: str, original: Callable) -> Callable:
        @functools.wraps(original)
        def call(*args, **options):
            depth[0] += 1
            try:
                result = original(*args, **options)
            finally:
                depth[0] -= 1
            if not depth[0] and tf.is_tensor(args[0]):
                found.append(_stage(name, original, args, options))
            return result

        return call

    with contextlib.ExitStack() as stack:
        for module, names in _WITHIN.items():
            for name in names:
                target = f"{module}.{name}"
                original = getattr(tf.nn if module == "tensorflow.nn" else __import__(module, fromlist=["x"]), name)
                stack.enter_context(mock.patch(target, noted(name, original)))
        yield


def _stage(name: str, original: Callable, args: tuple, options: dict) -> Stage:
    tensors = [index for index, arg in enumerate(args) if tf.is_tensor(arg)]

    def function(*given):
        filled = list(args)
        for index, tensor in zip(tensors, given, strict=True):
            filled[index] = tensor
        return original(*filled, **options)

    shapes = tuple(tuple(args[index].shape) for index in tensors)
    stride = next((str(arg) for arg in args[2:3] if isinstance(arg, int) and arg > 1), "")
    return Stage(f"{name}{' /' + stride if stride else ''}", function, shapes, args[0].dtype, len(shapes) > 1)


def stages_of(options: argparse.Namespace) -> tuple[list[Stage], int]:
    """The stages of one pass of every network of a model, and the batch."""
    preset = resolve("small", recipe=options.recipe, here=False)
    config = getattr(preset, options.model)
    changes = {name: value for name, value in vars(options).items() if name in ("size", "batch", "precision") and value}
    config = dataclasses.replace(config, **changes)
    size, batch = config.size, config.batch
    images = tf.TensorSpec([batch, size, size, 3])
    found: list[Stage] = []
    if isinstance(config, ClassifierConfig):
        model = build_classifier(config, 8)
        found += recorded(lambda x: model(x, training=True), images)
    elif options.model == "acgan":
        model = ACGAN(config, 8)
        found += recorded(lambda z: model.generator(z, training=True), tf.TensorSpec([batch, config.latent]))
        labels = tf.zeros([batch], tf.int32)
        if hasattr(model.discriminator, "heads"):
            found += recorded(model.discriminator.look, images, trained=False)
            maps = maps_of(model.discriminator.look, images)
            found += recorded(lambda *maps: model.discriminator(list(maps), labels, training=True), *maps)
        else:
            found += recorded(lambda x: model.discriminator(x, labels, training=True), images)
    else:
        model = CycleGAN(config)
        for network in (model.generator_xy, model.discriminator_y):
            if hasattr(network, "blocks") and hasattr(network, "compute_output_shape"):
                found += blocks_of(network, (batch, size, size, 3))
            elif hasattr(network, "look"):
                found += recorded(network.look, images, trained=False)
                maps = maps_of(network.look, images)
                partners = tf.roll(tf.range(batch), -1, 0)
                found += recorded(lambda *x, n=network, p=partners: n.heads(list(x), p, training=True), *maps)
            else:
                found += recorded(network, images)
    return _counted(found), batch


def maps_of(look: Callable, images: tf.TensorSpec) -> list[tf.TensorSpec]:
    """What the heads get from the frozen features."""
    maps = tf.function(look, autograph=False).get_concrete_function(images).structured_outputs
    return [tf.TensorSpec(x.shape, x.dtype) for x in maps]


def recorded(function: Callable, *specs: tf.TensorSpec, trained: bool = True) -> list[Stage]:
    """The stages of a function of tensors, as often as it has them; `trained`: whether its kernels are."""
    mine: list[Stage] = []
    with recording(mine):
        tf.function(lambda *x: function(*x), autograph=False).get_concrete_function(*specs)
    for stage in mine:
        stage.trained &= trained
    return mine


def blocks_of(network: Any, shape: tuple[int, ...]) -> list[Stage]:
    """The blocks of one of CycleGAN's chains."""
    found = []
    for block in network.blocks:
        part = "residual" if block.name.startswith("residual") else block.name
        name = f"{type(block).__name__} {part}"
        dtype = tf.as_dtype(block.compute_dtype)
        found.append(Stage(name, block, (shape,), dtype, True, variables=tuple(block.trainable_variables)))
        shape = tuple(block.compute_output_shape(shape))
    return found


def _counted(found: list[Stage]) -> list[Stage]:
    merged: dict[tuple, Stage] = {}
    for stage in found:
        if stage.key in merged:
            merged[stage.key].count += 1
        else:
            merged[stage.key] = stage
    return list(merged.values())


def timed(stages: list[Stage], rounds: int) -> list[tuple[float, float, float]]:
    """GFLOP, seconds forward and seconds with gradients of each stage; all take turns."""
    contenders: dict[str, Callable[[], Any]] = {}
    flops = []
    for index, stage in enumerate(stages):
        random = np.random.default_rng(index)
        tensors = [tf.constant(0.1 * random.normal(size=shape), stage.dtype) for shape in stage.shapes]
        forward = tf.function(stage.function, autograph=False)
        whole = tf.function(with_gradients(stage), autograph=False)
        flops.append(gflop(forward, tensors))
        for name, function in (("forward", forward), ("training", whole)):
            contenders[f"{name} {index}"] = functools.partial(function, *tensors)
    seconds = median_seconds(contenders, rounds, _WARM)
    return [(flops[i], seconds[f"forward {i}"], seconds[f"training {i}"]) for i in range(len(stages))]


def with_gradients(stage: Stage) -> Callable:
    """A function of a stage's tensors that gives its gradients for what is trained: tensors, then variables."""

    def training(*given):
        sources = [*(given if stage.trained else given[:1]), *(variable.value for variable in stage.variables)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            result = stage.function(*given)
        return tape.gradient(result, sources, output_gradients=tf.ones_like(result))

    return training


def gflop(function: Any, tensors: list[tf.Tensor]) -> float:
    """Of one call, by TensorFlow's profiler."""
    graph = function.get_concrete_function(*tensors).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    with contextlib.redirect_stdout(io.StringIO()):
        return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 1e9


def matrix_rate(dtype: tf.DType = tf.float32) -> float:
    """GFLOP per second of a product of two matrices of `_RATE_SIDE`, the median of five."""
    a = tf.cast(tf.random.normal([_RATE_SIDE, _RATE_SIDE]), dtype)
    product = tf.function(lambda: tf.matmul(a, a)[0, 0])
    product()
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - begin)
    return 2 * _RATE_SIDE**3 / 1e9 / float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("acgan", "cyclegan", "classifier"), required=True)
    parser.add_argument("--recipe", choices=("paper", "best"), default="best")
    parser.add_argument("--size", type=int, default=0, help="pixels (default: the preset small's)")
    parser.add_argument("--batch", type=int, default=0, help="images (default: the preset small's)")
    parser.add_argument("--precision", default="", help="a dtype policy of Keras")
    parser.add_argument("--rounds", type=int, default=7)
    options = quick.parse(parser, "3 minutes", rounds=1)
    require(options.rounds > 0, "--rounds", f"{options.rounds} is not 1 or more")
    stages, batch = stages_of(options)
    rate = matrix_rate()
    print(f"{options.model}, recipe {options.recipe}, batch {batch}; products of matrices: {rate:.0f} GFLOP/s")
    rows = timed(stages, options.rounds)
    total = sum(stage.count * row[2] for stage, row in zip(stages, rows, strict=True))
    marked = 0.0
    for stage, (gflop, forward, training) in zip(stages, rows, strict=True):
        shapes = " x ".join("x".join(map(str, shape)) for shape in stage.shapes)
        ratio, share = training / forward, stage.count * training / total
        slow = ratio > _LIMITS[stage.trained or bool(stage.variables)] and share > _LEAST
        marked += share * slow
        print(
            f"  {stage.count:>2} x {stage.name:<24} {shapes:<44} {stage.dtype.name:<8} {gflop:7.2f} GFLOP"
            f" {1e3 * forward:8.1f} / {1e3 * training:8.1f} ms  {gflop / forward / rate:5.0%} of the rate"
            f"  x {ratio:4.1f}  {share:4.0%}{'  <- slow gradient' if slow else ''}"
        )
    quick.last_line(options, f"marked {marked:.2f} of {1e3 * total:.0f} ms")


if __name__ == "__main__":
    main()
