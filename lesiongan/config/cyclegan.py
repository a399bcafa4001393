"""The CycleGAN, and how it is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from lesiongan.config.checks import at_least, known_choices, require, within

#: Smallest side in pixels that a discriminator takes.
LEAST_SIZE = 32


@dataclasses.dataclass(frozen=True)
class CycleGANConfig:
    """X -> Y without pairs (Zhu et al. 2017)."""

    size: int = 256  # pixels, a multiple of 4 from 32 on
    generator: Literal["resnet", "additive"] = "resnet"  # `additive`: adds to its input and begins as "do nothing"
    # `projected`: heads on frozen ImageNet features, pairs, hinge loss (needs the extra `imagenet`)
    discriminator: Literal["patch", "projected"] = "patch"
    look_size: int = 0  # with `projected`: pixels to which smaller images are enlarged for the frozen features
    # the discriminator of a side learns to tell real images of the other side apart too (Reed et al. 2016, GAN-CLS)
    negatives: bool = False
    blocks: int = 9  # residual blocks of a generator; 6 at 128 px and below
    filters: int = 64  # of a generator's first layer
    discriminator_filters: int = 64  # of a discriminator's first layer
    batch: int = 1  # images per step
    epochs: float = 200.0  # length in epochs, where `images` is 0: half at a constant rate, half towards 0
    decay: bool = True  # the rate goes towards 0 in the second half
    images: int = 0  # length in images of X seen; 0: `epochs` decides
    max_steps: int = 267_000  # the most steps that `epochs` gives
    learning_rate: float = 2e-4  # of the generators, and of the discriminators unless `discriminator_rate` is given
    beta_1: float = 0.5  # Adam's momentum
    cycle: float = 10.0  # weight of the cycle-consistency loss
    identity: float = 0.0  # weight of the identity loss, as a share of `cycle`
    guidance: float = 0.0  # weight of the judge's cross-entropy on translated images in the generators' loss; 0: none
    pool: int = 50  # generated images kept per domain for the discriminators
    upsampling: Literal["transposed", "resize"] = "transposed"  # `resize`: nearest-neighbour doubling and a convolution
    crop: bool = False  # resize to size * 286 / 256, then crop at random
    flip: bool = True  # mirror at random
    # draw X with Y's share of each source (the beginning of the lesion id), so that the camera gives nothing away
    match_sources: bool = False
    ema: float = 0.0  # decay of the averaged generator that is exported; 0: none
    spectral_norm: bool = False  # of the discriminators' kernels, in place of their instance norm
    augment: bool = False  # differentiable augmentation before the discriminators
    augment_colour: bool = True  # `augment` changes colours too
    augment_cutout: float = 0.5  # side of the square that `augment` cuts out, as a share of the image's
    discriminator_scales: int = 1  # discriminators per domain, each at half the size of the one before
    discriminator_rate: float = 0.0  # the discriminators' own learning rate; 0: the generators'
    accumulate: int = 1  # parts of a batch that are computed one after the other, for less memory
    # `mixed_float16` (GPUs), `mixed_bfloat16`, or `auto`: bfloat16 where a step is faster with it
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = "float32"
    xla: bool = False  # compile the whole step by XLA, for GPUs
    measure_every_images: int = 0  # images seen between two measurements; 0: a twentieth of the training
    export: Literal["last", "best"] = "last"  # `best`: the weights of the lowest KID that was measured
    patience: int = 0  # end when KID has not improved for so many measurements; 0: never
    replicas: int = 1  # GPUs of a machine that share each batch, with the result of one; 0: all that there are
    rollbacks: int = 0  # how often a training that diverges goes back to its last checkpoint; 0: it ends
    rollback_rate: float = 0.5  # factor on the learning rate each time

    def __post_init__(self):
        known_choices(self, "cyclegan")
        at_least(self, "cyclegan", 0, ("rollbacks", "replicas"))
        require(
            not self.xla or self.replicas == 1,
            "cyclegan.xla",
            "it is for one device: set cyclegan.replicas=1 or cyclegan.xla=false",
        )
        within(self, "cyclegan", 0.0, 1.0, ("rollback_rate",))
        require(
            self.size >= LEAST_SIZE and self.size % 4 == 0,
            "cyclegan.size",
            f"{self.size} is not a multiple of 4 from {LEAST_SIZE} on",
        )
        counts = ("blocks", "filters", "discriminator_filters", "batch", "discriminator_scales", "accumulate")
        at_least(self, "cyclegan", 1, (*counts, "max_steps"))
        at_least(self, "cyclegan", 0, ("images", "pool", "cycle", "identity", "discriminator_rate"))
        at_least(self, "cyclegan", 0, ("measure_every_images", "patience", "guidance"))
        require(
            not self.guidance or (self.export == "last" and not self.patience),
            "cyclegan.guidance",
            "the judge that helps to train cannot choose the weights too: set cyclegan.export=last and "
            "cyclegan.patience=0",
        )
        within(self, "cyclegan", 0.0, 1.0, ("augment_cutout",))
        require(
            self.discriminator == "patch" or (self.discriminator_scales == 1 and self.batch > self.accumulate),
            "cyclegan.discriminator",
            "projected sees images in pairs and at several scales anyway: set cyclegan.discriminator_scales=1 and a "
            "cyclegan.batch of 2 or more for each of cyclegan.accumulate",
        )
        require(
            self.discriminator == "patch" or self.size % 32 == 0,
            "cyclegan.size",
            f"{self.size} is not a multiple of 32, as cyclegan.discriminator=projected needs it",
        )
        require(
            self.look_size >= 0 and self.look_size % 32 == 0,
            "cyclegan.look_size",
            f"{self.look_size} is not 0 or a multiple of 32",
        )
        require(0.0 <= self.ema < 1.0, "cyclegan.ema", f"{self.ema} is not 0 or more and less than 1")
        smallest = self.size
        for _ in range(self.discriminator_scales - 1):
            smallest = half_of(smallest)
        require(
            smallest >= LEAST_SIZE,
            "cyclegan.discriminator_scales",
            f"with {self.discriminator_scales} the smallest images would have {smallest} pixels and need {LEAST_SIZE}; "
            "take fewer scales or a larger cyclegan.size",
        )
        require(
            self.batch % self.accumulate == 0,
            "cyclegan.batch",
            f"{self.batch} is not a multiple of cyclegan.accumulate ({self.accumulate})",
        )

    def steps(self, x: int, y: int) -> int:
        """Steps of a training on `x` and `y` images of the two domains: from the budget `images` where it is set, else
        from `epochs` epochs of the larger domain, at most `max_steps`."""
        if self.images:
            return math.ceil(self.images / self.batch)
        return max(1, min(math.ceil(self.epochs * max(x, y) / self.batch), self.max_steps))


def half_of(size: int) -> int:
    """The side in pixels at the next discriminator's scale, from `size` at this one."""
    return (size - 1) // 2 + 1
