"""Steps of each model on two replicas (two logical CPUs) and on one; prints what they did as JSON.

A process of its own: logical devices must be made before TensorFlow is first used.
"""

import contextlib
import dataclasses
import json
import sys

import keras
import numpy as np
import tensorflow as tf
from cyclegan_steps import TINY, applied, batches

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.models.acgan import projected
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.backbones import resnet50
from lesiongan.models.cyclegan import additive
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.guidance import Guide
from lesiongan.models.projected.heads import partners_of
from lesiongan.optim.loss_scale import LossScale
from lesiongan.training.classifier import build_classifier

STEPS, BATCH, CLASSES = 2, 8, 3

#: All that is drawn at random, all that looks at a batch as a whole, and all that is kept from step to step.
CYCLEGAN = dataclasses.replace(TINY, batch=BATCH, pool=5, ema=0.9, spectral_norm=True, augment=True, guidance=2.0)
PARTS = dataclasses.replace(TINY, batch=BATCH, pool=0, accumulate=2)
ACGAN_PAPER = ACGANConfig(
    size=64,
    batch=BATCH,
    width=0.1,
    latent=16,
    ema=0.9,
    augment=True,
    ada_target=0.6,
    ada_images=40,
    r1=1.0,
    r1_every=1,
    guidance=2.0,
)
ACGAN_RESIDUAL = dataclasses.replace(
    ACGAN_PAPER, size=32, networks="residual", loss="hinge", spectral_norm=True, r1_every=2
)
ACGAN_PROJECTED = ACGANConfig(
    size=32, batch=BATCH, width=0.1, latent=16, ema=0.9, augment=True, networks="projected", loss="hinge", dropout=0.0
)
CYCLEGAN_PROJECTED = dataclasses.replace(
    TINY, batch=BATCH, pool=0, identity=0.0, generator="additive", discriminator="projected", augment=True
)
CLASSIFIER = ClassifierConfig(
    stem="small", width=0.125, size=32, batch=BATCH, mixup=0.4, label_smoothing=0.1, learning_rate=1e-4
)


#: A guide with a variable of no replica, as a loaded classifier has them.
WEIGHTS = np.random.default_rng(7).normal(size=(3, CLASSES)).astype(np.float32)


def guide():
    weights = tf.Variable(WEIGHTS)
    return Guide(lambda images: tf.nn.softmax(3.0 * tf.reduce_mean(images**2, (1, 2)) @ weights), 48, ("a", "b", "c"))


def labelled(size):
    generator = np.random.default_rng(1)
    images = tf.constant(generator.uniform(-1, 1, (STEPS * BATCH, size, size, 3)), tf.float32)
    labels = tf.constant(generator.integers(0, CLASSES, STEPS * BATCH), tf.int32)
    return lambda: tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH, drop_remainder=True)


def pairs():
    x, y = zip(*batches(STEPS, batch=BATCH), strict=True)
    return tf.data.Dataset.from_tensor_slices((tf.stack(x), tf.stack(y)))


def cyclegan(config):
    given = {"guide": guide(), "aims": (1, 2)} if config.guidance else {}
    return lambda: CycleGAN(config, seed=3, steps=6, **given), pairs, ("generator_optimizer", "discriminator_optimizer")


def acgan(config):
    guiding = guide()

    def made():
        model = ACGAN(config, CLASSES, seed=3, guide=guiding)
        model.compile()
        return model

    return made, labelled(config.size), ("generator_optimizer", "discriminator_optimizer")


def classifier():
    # A shallow one: through fifty batch norms at random weights a rounding error grows a thousandfold and more.
    resnet50.STAGES = {"conv2": (64, 1, 1)}
    model = build_classifier(CLASSIFIER, CLASSES)
    model.reset(3)
    model.set_class_weights([0.5, 1.0, 3.0])
    return model


MODELS = {
    "cyclegan": lambda: cyclegan(CYCLEGAN),
    "cyclegan in parts": lambda: cyclegan(PARTS),
    "acgan": lambda: acgan(ACGAN_PAPER),
    "residual acgan": lambda: acgan(ACGAN_RESIDUAL),
    "projected acgan": lambda: acgan(ACGAN_PROJECTED),
    "projected cyclegan": lambda: cyclegan(CYCLEGAN_PROJECTED),
    "classifier": lambda: (classifier, labelled(CLASSIFIER.size), ("optimizer",)),
}


def partners_within_halves(labels):
    """Those of images that are on two replicas, for one device: pairs are made of a replica's own part."""
    halves = tf.split(labels, 2)
    return tf.concat([partners_of(half) + i * BATCH // 2 for i, half in enumerate(halves)], 0)


class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append({name: float(loss) for name, loss in logs.items()})


def trained(name, strategy):
    """Losses of each step, the first one's gradients, and whether replicas hold the same in the end."""
    make, data, optimizers = MODELS[name]()
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = make()
    if not strategy:
        projected.partners_of = additive.partners_of = partners_within_halves
    losses = Losses()
    model.fit(data().take(1), shuffle=False, verbose=0, callbacks=[losses])
    first = losses.steps
    gradients = [g.tolist() for optimizer in optimizers for g in _applied(getattr(model, optimizer))]
    seen = [v.numpy().tolist() for v in model.state() if "moving" in v.name]
    model.fit(data().skip(1), shuffle=False, verbose=0, callbacks=[losses])
    pool = model.pool_y.buffer[:, 3, 4, 1].numpy().tolist() if name == "cyclegan" else []
    projected.partners_of = additive.partners_of = partners_of
    parts = (
        [[part.numpy() for part in strategy.experimental_local_results(v)] for v in model.state()] if strategy else []
    )
    return {
        "losses": first + losses.steps,
        "gradients": gradients,
        "statistics": seen,
        "pool": pool,
        "replicas_differ": max((float(np.abs(part - of[0]).max()) for of in parts for part in of), default=0.0),
    }


def _applied(optimizer):
    """Adam's first moment is in proportion to the first step's gradients."""
    return [gradient.astype(np.float64) for gradient in applied(optimizer)]


def overflow(strategy):
    """A step of the loss scale whose second replica alone has an infinite gradient."""
    with strategy.scope():
        variable = keras.Variable(np.ones(1, np.float32))
        optimizer = LossScale(keras.optimizers.SGD(1.0))
        optimizer.build([variable])

    @tf.function(autograph=False)
    def step():
        def apply():
            replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
            optimizer.apply([tf.where(replica > 0, np.inf, 1.0)[None]], [variable])

        strategy.run(apply)

    def of_replicas(variable):
        return [part.numpy().tolist() for part in strategy.experimental_local_results(variable.value)]

    step()
    return {
        "weights": of_replicas(variable),
        "scales": of_replicas(optimizer.dynamic_scale),
        "iterations": int(optimizer.iterations.numpy()),
    }


def refused(strategy):
    said = []
    with strategy.scope():
        for make in (
            lambda: CycleGAN(dataclasses.replace(CYCLEGAN, batch=3)),
            lambda: ACGAN(dataclasses.replace(ACGAN_PAPER, batch=3), CLASSES),
            lambda: ACGAN(dataclasses.replace(ACGAN_PAPER, r1_every=2), CLASSES),
        ):
            try:
                make()
            except UsageError as error:
                said.append(str(error))
    return said


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {name: {"one": trained(name, None), "two": trained(name, two)} for name in sys.argv[1:] or MODELS}
    print(json.dumps(found | {"overflow": overflow(two), "refused": refused(two)}))


if __name__ == "__main__":
    main()
