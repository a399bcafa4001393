"""ACGAN: images of a class from noise and a label (Odena et al. 2017).

The networks are those of the paper's implementation at 128 px (ALGORITHMS: clvrai/ACGAN-PyTorch); other sizes have no
published network, and follow a rule of ours: see `Generator`.
"""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf
from keras import layers

from lesiongan import config as configuration
from lesiongan.config import ACGANConfig
from lesiongan.errors import UsageError
from lesiongan.models.augmentation import augment

# Widths of the generator's feature maps, from the smallest map on; the last layer gives 3 channels.
GENERATOR_WIDTHS = {
    32: (384, 256, 192),
    64: (384, 256, 192, 64),
    128: (768, 384, 256, 192, 64),
    256: (768, 384, 256, 192, 96, 64),
}
DISCRIMINATOR_WIDTHS = (16, 32, 64, 128, 256, 512)
_DROPOUT_LEVELS = 256  # one random byte a unit; the rate is a multiple of 1/256
_NOISE = 0x6E6F  # keeps the noise that `sample` draws for a seed apart from training's


# Losses, in the paper's terms: L_S, the log-likelihood of the right source, and L_C, of the right class (both negated).


def source_loss(logits, real: bool):
    """-L_S: mean cross-entropy of the source logits `[batch, 1]` with `real` (or generated). With real=True on
    generated images this is the generator's non-saturating loss."""
    return keras.ops.mean(keras.ops.softplus(-logits if real else logits))


def class_loss(logits, labels):
    """-L_C: mean cross-entropy of the class logits `[batch, classes]` with the labels `[batch]`."""
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


# Networks


def _weights(seed: int):
    """The paper's initial weights, N(0, 0.02); a fresh seed for each call."""
    seeds = iter(tf.random.stateless_uniform([64], [seed, 0], 0, 2**31 - 1, tf.int32).numpy().tolist())
    return lambda mean=0.0: keras.initializers.RandomNormal(mean, 0.02, seed=next(seeds))


def _batch_norm(weights):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=weights(1.0))


def _scaled(widths, factor: float) -> list[int]:
    return [max(1, round(width * factor)) for width in widths]


@keras.saving.register_keras_serializable("lesiongan")
class Generator(keras.Model):
    """Noise `[batch, latent]` -> images `[batch, size, size, 3]` in [-1, 1].

    At 128 px (the paper): dense to 1 x 1 x 768 without activation, transposed 5 x 5 convolutions of stride 2 without
    padding to 5, 13, 29 and 61 pixels, and one of 8 x 8 to 128. At 32, 64 and 256 px (ours): dense to 4 x 4 with batch
    norm and ReLU, then doubling by transposed 4 x 4 convolutions of stride 2. Batch norm and ReLU follow each
    convolution but the last, which ends in tanh.

    Args:
        size: 32, 64, 128 or 256 pixels.
        latent: length of the noise vector.
        width: factor on the number of filters.
        seed: of the initial weights.
    """

    def __init__(self, size: int, latent: int, width: float = 1.0, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if size not in GENERATOR_WIDTHS:
            raise UsageError(
                f"acgan.size={size}: the ACGAN has networks for {', '.join(map(str, GENERATOR_WIDTHS))} px"
            )
        self.size, self.latent, self.width, self.seed = size, latent, width, seed
        weights = _weights(seed)
        first, *filters = _scaled(GENERATOR_WIDTHS[size], width)
        published = size == 128
        side = 1 if published else 4
        self.dense = layers.Dense(side * side * first, kernel_initializer=weights())
        self.reshape = layers.Reshape((side, side, first))
        self.first_norm = None if published else _batch_norm(weights)
        kernels = (5, 5, 5, 5, 8) if published else (4,) * (len(filters) + 1)
        self.convolutions = [
            layers.Conv2DTranspose(
                channels,
                kernel,
                strides=2,
                padding="valid" if published else "same",
                use_bias=False,
                kernel_initializer=weights(),
            )
            for channels, kernel in zip([*filters, 3], kernels, strict=True)
        ]
        self.norms = [_batch_norm(weights) for _ in filters]
        self(tf.zeros([1, latent]))

    def call(self, noise, training=False):
        x = self.reshape(self.dense(noise))
        if self.first_norm is not None:
            x = keras.ops.relu(self.first_norm(x, training=training))
        for convolution, norm in zip(self.convolutions[:-1], self.norms, strict=True):
            x = keras.ops.relu(norm(convolution(x), training=training))
        return keras.ops.tanh(keras.ops.cast(self.convolutions[-1](x), "float32"))

    def get_config(self):
        return {key: getattr(self, key) for key in ("size", "latent", "width", "seed")}


@keras.saving.register_keras_serializable("lesiongan")
class Discriminator(keras.Model):
    """Images `[batch, size, size, 3]` in [-1, 1] -> (source logits `[batch, 1]`, class logits `[batch, classes]`).

    3 x 3 convolutions without bias, strides 2 1 2 1 2 1, padding 1 where the stride is 2 and none where it is 1;
    batch norm on all but the first, LeakyReLU 0.2 and dropout after each; two dense heads on the flattened map
    (13 x 13 x 512 at 128 px).

    Args:
        size: pixels of the images, at least 32.
        num_classes: k.
        width: factor on the number of filters.
        dropout: its rate; the paper's is 0.5.
        seed: of the initial weights.
    """

    def __init__(self, size: int, num_classes: int, width: float = 1.0, dropout: float = 0.5, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.num_classes, self.width, self.dropout, self.seed = size, num_classes, width, dropout, seed
        weights = _weights(seed)
        self.pad = layers.ZeroPadding2D(1)
        filters = _scaled(DISCRIMINATOR_WIDTHS, width)
        self.convolutions = [
            layers.Conv2D(channels, 3, strides=2 - index % 2, use_bias=False, kernel_initializer=weights())
            for index, channels in enumerate(filters)
        ]
        self.norms = [None] + [_batch_norm(weights) for _ in filters[1:]]
        self.flatten = layers.Flatten()
        self.source = layers.Dense(1, kernel_initializer=weights())
        self.classes = layers.Dense(num_classes, kernel_initializer=weights())
        self(tf.zeros([1, size, size, 3]))

    def call(self, images, training=False, dropout_seed=None):
        """`dropout_seed`, int `[2]`, decides what is dropped; without it nothing is."""
        x = images
        seeds = [None] * 6 if dropout_seed is None else tf.unstack(tf.random.split(dropout_seed, 6))
        for index, (convolution, norm, seed) in enumerate(zip(self.convolutions, self.norms, seeds, strict=True)):
            x = convolution(self.pad(x) if index % 2 == 0 else x)
            if norm is not None:
                x = norm(x, training=training)
            x = keras.ops.leaky_relu(x, 0.2)
            if seed is not None and self.dropout:
                x = dropout(x, self.dropout, seed)
        x = self.flatten(x)
        source, classes = self.source(x), self.classes(x)
        return keras.ops.cast(source, "float32"), keras.ops.cast(classes, "float32")

    def get_config(self):
        return {key: getattr(self, key) for key in ("size", "num_classes", "width", "dropout", "seed")}


def dropout(x, rate: float, seed):
    """Inverted dropout as a function of the seed, int `[2]`; the rate is rounded to a multiple of 1/256.

    One random byte a unit, where TensorFlow's own draws four: random numbers are a tenth of a step on a CPU.
    """
    dropped = round(rate * _DROPOUT_LEVELS)
    units = tf.size(x)
    words = tf.random.stateless_uniform([(units + 3) // 4], seed, None, None, tf.uint32)
    levels = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:units], tf.shape(x))
    return x * tf.cast(levels >= dropped, x.dtype) * (_DROPOUT_LEVELS / (_DROPOUT_LEVELS - dropped))


def with_label(noise, labels, num_classes: int):
    """The first `num_classes` numbers of the noise `[batch, latent]` overwritten by the one-hot label."""
    return tf.concat([tf.one_hot(labels, num_classes, dtype=noise.dtype), noise[:, num_classes:]], axis=1)


@keras.saving.register_keras_serializable("lesiongan")
class ACGAN(keras.Model):
    """Generator and discriminator with the training step of ACGAN.

    Train it with `fit` on batches of (images float32 `[batch, size, size, 3]` in [-1, 1], labels int32 `[batch]`) after
    `compile()`. Everything random in step t follows from (seed, t), so a training that `state()` was restored for
    goes on exactly as if it had not been interrupted.

    Args:
        config: the options; the defaults are the paper's.
        num_classes: k, less than the noise's length.
        seed: of the initial weights and the training's noise.

    Raises:
        UsageError: there is no network for the size, or the noise is too short for the classes.
    """

    def __init__(self, config: ACGANConfig, num_classes: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if num_classes >= config.latent:
            raise UsageError(f"acgan.latent={config.latent} is too short for {num_classes} classes; make it larger")
        self.config, self.num_classes, self.seed = config, num_classes, seed
        network = (config.size, config.latent, config.width)
        seeds = tf.random.stateless_uniform([2], [seed, 1], 0, 2**31 - 1, tf.int32).numpy().tolist()
        self.generator = Generator(*network, seed=seeds[0], name="generator")
        self.discriminator = Discriminator(
            config.size, num_classes, config.width, config.dropout, seed=seeds[1], name="discriminator"
        )
        self.averaged = None
        if config.ema:
            self.averaged = Generator(*network, seed=seeds[0], name="averaged_generator", trainable=False)
        self.built = True

    def compile(self, **kwargs):
        """Sets both optimizers, with their variables; further arguments are those of `keras.Model.compile`."""
        super().compile(**{"jit_compile": False} | kwargs)
        rate, beta_1 = self.config.learning_rate, self.config.beta_1
        self.generator_optimizer = keras.optimizers.Adam(rate, beta_1, epsilon=1e-8)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer = keras.optimizers.Adam(rate, beta_1, epsilon=1e-8)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, batch):
        """One step of the discriminator, then one of the generator, on the same generated images."""
        real, labels = batch
        noise, fake_labels, seeds = self._draw(tf.shape(real)[0])
        if self.config.augment:
            real = augment(real, seeds["augment"])

        with tf.GradientTape() as generator_tape:
            fake = self.generator(noise, training=True)
            if self.config.augment:
                fake = augment(fake, seeds["augment"])

            with tf.GradientTape() as discriminator_tape:
                # Real and generated images in separate passes: batch norm must not mix their statistics.
                real_source, real_class = self.discriminator(real, training=True, dropout_seed=seeds["real"])
                fake_source, fake_class = self.discriminator(
                    tf.stop_gradient(fake), training=True, dropout_seed=seeds["fake"]
                )
                d_real, d_fake = source_loss(real_source, real=True), source_loss(fake_source, real=False)
                d_class = class_loss(real_class, labels)
                if self.config.aux_on_fake:
                    d_class += class_loss(fake_class, fake_labels)
                d_loss = d_real + d_fake + d_class
            variables = self.discriminator.trainable_variables
            self.discriminator_optimizer.apply(discriminator_tape.gradient(d_loss, variables), variables)

            source, classes = self.discriminator(fake, training=True, dropout_seed=seeds["generator"])
            g_adversarial, g_class = source_loss(source, real=True), class_loss(classes, fake_labels)
            g_loss = g_adversarial + g_class
        variables = self.generator.trainable_variables
        self.generator_optimizer.apply(generator_tape.gradient(g_loss, variables), variables)
        self._average()

        right = tf.concat([real_source > 0, fake_source <= 0], axis=0)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "d_real": d_real,
            "d_fake": d_fake,
            "d_class": d_class,
            "g_adversarial": g_adversarial,
            "g_class": g_class,
            "d_source_accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
            "d_class_accuracy": tf.reduce_mean(tf.cast(tf.argmax(real_class, 1, tf.int32) == labels, tf.float32)),
        }

    def sample(self, labels, seeds):
        """Images of the classes asked for: labels int32 `[n]`, seeds int64 `[n]` -> float32 `[n, size, size, 3]` in
        [-1, 1]. An image depends on its own label and seed alone; those of one seed share their noise."""
        noise = tf.map_fn(
            lambda seed: tf.random.stateless_normal([self.config.latent], tf.stack([seed, _NOISE]), alg="philox"),
            tf.cast(seeds, tf.int64),
            fn_output_signature=tf.float32,
        )
        generator = self.generator if self.averaged is None else self.averaged
        return generator(with_label(noise, labels, self.num_classes), training=False)

    def call(self, inputs, training=False):
        labels, seeds = inputs
        return self.sample(labels, seeds)

    def state(self) -> list[tf.Variable]:
        """Everything that a resumed training needs, in a fixed order; the model must be compiled."""
        parts = [self.generator, self.discriminator, self.generator_optimizer, self.discriminator_optimizer]
        if self.averaged is not None:
            parts.append(self.averaged)
        return [variable.value for part in parts for variable in part.variables]

    def get_config(self):
        return {"config": dataclasses.asdict(self.config), "num_classes": self.num_classes, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        options = configuration.from_dict(ACGANConfig, config["config"])
        return cls(options, **{key: value for key, value in config.items() if key != "config"})

    def _draw(self, count):
        """The step's noise with labels drawn uniformly over the classes, the labels, and the seeds of what follows."""
        step = tf.cast(self.generator_optimizer.iterations, tf.int64)
        key = tf.random.fold_in(tf.constant([self.seed, 0], tf.int64), step)
        key = tf.random.fold_in(key, tf.distribute.get_replica_context().replica_id_in_sync_group)
        names = ("noise", "labels", "augment", "real", "fake", "generator")
        seeds = dict(zip(names, tf.unstack(tf.random.split(key, len(names))), strict=True))
        labels = tf.random.stateless_uniform([count], seeds["labels"], 0, self.num_classes, tf.int32)
        noise = tf.random.stateless_normal([count, self.config.latent], seeds["noise"])
        return with_label(noise, labels, self.num_classes), labels, seeds

    def _average(self):
        """The moving average of the generator, its batch statistics too; the decay grows from 0.1 with the steps, so
        that the initial weights are forgotten however short the training."""
        if self.averaged is None:
            return
        step = tf.cast(self.generator_optimizer.iterations, tf.float32)
        decay = tf.minimum(self.config.ema, step / (9.0 + step))
        for average, variable in zip(self.averaged.variables, self.generator.variables, strict=True):
            average.assign(variable + decay * (average - variable))
