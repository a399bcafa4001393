"""One CycleGAN step on two replicas (two logical CPUs) and on one; prints what they did as JSON.

A process of its own: logical devices must be made before TensorFlow is first used.
"""

import dataclasses
import json
import tempfile

import keras
import numpy as np
import tensorflow as tf
from cyclegan_steps import TINY, applied, batches

from lesiongan.base.errors import UsageError
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.models.replicas import replica_seed
from lesiongan.optim.loss_scale import LossScale

CONFIG = dataclasses.replace(TINY, batch=4, identity=0.0, pool=4, ema=0.9, spectral_norm=True)


def components(variable, strategy):
    return [part.numpy() for part in strategy.experimental_local_results(variable)]


def pools(model, count):
    """The stored images of each replica's pool of Y, one number an image."""
    return [buffer.numpy()[:count, 3, 4, 1].tolist() for buffer in model.pool_y.state() if len(buffer.shape) == 4]


def trained(strategy):
    with strategy.scope():
        model = CycleGAN(CONFIG, seed=3, steps=6)
    data = tf.data.Dataset.from_tensors(batches(1, batch=4)[0])
    history = model.fit(data, shuffle=False, verbose=0).history
    count = 4 // strategy.num_replicas_in_sync
    pooled = {id(variable) for pool in (model.pool_x, model.pool_y) for variable in pool.state()}
    others = [variable for variable in model.state() if id(variable) not in pooled]
    found = {
        "losses": {name: values[0] for name, values in history.items()},
        "gradients": {
            name: [gradient.tolist() for gradient in applied(getattr(model, name))]
            for name in ("generator_optimizer", "discriminator_optimizer")
        },
        "averaged": [variable.numpy().tolist() for variable in model.averaged_xy.variables],
        "vectors": [vector.numpy().tolist() for vector in model.discriminator_x.vectors],
        "pools": pools(model, count),
        "replicas_differ": max(
            float(np.abs(part - parts[0]).max())
            for parts in (components(variable, strategy) for variable in others)
            for part in parts
        ),
    }
    checkpoint = tf.train.Checkpoint(state=model.state())
    path = checkpoint.write(f"{tempfile.mkdtemp()}/checkpoint")
    model.reset(5)
    assert not np.any(pools(model, count))
    checkpoint.read(path).assert_consumed()
    return found | {"restored": pools(model, count)}


def seeds_of(strategy):
    @tf.function(autograph=False)
    def seeds():
        return strategy.run(replica_seed, args=(tf.constant([1, 2], tf.int64),))

    return strategy.experimental_local_results(seeds())


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

    step()
    return {
        "weights": [part.tolist() for part in components(variable.value, strategy)],
        "scales": [float(part) for part in components(optimizer.dynamic_scale.value, strategy)],
        "iterations": int(optimizer.iterations.numpy()),
    }


def refused(strategy):
    with strategy.scope():
        try:
            CycleGAN(dataclasses.replace(CONFIG, batch=3))
        except UsageError as error:
            return str(error)


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    seeds = seeds_of(two)
    found = {
        "one": trained(tf.distribute.get_strategy()),
        "two": trained(two),
        "seeds": [seed.numpy().tolist() for seed in seeds],
        "overflow": overflow(two),
        "refused": refused(two),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
