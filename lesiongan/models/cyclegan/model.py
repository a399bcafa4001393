"""CycleGAN (Zhu et al. 2017): X -> Y and Y -> X from unpaired images."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.reader import from_dict
from lesiongan.models.augmentation import augment
from lesiongan.models.averaging import move_average
from lesiongan.models.cyclegan.accumulation import in_parts
from lesiongan.models.cyclegan.additive import AdditiveGenerator
from lesiongan.models.cyclegan.chosen import discriminator_of, generator_of, look_of, optimizer_of
from lesiongan.models.cyclegan.fast.forms import choose
from lesiongan.models.cyclegan.image_pool import ImagePool
from lesiongan.models.cyclegan.losses import (
    discriminator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    l1,
    least_squares,
)
from lesiongan.models.cyclegan.networks import ResNetGenerator
from lesiongan.models.guidance import NO_CLASS, Guide, needed
from lesiongan.models.keras_file import GAN
from lesiongan.models.network import Network
from lesiongan.models.replicas import check_share, share_of_mean
from lesiongan.models.spectral_norm import initial_vector
from lesiongan.optim.loss_scale import LossScale
from lesiongan.optim.schedules import LinearDecay


@keras.saving.register_keras_serializable("lesiongan")
class CycleGAN(GAN):
    """Two generators, two discriminators, two image pools, two optimizers; compiled and built on construction.

    All that is random depends on the seed and the step alone: weights, and the draws of pools and augmentation.

    Made in the scope of a `tf.distribute` strategy, `config.batch` is the global batch: a step is that of one device
    with it (see `models.replicas`).

    Args:
        config: see `CycleGANConfig`.
        seed: of weights, pools and augmentation.
        steps: of the whole training; the learning rate's two halves are scaled to it. None: the rate stays constant.
        form: a key of `forms.FORMS`; by default what `forms.choose` says.
        guide: of `config.guidance`; without it such a model is neither trained nor evaluated.
        aims: the labels that the guide is to see in X -> Y and in Y -> X; `NO_CLASS` where it knows no such class.

    Raises:
        UsageError: the batch cannot be shared by the replicas.
    """

    def __init__(
        self,
        config: CycleGANConfig,
        *,
        seed: int = 0,
        steps: int | None = None,
        form: str = "",
        guide: Guide | None = None,
        aims: tuple[int, int] = (NO_CLASS, NO_CLASS),
        **kwargs,
    ):
        super().__init__(_tested(config), **kwargs)
        check_share(config.batch, "cyclegan.batch", config.accumulate)
        _check_replicas(config)
        self.config, self.guide = config, guide
        self.form = form or choose(config.size, precision=config.precision, xla=config.xla)
        size = config.size
        self.generator_xy = generator_of(config, self.form, "generator_xy")
        self.generator_yx = generator_of(config, self.form, "generator_yx")
        look = look_of(config)
        self.in_pairs = look is not None
        self.discriminator_x = discriminator_of(config, self.form, look, "discriminator_x")
        self.discriminator_y = discriminator_of(config, self.form, look, "discriminator_y")
        self.averaged_xy = generator_of(config, self.form, "averaged_xy") if config.ema else None
        self.pool_x = ImagePool(config.pool, (size, size, 3))
        self.pool_y = ImagePool(config.pool, (size, size, 3))

        generators = (self.generator_xy, self.generator_yx)
        discriminators = (self.discriminator_x, self.discriminator_y)
        self.generator_variables = [v for network in generators for v in network.trainable_variables]
        self.discriminator_variables = [v for network in discriminators for v in network.trainable_variables]
        self.schedule = LinearDecay(config.learning_rate, steps, decay=config.decay)
        rate = config.discriminator_rate or config.learning_rate
        self.discriminator_schedule = LinearDecay(rate, steps, decay=config.decay)
        self.generator_optimizer = optimizer_of(config, self.schedule)
        self.discriminator_optimizer = optimizer_of(config, self.discriminator_schedule)
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

        self.seed = tf.Variable(0, dtype=tf.int64, trainable=False, name="seed")
        # A counter of its own: that of an optimizer stands still where float16 overflows.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=first, name="step")
        # in a variable, so that one compiled step serves trainings towards several classes
        self.aims = tf.Variable(aims, dtype=tf.int64, trainable=False, name="aims")
        self.built = True
        self.compile()
        self.reset(seed, steps)

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One step of both generators, then one of both discriminators.

        A batch that is computed in parts goes through the pools as a whole, in its order.

        Args:
            data: `(x, y)`, each float `[batch, size, size, 3]` in [-1, 1].

        Returns:
            Each loss term under its own name, before its weight: `adversarial_xy` and `adversarial_yx` (of the
            generators), `cycle_x`, `cycle_y`, `identity_x`, `identity_y` and `guidance_xy`, `guidance_yx` (where they
            are on), `discriminator_x`, `discriminator_y`.
        """
        x, y = data
        parts = self.config.accumulate
        seeds = tf.unstack(tf.random.split(tf.stack([self.seed, self.step]), 4))

        losses, gradients, (fake_x, fake_y) = in_parts(self.generator_gradients, parts, (x, y), seeds[2])
        self.generator_optimizer.apply(share_of_mean(gradients), self.generator_variables)

        shown = self.pool_x.query(fake_x, seeds[0]), self.pool_y.query(fake_y, seeds[1])
        more, gradients = in_parts(self.discriminator_gradients, parts, (x, y, *shown), seeds[3])
        if not self.in_pairs:  # those move their vectors in the pass of real images
            self.discriminator_x.advance()
            self.discriminator_y.advance()
        self.discriminator_optimizer.apply(share_of_mean(gradients), self.discriminator_variables)

        self.step.assign_add(1)
        if self.averaged_xy is not None:
            move_average(self.averaged_xy, self.generator_xy, self.config.ema, self.step)
        return losses | more

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """The losses of `train_step` on held-out images, and `loss`, the generators' weighted sum; nothing is moved.
        The discriminators see what the generators have just made, and no real images of the other side (`negatives`).
        """
        x, y = data
        seed = tf.stack([self.seed, self.step])
        total, losses, made = self._generator_losses(x, y, seed)
        for name, network, real, fake in (
            ("discriminator_x", self.discriminator_x, x, made[0]),
            ("discriminator_y", self.discriminator_y, y, made[1]),
        ):
            (real_scores,), (fake_scores,) = (self._scores(network, seed, images) for images in (real, fake))
            losses[name] = self._discriminator_loss(real_scores, fake_scores)
        return self.means({"loss": total, **losses}, tf.shape(x)[0])

    def generator_gradients(
        self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tuple[dict, list[tf.Tensor], tuple]:
        """Loss terms by name, before their weights; gradients of their weighted sum for `generator_variables`, as large
        as the optimizer scales its loss; and the generated images of X and of Y, `[batch, size, size, 3]` each.
        `seed`, int64 `[2]`, is the augmentation's."""
        with tf.GradientTape() as tape:
            total, losses, made = self._generator_losses(x, y, seed)
            total = self.generator_optimizer.scale_loss(total)
        return losses, tape.gradient(total, self.generator_variables), made

    def _generator_losses(self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor | None) -> tuple[tf.Tensor, dict, tuple]:
        """The weighted sum, its terms, and the generated images; see `generator_gradients`."""
        config, losses = self.config, {}
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
        (scores_y,) = self._scores(self.discriminator_y, seed, fake_y)
        (scores_x,) = self._scores(self.discriminator_x, seed, fake_x)
        losses["adversarial_xy"] = self._generator_loss(scores_y)
        losses["adversarial_yx"] = self._generator_loss(scores_x)
        total = losses["adversarial_xy"] + losses["adversarial_yx"]
        total += config.cycle * (losses["cycle_x"] + losses["cycle_y"])
        if config.identity:
            total += config.identity * config.cycle * (losses["identity_x"] + losses["identity_y"])
        if config.guidance:
            guide = needed(self.guide, "cyclegan")
            losses["guidance_xy"] = guide.loss(fake_y, self.aims[0])
            losses["guidance_yx"] = guide.loss(fake_x, self.aims[1])
            total += config.guidance * (losses["guidance_xy"] + losses["guidance_yx"])
        return total, losses, (fake_x, fake_y)

    def discriminator_gradients(
        self, x: tf.Tensor, y: tf.Tensor, shown_x: tf.Tensor, shown_y: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tuple[dict, list[tf.Tensor]]:
        """Both losses by name, and gradients of their sum for `discriminator_variables`, as large as the optimizer
        scales its loss; `shown_x` and `shown_y` are the pools' generated images, `seed` is the augmentation's."""
        losses = {}
        with tf.GradientTape() as tape:
            for name, network, real, shown, other in (
                ("discriminator_x", self.discriminator_x, x, shown_x, y),
                ("discriminator_y", self.discriminator_y, y, shown_y, x),
            ):
                if self.config.negatives:
                    scores, fake, apart = self._scores(network, seed, real, shown, other)
                    losses[name] = 0.5 * (
                        self._discriminator_loss(scores, fake) + self._discriminator_loss(scores, apart)
                    )
                else:
                    losses[name] = self._discriminator_loss(*self._scores(network, seed, real, shown))
            total = losses["discriminator_x"] + losses["discriminator_y"]
            total = self.discriminator_optimizer.scale_loss(total)
        return losses, tape.gradient(total, self.discriminator_variables)

    def _scores(self, discriminator, seed, *batches) -> list:
        """The scores of each batch of images, a list of one map per scale; one draw augments all batches."""
        config = self.config
        if config.augment:
            batches = tuple(
                augment(images, seed, with_colour=config.augment_colour, cut=config.augment_cutout)
                for images in batches
            )
        if self.in_pairs:  # batch norm: real and generated images apart
            return [[discriminator(images, update=len(batches) > 1 and images is batches[0])] for images in batches]
        maps = tf.nest.flatten(discriminator(tf.concat(batches, 0)))
        return list(zip(*(tf.split(scores, len(batches)) for scores in maps), strict=True))

    def _generator_loss(self, scores: list) -> tf.Tensor:
        return hinge_generator_loss(scores) if self.in_pairs else least_squares(scores, 1.0)

    def _discriminator_loss(self, real: list, fake: list) -> tf.Tensor:
        return hinge_discriminator_loss(real, fake) if self.in_pairs else discriminator_loss(real, fake)

    @property
    def exported(self) -> ResNetGenerator | AdditiveGenerator:
        """The generator X -> Y to export: the averaged one if there is one."""
        return self.averaged_xy or self.generator_xy

    def call(self, images):
        """X -> Y; see `translate`."""
        return self.exported(images)

    def translate(self, images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """X -> Y by the exported generator.

        Args:
            images: float `[batch, size, size, 3]` in [-1, 1].
            seeds: int64 `[batch]`, ignored: every translator is called with seeds, CycleGAN's output needs none.

        Returns:
            float `[batch, size, size, 3]` in [-1, 1].
        """
        return self.call(images)

    def reset(self, seed: int, steps: int | None = None) -> None:
        """Resets the model in place, so that its compiled step serves the next training.

        Args:
            seed: of weights, pools and augmentation. Kernels are N(0, 0.02), biases 0.
            steps: of the next training, where it differs.
        """
        self.seed.assign(seed)
        self.step.assign(0)
        trained = self.generator_variables + self.discriminator_variables
        for index, variable in enumerate(trained):
            stream = tf.constant([seed, index], tf.int64)
            normal = tf.random.stateless_normal(variable.shape, stream, stddev=0.02)
            variable.value.assign(normal if len(variable.shape) == 4 else tf.zeros_like(normal))
        networks = (self.generator_xy, self.generator_yx, self.discriminator_x, self.discriminator_y)
        for index, network in enumerate(networks):
            if isinstance(network, Network):  # it knows its own first weights
                network.reset(seed * len(networks) + index)
        if self.averaged_xy is not None:
            for average, weight in zip(self.averaged_xy.variables, self.generator_xy.variables, strict=True):
                average.value.assign(weight.value)
        normed = () if self.in_pairs else (*self.discriminator_x.vectors, *self.discriminator_y.vectors)
        for index, vector in enumerate(normed, len(trained)):
            vector.value.assign(initial_vector(seed, index, vector.shape[0]))
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for variable in optimizer.variables:
                variable.value.assign(tf.zeros_like(variable.value))
            if isinstance(optimizer, LossScale):
                optimizer.restart()
        self.pool_x.reset()
        self.pool_y.reset()
        if steps is not None:
            self.schedule.rescale(steps)
            self.discriminator_schedule.rescale(steps)

    def scale_rates(self, factor: float) -> None:
        """Sets both learning rates to a factor of the configuration's, in place: the compiled step stays valid."""
        self.schedule.scale(factor)
        self.discriminator_schedule.scale(factor)

    def state(self) -> list[tf.Variable]:
        """Everything that a resumed training needs, in a fixed order."""
        networks = [self.generator_xy, self.generator_yx, self.discriminator_x, self.discriminator_y]
        if self.averaged_xy is not None:
            networks.append(self.averaged_xy)
        owners = [*networks, self.generator_optimizer, self.discriminator_optimizer]
        variables = [variable.value for owner in owners for variable in owner.variables]
        return [*variables, *self.pool_x.state(), *self.pool_y.state(), self.seed, self.step]

    def own_state(self) -> dict[str, tf.Variable]:
        pools = {"pool_x": self.pool_x.state(), "pool_y": self.pool_y.state()}
        parts = {f"{pool}_{number}": part for pool, parts in pools.items() for number, part in enumerate(parts)}
        aims = {"aims": self.aims} if self.config.guidance else {}
        return {"seed": self.seed, "step": self.step, **aims, **parts}

    def get_config(self) -> dict:
        steps = self.schedule.get_config()["steps"]
        config = dataclasses.asdict(self.config)
        return {"config": config, "seed": int(self.seed.numpy()), "steps": steps, "form": self.form}

    @classmethod
    def from_config(cls, config: dict) -> CycleGAN:
        return cls(from_dict(CycleGANConfig, config["config"]), **{k: v for k, v in config.items() if k != "config"})


def _tested(config: CycleGANConfig) -> list[str]:
    terms = ["adversarial_xy", "adversarial_yx", "cycle_x", "cycle_y", "discriminator_x", "discriminator_y"]
    terms += ["identity_x", "identity_y"] if config.identity else []
    terms += ["guidance_xy", "guidance_yx"] if config.guidance else []
    return ["loss", *terms]


def _check_replicas(config: CycleGANConfig) -> None:
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if several and config.discriminator == "projected" and config.accumulate > 1:
        raise UsageError(
            "option 'cyclegan.accumulate': the batch norms of cyclegan.discriminator=projected cannot reach the other "
            "replicas from one part of a batch; set it to 1 and use more replicas, or cyclegan.replicas=1"
        )
