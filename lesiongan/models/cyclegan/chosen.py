"""The networks and optimizers of a CycleGAN, as its configuration asks for them."""

from __future__ import annotations

import keras
import tensorflow as tf

from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.models.cyclegan.additive import AdditiveGenerator, PairDiscriminator
from lesiongan.models.cyclegan.networks import MultiScalePatchGAN, PatchGAN, ResNetGenerator
from lesiongan.models.projected.features import FrozenFeatures
from lesiongan.optim.adam import Adam
from lesiongan.optim.loss_scale import LossScale
from lesiongan.optim.schedules import LinearDecay


def look_of(config: CycleGANConfig) -> FrozenFeatures | None:
    """The frozen features that both discriminators share, where they look through some."""
    if config.discriminator != "projected":
        return None
    compute = tf.as_dtype(keras.DTypePolicy(config.precision).compute_dtype)
    return FrozenFeatures(config.size, look_size=config.look_size, compute=compute)


def generator_of(config: CycleGANConfig, form: str, name: str) -> ResNetGenerator | AdditiveGenerator:
    """A new generator; `form` is a key of `forms.FORMS`."""
    if config.generator == "additive":
        size = {"filters": config.filters, "blocks": config.blocks}
        return AdditiveGenerator(config.size, **size, precision=config.precision, name=name)
    settings = {"filters": config.filters, "blocks": config.blocks, "upsampling": config.upsampling}
    return ResNetGenerator(config.size, **settings, form=form, dtype=config.precision, name=name)


def discriminator_of(config: CycleGANConfig, form: str, look: FrozenFeatures | None, name: str):
    """A new discriminator; `look` as of `look_of`."""
    if look is not None:
        return PairDiscriminator(config.size, look, precision=config.precision, name=name)
    settings = {"filters": config.discriminator_filters, "spectral_norm": config.spectral_norm, "form": form}
    scales = config.discriminator_scales
    if scales == 1:
        return PatchGAN(config.size, **settings, dtype=config.precision, name=name)
    return MultiScalePatchGAN(config.size, scales=scales, settings=settings, dtype=config.precision, name=name)


def optimizer_of(config: CycleGANConfig, schedule: LinearDecay) -> keras.optimizers.Optimizer:
    """Adam, with a scaled loss where the networks compute with float16."""
    adam = Adam(schedule, beta_1=config.beta_1, beta_2=0.999, epsilon=1e-8)
    return LossScale(adam) if config.precision == "mixed_float16" else adam
