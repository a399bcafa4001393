"""ACGAN: images of a class from noise and a label (Odena et al. 2017), its training step and its options."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.reader import from_dict
from lesiongan.models.acgan import networks, projected, residual
from lesiongan.models.acgan.losses import R1, class_loss, source_loss
from lesiongan.models.augmentation import AdaptiveProbability, augment
from lesiongan.models.averaging import move_average
from lesiongan.models.guidance import Guide, needed
from lesiongan.models.keras_file import GAN
from lesiongan.models.replicas import check_share, drawn, share_of_mean
from lesiongan.optim.adam import Adam
from lesiongan.optim.loss_scale import LossScale
from lesiongan.optim.schedules import LinearDecay

#: The networks by name; this is the place where another pair is added (and in the Literal of `ACGANConfig.networks`).
NETWORKS = {
    "paper": (networks.Generator, networks.Discriminator),
    "residual": (residual.ResidualGenerator, residual.ResidualDiscriminator),
    "projected": (projected.ProjectedGenerator, projected.ProjectedDiscriminator),
}
_NOISE = 0x6E6F  # keeps the noise that `sample` draws for a seed apart from training's
_TESTED = ["d_real", "d_fake", "d_class", "g_adversarial", "g_class", "d_source_accuracy", "d_class_accuracy"]


def with_label(noise, labels, num_classes: int):
    """The first `num_classes` numbers of the noise `[batch, latent]` overwritten by the one-hot label."""
    return tf.concat([tf.one_hot(labels, num_classes, dtype=noise.dtype), noise[:, num_classes:]], axis=1)


@keras.saving.register_keras_serializable("lesiongan")
class ACGAN(GAN):
    """Generator and discriminator with the training step of ACGAN.

    Train it with `fit` on batches of (images float32 `[batch, size, size, 3]` in [-1, 1], labels int32 `[batch]`) after
    `compile()`. Everything random in step t follows from (seed, t), so a training whose `state()` was restored, or that
    was saved as a `.keras` file and loaded, goes on exactly as if it had not been interrupted.

    Args:
        config: the options; the defaults are the paper's.
        num_classes: k, less than the noise's length.
        seed: of the initial weights and the training's noise.
        steps: of the whole training, to which `config.decay` is scaled; None: the rates stay constant.
        guide: of `config.guidance`, with the same classes; without it such a model is neither trained nor evaluated.

    Made in the scope of a `tf.distribute` strategy, `config.batch` is the global batch: a step is that of one device
    with it (see `models.replicas`).

    Raises:
        UsageError: the noise is too short for the classes, or the replicas cannot share the batch.
    """

    def __init__(
        self,
        config: ACGANConfig,
        num_classes: int,
        seed: int = 0,
        *,
        steps: int | None = None,
        guide: Guide | None = None,
        **kwargs,
    ):
        super().__init__([*_TESTED, "guidance"] if config.guidance else _TESTED, **kwargs)
        if num_classes >= config.latent:
            raise UsageError(f"acgan.latent={config.latent} is too short for {num_classes} classes; make it larger")
        check_share(config.batch, "acgan.batch")
        _check_replicas(config)
        self.config, self.num_classes, self.seed, self.guide = config, num_classes, seed, guide
        seeds = tf.random.stateless_uniform([2], [seed, 1], 0, 2**31 - 1, tf.int32, alg="philox").numpy().tolist()
        make_generator, make_discriminator = NETWORKS[config.networks]
        shared = {"num_classes": num_classes, "width": config.width, "precision": config.precision}
        generator = {"size": config.size, "latent": config.latent, "seed": seeds[0], **shared}
        self.generator = make_generator(**generator)
        self.averaged = make_generator(**generator, name="averaged_generator") if config.ema else None
        if config.networks == "projected":
            shared["look_size"] = config.look_size
        self.discriminator = make_discriminator(
            config.size, dropout=config.dropout, spectral_norm=config.spectral_norm, seed=seeds[1], **shared
        )
        rates = config.learning_rate, config.discriminator_rate or config.learning_rate
        self.schedule, self.discriminator_schedule = (LinearDecay(rate, steps, decay=config.decay) for rate in rates)
        self.source_loss = source_loss(config)
        self.r1 = R1(config.r1, config.r1_every) if config.r1 else None
        self.ada = AdaptiveProbability(config.ada_target, config.ada_images) if config.ada_target else None
        # A counter of its own: that of an optimizer stands still where float16 overflows.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=first, name="step")
        self.built = True

    def compile(self, **kwargs):
        """Sets both optimizers, with their variables, which begin anew; see `GAN.compile` for what it takes."""
        self.generator_optimizer = self._optimizer(self.schedule, self.generator)
        self.discriminator_optimizer = self._optimizer(self.discriminator_schedule, self.discriminator)
        super().compile(**kwargs)

    def _optimizer(self, rate: LinearDecay, network) -> keras.optimizers.Optimizer:
        optimizer = Adam(rate, self.config.beta_1, epsilon=1e-8)
        if self.config.precision == "mixed_float16":
            optimizer = LossScale(optimizer)
        optimizer.build(network.trainable_variables)
        return optimizer

    def scale_rates(self, factor: float) -> None:
        """Sets both learning rates to a factor of the configuration's, in place: the compiled step stays valid."""
        self.schedule.scale(factor)
        self.discriminator_schedule.scale(factor)

    def train_step(self, batch):
        """One step of the discriminator, then one of the generator, on the same generated images."""
        real, labels = batch
        noise, fake_labels, seeds = self.draw(labels)
        generator, discriminator = self.generator, self.discriminator
        variables = [network.trainable_variables for network in (generator, discriminator)]

        real = discriminator.look(self._augmented(real, seeds))
        with tf.GradientTape() as generator_tape:
            made = generator(noise, training=True)
            fake = discriminator.look(self._augmented(made, seeds))
            if self.config.guidance:
                guidance = needed(self.guide, "acgan").loss(made, fake_labels)
                scaled_guidance = self.generator_optimizer.scale_loss(self.config.guidance * guidance)
        shown = tf.nest.map_structure(tf.stop_gradient, fake)

        with tf.GradientTape() as tape:
            # Real and generated images in separate passes: batch norm must not mix their statistics.
            real_source, real_class = discriminator(real, labels, training=True, dropout_seed=seeds["real"])
            fake_source, fake_class = discriminator(
                shown, fake_labels, training=True, dropout_seed=seeds["fake"], update=False
            )
            losses = {"d_real": self.source_loss.real(real_source), "d_fake": self.source_loss.generated(fake_source)}
            losses["d_class"] = class_loss(real_class, labels)
            if self.config.aux_on_fake:
                losses["d_class"] += class_loss(fake_class, fake_labels)
            d_loss = losses["d_real"] + losses["d_fake"] + losses["d_class"]
            scaled = self.discriminator_optimizer.scale_loss(d_loss)
        gradients = tape.gradient(scaled, [v.value for v in variables[1]])
        if self.r1 is not None:
            losses["r1"], more = self._r1_gradients(self.r1, real, seeds["real"])
            gradients = [a + b for a, b in zip(gradients, more, strict=True)]
        self.discriminator_optimizer.apply(share_of_mean(gradients), variables[1])

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(shown)
            source, classes = discriminator(
                shown, fake_labels, training=True, dropout_seed=seeds["generator"], update=False
            )
            losses |= {"g_adversarial": self.source_loss.generator(source), "g_class": class_loss(classes, fake_labels)}
            g_loss = losses["g_adversarial"] + self.config.class_weight * losses["g_class"]
            scaled = self.generator_optimizer.scale_loss(g_loss)
        ends, pulls = [fake], [tape.gradient(scaled, shown)]
        if self.config.guidance:
            losses["guidance"] = guidance
            g_loss += self.config.guidance * guidance
            ends, pulls = [*ends, scaled_guidance], [*pulls, tf.ones([])]
        gradients = generator_tape.gradient(ends, [v.value for v in variables[0]], output_gradients=pulls)
        self.generator_optimizer.apply(share_of_mean(gradients), variables[0])

        if self.ada is not None:
            losses["augmentation_probability"] = tf.identity(self.ada.p)
            self.ada.update(real_source, self.step)
        self.step.assign_add(1)
        if self.averaged is not None:
            move_average(self.averaged, self.generator, self.config.ema, self.step)
        accuracies = _accuracies(real_source, fake_source, real_class, labels)
        return {"d_loss": d_loss, "g_loss": g_loss, **losses, **accuracies}

    def test_step(self, batch):
        """The losses on held-out images and as many of the exported generator, without augmentation and dropout and
        with moving averages; nothing is moved."""
        real, labels = batch
        seen = tf.cast(self.tested["d_real"].count, tf.int64)  # so that the next batch gets other noise
        noise, fake_labels, _ = self.draw(labels, ahead=seen)
        look, discriminator = self.discriminator.look, self.discriminator
        real_source, real_class = discriminator(look(real), labels, training=False)
        made = self.exported(noise, training=False)
        fake_source, fake_class = discriminator(look(made), fake_labels, training=False)
        losses = {
            "d_real": self.source_loss.real(real_source),
            "d_fake": self.source_loss.generated(fake_source),
            "d_class": class_loss(real_class, labels),
            "g_adversarial": self.source_loss.generator(fake_source),
            "g_class": class_loss(fake_class, fake_labels),
        }
        if self.config.guidance:
            losses["guidance"] = needed(self.guide, "acgan").loss(made, fake_labels)
        return self.means(losses | _accuracies(real_source, fake_source, real_class, labels), tf.shape(real)[0])

    def draw(self, real_labels, ahead=0):
        """What is random in this step, or so many steps `ahead`: noise with labels `[count, latent]`, the labels
        `[count]`, and the seeds of what follows, by name. Labels are drawn uniformly over the classes; for `projected`
        networks, which see images in pairs of one class, they are those of the real images."""
        count = tf.shape(real_labels)[0]
        key = tf.random.fold_in(tf.constant([self.seed, 0], tf.int64), self.step + ahead, alg="philox")
        names = ("noise", "labels", "augment", "real", "fake", "generator")
        seeds = dict(zip(names, tf.unstack(tf.random.split(key, len(names), alg="philox")), strict=True))
        labels = real_labels
        if self.config.networks != "projected":
            classes = 0, self.num_classes, tf.int32
            labels = drawn(lambda n: tf.random.stateless_uniform([n], seeds["labels"], *classes, alg="philox"), count)
        latent = self.config.latent
        noise = drawn(lambda n: tf.random.stateless_normal([n, latent], seeds["noise"], alg="philox"), count)
        return with_label(noise, labels, self.num_classes), labels, seeds

    @property
    def exported(self):
        """The generator to export: the averaged one if there is one."""
        return self.averaged or self.generator

    def sample(self, labels, seeds):
        """Images of the classes asked for: labels int32 `[n]`, seeds int64 `[n]` -> float32 `[n, size, size, 3]` in
        [-1, 1]. An image depends on its own label and seed alone; those of one seed share their noise."""
        noise = tf.map_fn(
            lambda seed: tf.random.stateless_normal([self.config.latent], tf.stack([seed, _NOISE]), alg="philox"),
            tf.cast(seeds, tf.int64),
            fn_output_signature=tf.float32,
        )
        return self.from_noise(labels, noise)

    def from_noise(self, labels, noise):
        """`sample` with the noise itself, float32 `[n, latent]` of N(0, 1), whose first `num_classes` numbers are not
        used."""
        return self.exported(with_label(noise, labels, self.num_classes), training=False)

    @property
    def latent(self) -> int:
        """Numbers of noise."""
        return self.config.latent

    def call(self, inputs, training=False):
        labels, seeds = inputs
        return self.sample(labels, seeds)

    def state(self) -> list[tf.Variable]:
        """Everything that a resumed training needs, in a fixed order; the model must be compiled."""
        parts = [self.generator, self.discriminator, self.generator_optimizer, self.discriminator_optimizer]
        if self.averaged is not None:
            parts.append(self.averaged)
        variables = [variable.value for part in parts for variable in part.variables]
        return [*variables, *([] if self.ada is None else self.ada.state()), self.step]

    def own_state(self) -> dict[str, tf.Variable]:
        adaptive = {} if self.ada is None else dict(zip(("ada_p", "ada_seen"), self.ada.state(), strict=True))
        return {"step": self.step, **adaptive}

    def get_config(self):
        settings = {"config": dataclasses.asdict(self.config), "num_classes": self.num_classes, "seed": self.seed}
        return settings | {"steps": self.schedule.get_config()["steps"]}

    @classmethod
    def from_config(cls, config):
        options = from_dict(ACGANConfig, config["config"])
        return cls(options, **{key: value for key, value in config.items() if key != "config"})

    def _augmented(self, images, seeds):
        if not self.config.augment:
            return images
        config, probability = self.config, None if self.ada is None else self.ada.p
        return augment(
            images, seeds["augment"], probability, with_colour=config.augment_colour, cut=config.augment_cutout
        )

    def _r1_gradients(self, r1: R1, real, dropout_seed):
        return r1.gradients(
            self.step,
            [v.value for v in self.discriminator.trainable_variables],
            self.discriminator_optimizer.scale_loss,
            self.discriminator,
            real,
            training=True,
            dropout_seed=dropout_seed,
            update=False,
        )


def _check_replicas(config: ACGANConfig) -> None:
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if several and config.r1 and config.r1_every > 1 and config.networks == "paper":
        raise UsageError(
            "option 'acgan.r1_every': the discriminator's batch norms cannot reach the other replicas from a penalty "
            "that is computed now and then; set it to 1, or take acgan.networks=residual, or acgan.replicas=1"
        )


def _accuracies(real_source, fake_source, real_class, labels) -> dict[str, tf.Tensor]:
    right = tf.concat([real_source > 0, fake_source <= 0], axis=0)
    return {
        "d_source_accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
        "d_class_accuracy": tf.reduce_mean(tf.cast(tf.argmax(real_class, 1, tf.int32) == labels, tf.float32)),
    }
