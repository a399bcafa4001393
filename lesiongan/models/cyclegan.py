"""CycleGAN (Zhu et al. 2017): X -> Y and Y -> X from unpaired images."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from lesiongan.config import CycleGANConfig
from lesiongan.errors import UsageError
from lesiongan.models.image_pool import ImagePool
from lesiongan.models.losses import discriminator_loss, l1, least_squares
from lesiongan.models.networks import PatchGAN, ResNetGenerator
from lesiongan.training.adam import Adam
from lesiongan.training.schedules import LinearDecay


@keras.saving.register_keras_serializable("lesiongan")
class CycleGAN(keras.Model):
    """Two generators, two discriminators, two image pools, two optimizers; compiled and built when it is made.

    All that is random depends on the seed and the step alone: weights, and the draws of the pools.

    Args:
        config: see `CycleGANConfig`.
        seed: of weights and pools.
        steps: of the whole training; the learning rate's two halves are scaled to it.
        form: a key of `layers.FORMS`.

    Raises:
        UsageError: a size or a number of blocks that the networks cannot have.
    """

    def __init__(self, config: CycleGANConfig, *, seed: int = 0, steps: int = 1, form: str = "plain", **kwargs):
        super().__init__(**kwargs)
        _check(config)
        self.config, self.form = config, form
        size = config.size
        generator = {"filters": config.filters, "blocks": config.blocks, "upsampling": config.upsampling, "form": form}
        discriminator = {"filters": config.discriminator_filters, "form": form}
        self.generator_xy = ResNetGenerator(size, **generator, name="generator_xy")
        self.generator_yx = ResNetGenerator(size, **generator, name="generator_yx")
        self.discriminator_x = PatchGAN(size, **discriminator, name="discriminator_x")
        self.discriminator_y = PatchGAN(size, **discriminator, name="discriminator_y")
        self.averaged_xy = ResNetGenerator(size, **generator, name="averaged_xy") if config.ema else None
        self.pool_x = ImagePool(config.pool, (size, size, 3))
        self.pool_y = ImagePool(config.pool, (size, size, 3))

        generators = (self.generator_xy, self.generator_yx)
        discriminators = (self.discriminator_x, self.discriminator_y)
        self.generator_variables = [v for network in generators for v in network.trainable_variables]
        self.discriminator_variables = [v for network in discriminators for v in network.trainable_variables]
        self.schedule = LinearDecay(config.learning_rate, steps)
        adam = {"learning_rate": self.schedule, "beta_1": config.beta_1, "beta_2": 0.999, "epsilon": 1e-8}
        self.generator_optimizer, self.discriminator_optimizer = Adam(**adam), Adam(**adam)
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

        self.seed = tf.Variable(0, dtype=tf.int64, trainable=False, name="seed")
        self.built = True
        self.compile(optimizer=self.generator_optimizer, jit_compile=False)
        self.reset(seed, steps)

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One step of both generators, then one of both discriminators.

        Args:
            data: `(x, y)`, each float `[batch, size, size, 3]` in [-1, 1].

        Returns:
            Each loss term under its own name, before its weight: `adversarial_xy` and `adversarial_yx` (of the
            generators), `cycle_x`, `cycle_y`, `identity_x`, `identity_y` (where it is on), `discriminator_x`,
            `discriminator_y`.
        """
        x, y = data
        seeds = tf.random.split(tf.stack([self.seed, self.generator_optimizer.iterations.value]), 2)

        losses, gradients, (fake_x, fake_y) = self.generator_gradients(x, y)
        self.generator_optimizer.apply(gradients, self.generator_variables)

        shown_x, shown_y = self.pool_x.query(fake_x, seeds[0]), self.pool_y.query(fake_y, seeds[1])
        discriminator_losses, gradients = self.discriminator_gradients(x, y, shown_x, shown_y)
        self.discriminator_optimizer.apply(gradients, self.discriminator_variables)

        self._average()
        return losses | discriminator_losses

    def generator_gradients(self, x: tf.Tensor, y: tf.Tensor) -> tuple[dict, list[tf.Tensor], tuple]:
        """Loss terms by name, before their weights; gradients of their weighted sum for `generator_variables`; and the
        generated images of X and of Y, `[batch, size, size, 3]` each."""
        config, losses = self.config, {}
        with tf.GradientTape() as tape:
            # Norms are per image, so that passes of one network may share a batch. Where the identity loss is on, a
            # generator is fed its target domain too.
            if config.identity:
                fake_y, same_y = tf.split(self.generator_xy(tf.concat([x, y], 0)), 2)
                fake_x, same_x = tf.split(self.generator_yx(tf.concat([y, x], 0)), 2)
                losses["identity_x"], losses["identity_y"] = l1(same_x, x), l1(same_y, y)
            else:
                fake_y, fake_x = self.generator_xy(x), self.generator_yx(y)
            losses["cycle_x"] = l1(self.generator_yx(fake_y), x)
            losses["cycle_y"] = l1(self.generator_xy(fake_x), y)
            losses["adversarial_xy"] = least_squares(self.discriminator_y(fake_y), 1.0)
            losses["adversarial_yx"] = least_squares(self.discriminator_x(fake_x), 1.0)
            total = losses["adversarial_xy"] + losses["adversarial_yx"]
            total += config.cycle * (losses["cycle_x"] + losses["cycle_y"])
            if config.identity:
                total += config.identity * config.cycle * (losses["identity_x"] + losses["identity_y"])
        return losses, tape.gradient(total, self.generator_variables), (fake_x, fake_y)

    def discriminator_gradients(
        self, x: tf.Tensor, y: tf.Tensor, shown_x: tf.Tensor, shown_y: tf.Tensor
    ) -> tuple[dict, list[tf.Tensor]]:
        """Both losses by name, and gradients of their sum for `discriminator_variables`; `shown_x` and `shown_y` are
        the pools' generated images."""
        losses = {}
        with tf.GradientTape() as tape:
            real_x, pooled_x = tf.split(self.discriminator_x(tf.concat([x, shown_x], 0)), 2)
            real_y, pooled_y = tf.split(self.discriminator_y(tf.concat([y, shown_y], 0)), 2)
            losses["discriminator_x"] = discriminator_loss(real_x, pooled_x)
            losses["discriminator_y"] = discriminator_loss(real_y, pooled_y)
            total = losses["discriminator_x"] + losses["discriminator_y"]
        return losses, tape.gradient(total, self.discriminator_variables)

    def _average(self) -> None:
        """Moves the averaged generator towards the trained one; at first quickly, to forget the random start."""
        if self.averaged_xy is None:
            return
        step = tf.cast(self.generator_optimizer.iterations.value, tf.float32)  # counted from 1 here
        share = 1.0 - tf.minimum(self.config.ema, step / (step + 9.0))
        for average, weight in zip(self.averaged_xy.variables, self.generator_xy.variables, strict=True):
            average.value.assign_add(share * (weight.value - average.value))

    def call(self, images):
        """X -> Y; see `translate`."""
        return (self.averaged_xy or self.generator_xy)(images)

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """X -> Y by the generator, or by its average where there is one.

        Args:
            images: float `[batch, size, size, 3]` in [-1, 1].
            seeds: int64 `[batch]`, ignored: every translator is called with seeds, CycleGAN's output needs none.

        Returns:
            float `[batch, size, size, 3]` in [-1, 1].
        """
        return self.call(images)

    def reset(self, seed: int, steps: int | None = None) -> None:
        """Makes the model as new, in place, so that a compiled step serves the next training.

        Args:
            seed: of weights and pools. Kernels are N(0, 0.02), biases 0.
            steps: of the next training, where it differs.
        """
        self.seed.assign(seed)
        trained = self.generator_variables + self.discriminator_variables
        for index, variable in enumerate(trained):
            stream = tf.constant([seed, index], tf.int64)
            normal = tf.random.stateless_normal(variable.shape, stream, stddev=0.02)
            variable.value.assign(normal if len(variable.shape) == 4 else tf.zeros_like(normal))
        if self.averaged_xy is not None:
            for average, weight in zip(self.averaged_xy.variables, self.generator_xy.variables, strict=True):
                average.value.assign(weight.value)
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for variable in optimizer.variables:
                variable.value.assign(tf.zeros_like(variable.value))
        self.pool_x.reset()
        self.pool_y.reset()
        if steps is not None:
            self.schedule.rescale(steps)

    def state(self) -> list[tf.Variable]:
        """Everything that a resumed training needs, in a fixed order."""
        networks = [self.generator_xy, self.generator_yx, self.discriminator_x, self.discriminator_y]
        if self.averaged_xy is not None:
            networks.append(self.averaged_xy)
        owners = [*networks, self.generator_optimizer, self.discriminator_optimizer]
        variables = [variable.value for owner in owners for variable in owner.variables]
        return [*variables, *self.pool_x.state(), *self.pool_y.state(), self.seed]

    def get_config(self) -> dict:
        return {"config": dataclasses.asdict(self.config), "seed": int(self.seed), "form": self.form}

    def compile_from_config(self, config: dict) -> None:
        """Nothing: the constructor has compiled the model with its own optimizers."""

    @classmethod
    def from_config(cls, config: dict) -> CycleGAN:
        return cls(CycleGANConfig(**config["config"]), seed=config["seed"], form=config["form"])


def _check(config: CycleGANConfig) -> None:
    if config.size < 32 or config.size % 4:
        raise UsageError(f"cyclegan.size is {config.size}: it must be a multiple of 4 and at least 32 pixels")
    for name in ("blocks", "filters", "discriminator_filters", "batch"):
        if getattr(config, name) < 1:
            raise UsageError(f"cyclegan.{name} is {getattr(config, name)}: it must be at least 1")
    if config.pool < 0 or not 0.0 <= config.ema < 1.0:
        raise UsageError("cyclegan.pool must be 0 or more, and cyclegan.ema at least 0 and below 1")
