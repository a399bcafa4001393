"""What a training step costs: its arithmetic, its time by a measured step, the memory that it takes on a GPU.

Times of other sizes follow from a measured step by the ratio of multiply-adds. The multiply-adds of a pass were counted
by TensorFlow's profiler (a test counts them again); memory is an estimate from the networks' maps, not
measured.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.run import Config

#: Millions of multiply-adds and of weights, and millions of numbers in the maps, of a pass at 224 pixels.
_BACKBONES = {
    ("resnet50", "imagenet"): (3860, 23.5, 11.1),
    ("resnet50", "small"): (14985, 23.5, 40.0),
    ("efficientnet_lite0", "imagenet"): (384, 3.4, 6.7),
}
#: (networks, size) -> millions of multiply-adds of the generator and of the discriminator, millions of weights of both.
_ACGANS = {
    ("paper", 32): (79, 8, 4.6),
    ("paper", 64): (130, 65, 4.9),
    ("paper", 128): (744, 366, 13.8),
    ("paper", 256): (1135, 1707, 14.3),
    ("residual", 32): (106, 24, 1.8),
    ("residual", 64): (509, 132, 5.2),
    ("residual", 128): (1685, 577, 7.8),
    ("residual", 256): (2010, 737, 7.8),
    # of the generator alone: the discriminator looks at a size of its own
    ("projected", 32): (105, 0, 1.1),
    ("projected", 64): (313, 0, 2.1),
    ("projected", 128): (1051, 0, 2.8),
    ("projected", 256): (1376, 0, 2.9),
}
#: Size at which frozen features look -> their millions of multiply-adds; those and the weights of the heads that know
#: classes, and of those that do not.
_LOOKS = {
    32: (9, (96, 6.3), (82, 5.0)),
    64: (35, (154, 6.6), (137, 5.3)),
    96: (78, (149, 5.5), (138, 4.2)),
    128: (138, (261, 6.7), (245, 5.3)),
    256: (552, (669, 6.1), (653, 4.8)),
}
_MAPS_KEPT = 3  # of each convolution: its result, the normalised one, and a gradient
_ADAM = 4  # numbers per weight: itself, its gradient and two moments
_LIBRARIES = 0.6e9  # bytes that CUDA and cuDNN take for themselves


@dataclasses.dataclass(frozen=True)
class Work:
    """A training step.

    Attributes:
        multiply_adds: of a step.
        weights: of all networks.
        maps: numbers in the maps that a step keeps for its gradients.
        half: whether it computes in 16 bits.
    """

    multiply_adds: float
    weights: float
    maps: float
    half: bool = False

    @property
    def memory(self) -> float:
        """Bytes on a GPU, estimated."""
        return _LIBRARIES + 4 * _ADAM * self.weights + (2 if self.half else 4) * _MAPS_KEPT * self.maps


@dataclasses.dataclass(frozen=True)
class Measured:
    """A training step that was timed."""

    multiply_adds: float
    seconds: float

    def seconds_of(self, work: Work) -> float:
        """The time of another step of the same network, by its multiply-adds."""
        return self.seconds * work.multiply_adds / self.multiply_adds


def _halved(precision: str) -> bool:
    return precision.startswith("mixed_")  # `auto` may come out as either


def classifier_work(config: ClassifierConfig) -> Work:
    multiply_adds, weights, maps = _BACKBONES[config.backbone, config.stem]
    pixels = config.batch * (config.size / 224) ** 2 * 1e6
    return Work(
        3 * multiply_adds * config.width**2 * pixels,
        weights * config.width**2 * 1e6,
        maps * config.width * pixels,
        _halved(config.precision),
    )


def acgan_work(config: ACGANConfig) -> Work:
    generator, discriminator, weights = _ACGANS[config.networks, config.size]
    if config.networks == "projected":
        seeing, (heads, more), _ = _looks(config)
        # features see real and generated images once and give a gradient once: three of the eight
        discriminator, weights = heads + 3 / 8 * seeing, weights + more
    # the generator forward and back; the discriminator likewise on real and on generated images, and for the
    # generator forward and back to the images
    step = (3 * generator + 8 * discriminator) * config.width**2
    maps = config.batch * config.width * 2.0e6 * (config.size / 128) ** 2
    return Work(config.batch * step * 1e6, weights * config.width**2 * 1e6, maps, _halved(config.precision))


def _looks(config: ACGANConfig | CycleGANConfig) -> tuple:
    looked_at = max(config.size, config.look_size)
    return _LOOKS[min(_LOOKS, key=lambda size: abs(size - looked_at))]


def cyclegan_work(config: CycleGANConfig) -> Work:
    f, d = config.filters, config.discriminator_filters
    pixels = config.batch * config.size**2
    up = 9 if config.upsampling == "transposed" else 16
    # multiply-adds per pixel of the image, and weights
    generator, kernels = 294.0 * f + (9 + 18 * config.blocks + up) * f**2, 9 * (2 + 8 + 32 * config.blocks + 8 + 2)
    if config.generator == "additive":
        drawn = (1 + 4 / config.size) ** 2  # its margin is drawn too
        generator, kernels = drawn * (54 * f + (68 + 18 * config.blocks) * f**2), 340 + 288 * config.blocks
    discriminator, judging = 12.0 * d + 12 * d**2, 16.0 * 43 * d**2
    if config.discriminator == "projected":
        seeing, _, (heads, more) = _looks(config)
        discriminator, judging = 1e6 * (heads + seeing / 2) / config.size**2, 1e6 * more
    passes = 6 if config.identity else 4
    # discriminators see two real and two generated images forward and back, and two for the generators
    step = 3 * passes * generator + 16 * discriminator
    weights = 2 * (kernels * f**2 + 294 * f + judging)
    maps = pixels * (passes * f * (3.25 + 0.5 * config.blocks) + 6 * 0.56 * d)
    return Work(step * pixels, weights, maps, _halved(config.precision))


WORK: Mapping[str, Callable[[Any], Work]] = {
    "classifier": classifier_work,
    "acgan": acgan_work,
    "cyclegan": cyclegan_work,
}


#: What a plan assumes where nothing is measured, by network and, of GANs, by its kind: a network of few channels, or
#: one that looks through frozen features, gets less of a processor's arithmetic. Steps of ResNet50 (64 and 224 px) and
#: EfficientNet-Lite0 (96 px) by `benchmarks.classifier_step`; of the paper's kinds of GANs (ACGAN 64 and 128 px,
#: CycleGAN 64 and 256 px) the processor time over the two cores, since the machine had other work; of the others steps
#: of the presets `demo` and `small`; of the residual ACGAN (32 and 64 px) on a processor with AVX2. No GPU was
#: available.
DEVICE = "two cores of an AMD EPYC with AVX-512, float32"
MEASURED: Mapping[str, Mapping[str, tuple[Measured, ...]]] = {
    "classifier": {
        "": (Measured(0.95e9, 0.062), Measured(6.8e9, 0.25), Measured(30.2e9, 0.33), Measured(92.6e9, 0.78))
    },
    "acgan": {
        "": (Measured(58.2e9, 0.39), Measured(82.6e9, 0.50)),
        "residual": (Measured(0.51e9, 0.063), Measured(82.7e9, 1.5)),
        "projected": (Measured(8.1e9, 0.223), Measured(67.4e9, 0.897)),
    },
    "cyclegan": {
        "": (Measured(46.3e9, 0.34), Measured(978e9, 2.8)),
        "additive patch": (Measured(1.72e9, 0.075),),
        "additive projected": (Measured(101e9, 1.4),),
    },
}
#: Seconds of a pipeline's steps that train nothing (they start, load TensorFlow, read, evaluate, write), and of start,
#: compilation and export of the steps that train each network: what a demo took beside its trainings' steps.
STEPS_WITHOUT_TRAINING = 46.0
COMPILATION: Mapping[str, float] = {"classifier": 24.0, "acgan": 35.0, "cyclegan": 27.0}


def assumed(config: Config) -> dict[str, tuple[Measured, ...]]:
    """The measured steps of each network of a configuration that a plan goes by."""
    cyclegan = config.cyclegan
    kinds = {"acgan": config.acgan.networks, "cyclegan": f"{cyclegan.generator} {cyclegan.discriminator}"}
    return {name: of.get(kinds.get(name, ""), of[""]) for name, of in MEASURED.items()}


def works(config: Config) -> dict[str, Work]:
    """The step of each network of a configuration."""
    found = {name: of(getattr(config, name)) for name, of in WORK.items()}
    guided = {"acgan": config.acgan.batch, "cyclegan": 2 * config.cyclegan.batch}  # generated images of a step
    for name, images in guided.items():
        if getattr(config, name).guidance:  # the classifier sees each of them, and gives a gradient
            seeing = 2 / 3 * found["classifier"].multiply_adds / config.classifier.batch * images
            found[name] = dataclasses.replace(found[name], multiply_adds=found[name].multiply_adds + seeing)
    return found


def nearest(work: Work, steps: Sequence[Measured]) -> Measured:
    """The measured step that is nearest in size."""
    return min(steps, key=lambda step: abs(math.log(step.multiply_adds / work.multiply_adds)))


def reduced(config: Config) -> Config:
    """A configuration with the same networks at sizes and batches that a processor steps through in seconds."""
    return dataclasses.replace(
        config,
        classifier=dataclasses.replace(config.classifier, size=min(config.classifier.size, 96), batch=8),
        acgan=dataclasses.replace(config.acgan, batch=8),
        cyclegan=dataclasses.replace(config.cyclegan, size=min(config.cyclegan.size, 64), batch=1, accumulate=1),
    )


def measure(config: Config, names: Sequence[str], repeats: int = 3) -> tuple[str, dict[str, Measured]]:
    """Times training steps of networks on this machine: as configured on a GPU, of `reduced` size on a processor.

    Args:
        names: of the networks, keys of `WORK`.
        repeats: steps after the first, which is not timed; the quickest counts.

    Returns:
        The device's name, and a step of each network.
    """
    import tensorflow as tf

    import lesiongan  # noqa: F401 - before TensorFlow

    gpus = tf.config.list_physical_devices("GPU")
    config = config if gpus else reduced(config)
    steps = {}
    for name in names:
        step = _STEPS[name](getattr(config, name))
        step()
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
        steps[name] = Measured(WORK[name](getattr(config, name)).multiply_adds, min(times))
    device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU") if gpus else "its processor"
    return f"this machine ({device})", steps


def _images(count: int, size: int):
    import numpy as np

    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


def _classifier_step(config: ClassifierConfig) -> Callable[[], Any]:
    import tensorflow as tf

    from lesiongan.training.classifier import build_classifier

    # 1cycle: a fine-tuning begins with a frozen backbone, whose steps are the shorter ones.
    model = build_classifier(dataclasses.replace(config, schedule="one_cycle"), 8)
    model.reset(0)
    model.cycle.set(1e-4, 1000)
    batch = tf.constant(_images(config.batch, config.size)), tf.zeros([config.batch], tf.int32)
    train = tf.function(model.train_step, autograph=False)
    return lambda: [float(value) for value in train(batch).values()]


def _acgan_step(config: ACGANConfig) -> Callable[[], Any]:
    import tensorflow as tf

    from lesiongan.models.acgan.model import ACGAN

    model = ACGAN(dataclasses.replace(config, guidance=0.0), 8)
    model.compile()
    batch = tf.constant(_images(config.batch, config.size)), tf.zeros([config.batch], tf.int32)
    train = tf.function(model.train_step, autograph=False)
    return lambda: [float(value) for value in train(batch).values()]


def _cyclegan_step(config: CycleGANConfig) -> Callable[[], Any]:
    import tensorflow as tf

    from lesiongan.models.cyclegan.model import CycleGAN

    model = CycleGAN(dataclasses.replace(config, guidance=0.0), steps=1000)
    x, y = tf.unstack(tf.constant(_images(2 * config.batch, config.size).reshape(2, config.batch, *_shape(config))))
    train = tf.function(model.train_step, autograph=False)
    return lambda: [float(value) for value in train((x, y)).values()]


def _shape(config: CycleGANConfig) -> tuple[int, int, int]:
    return config.size, config.size, 3


_STEPS: Mapping[str, Callable[[Any], Callable[[], Any]]] = {
    "classifier": _classifier_step,
    "acgan": _acgan_step,
    "cyclegan": _cyclegan_step,
}
