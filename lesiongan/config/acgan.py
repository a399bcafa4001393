"""The ACGAN, and how it is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from lesiongan.config.checks import at_least, known_choices, require, within

#: Pixels for which there are networks.
SIZES = (32, 64, 128, 256)


@dataclasses.dataclass(frozen=True)
class ACGANConfig:
    """Noise + class -> image (Odena et al. 2017)."""

    size: int = 128  # pixels: 32, 64, 128 or 256
    latent: int = 110  # length of the noise
    batch: int = 100  # images per step
    epochs: float = 200.0  # length in epochs, where `images` is 0
    images: int = 0  # length in images seen; 0: `epochs` decides
    learning_rate: float = 2e-4  # of the generator, and of the discriminator unless `discriminator_rate` is given
    beta_1: float = 0.5  # Adam's momentum
    decay: bool = False  # the rates go towards 0 in the second half
    aux_on_fake: bool = False  # the class head learns from generated images too
    class_weight: float = 1.0  # of the class in the generator's loss, beside the source
    guidance: float = 0.0  # weight of the judge's cross-entropy on generated images in the generator's loss; 0: none
    ema: float = 0.0  # decay of the averaged generator that is exported; 0: none
    balanced: bool = False  # real images with equal probability of every class
    flip: bool = False  # mirror real images at random
    # `residual`: residual blocks, class-conditional batch norm; `projected`: a discriminator on frozen ImageNet
    # features (needs the extra `imagenet`)
    networks: Literal["paper", "residual", "projected"] = "paper"
    look_size: int = 0  # with `projected`: pixels to which smaller images are enlarged for the frozen features
    width: float = 1.0  # factor on the networks' filters
    dropout: float = 0.5  # rate in the paper's discriminator
    loss: Literal["cross_entropy", "hinge"] = "cross_entropy"  # of the source: `cross_entropy` or `hinge`
    label_smoothing: float = 0.0  # the target for real images is 1 less this
    discriminator_rate: float = 0.0  # the discriminator's own learning rate; 0: the generator's
    spectral_norm: bool = False  # of the discriminator's kernels
    r1: float = 0.0  # gamma of the R1 penalty on the discriminator's gradient at real images; 0: none
    r1_every: int = 16  # steps from one R1 penalty to the next
    augment: bool = False  # differentiable augmentation of real and generated images
    augment_colour: bool = True  # `augment` changes colours too
    augment_cutout: float = 0.5  # side of the square that `augment` cuts out, as a share of the image's
    ada_target: float = 0.0  # with `augment`: E[sign D(real)] that steers how often; 0: always
    ada_images: int = 500_000  # images seen while that probability goes from 0 to 1
    # `mixed_float16` (GPUs), `mixed_bfloat16`, or `auto`: bfloat16 where a step is faster with it
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = "float32"
    xla: bool = False  # compile the whole step by XLA, for GPUs; draws other noise from the same seed
    measure_every_images: int = 0  # images seen between two measurements; 0: a twentieth of the training
    export: Literal["last", "best"] = "last"  # `best`: the weights of the lowest KID that was measured
    patience: int = 0  # end when KID has not improved for so many measurements; 0: never
    replicas: int = 1  # GPUs of a machine that share each batch, with the result of one; 0: all that there are
    rollbacks: int = 0  # how often a training that diverges goes back to its last checkpoint; 0: it ends
    rollback_rate: float = 0.5  # factor on the learning rate each time

    def __post_init__(self):
        known_choices(self, "acgan")
        at_least(self, "acgan", 0, ("rollbacks", "replicas"))
        require(
            not self.xla or self.replicas == 1,
            "acgan.xla",
            "it is for one device: set acgan.replicas=1 or acgan.xla=false",
        )
        within(self, "acgan", 0.0, 1.0, ("rollback_rate",))
        sizes = ", ".join(map(str, SIZES))
        require(self.size in SIZES, "acgan.size", f"{self.size} is none of {sizes}, for which there are networks")
        at_least(self, "acgan", 1, ("latent", "batch", "r1_every", "ada_images"))
        at_least(self, "acgan", 0, ("images", "discriminator_rate", "r1", "measure_every_images", "patience"))
        at_least(self, "acgan", 0, ("class_weight", "guidance"))
        require(
            not self.guidance or (self.export == "last" and not self.patience),
            "acgan.guidance",
            "the judge that helps to train cannot choose the weights too: set acgan.export=last and acgan.patience=0",
        )
        within(self, "acgan", 0.0, 1.0, ("dropout", "augment_cutout"))
        require(self.width > 0, "acgan.width", f"{self.width} is not positive")
        for name in ("label_smoothing", "ema", "ada_target"):
            value = getattr(self, name)
            require(0.0 <= value < 1.0, f"acgan.{name}", f"{value} is not 0 or more and less than 1")
        require(
            not self.label_smoothing or self.loss == "cross_entropy",
            "acgan.label_smoothing",
            "it is for acgan.loss=cross_entropy: the hinge loss has no target",
        )
        require(
            not self.ada_target or self.augment,
            "acgan.ada_target",
            "it steers the augmentation: set acgan.augment=true too",
        )

        require(
            not self.r1 or self.networks != "projected",
            "acgan.r1",
            "it is for acgan.networks=paper or residual: a projected discriminator has the spectral norm",
        )

        require(
            self.look_size >= 0 and self.look_size % 32 == 0,
            "acgan.look_size",
            f"{self.look_size} is not 0 or a multiple of 32",
        )

    def steps(self, images: int) -> int:
        """Steps of a training on so many images: from the budget `images` where it is set, else from `epochs`."""
        return max(1, math.ceil((self.images or self.epochs * images) / self.batch))
