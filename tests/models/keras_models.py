"""Small models of each kind, and their trainings as a Keras user writes them; run as a script, it goes on with saved
one in a process of its own: `python keras_models.py FOLDER NAME`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import lesiongan
from lesiongan.optim.adam import Adam, ParameterGroups
from lesiongan.optim.fine_tune import FineTune
from lesiongan.optim.one_cycle import OneCycle

CLASSES, SIZE, STEPS = 3, 32, 3  # steps before saving, and after it

_ACGAN = lesiongan.ACGANConfig(size=SIZE, batch=6, latent=16, width=1 / 16, ema=0.9, augment=True)
_CYCLEGAN = lesiongan.CycleGANConfig(size=SIZE, blocks=1, filters=2, discriminator_filters=2, batch=2, pool=3)


def _acgan(**options):
    model = lesiongan.ACGAN(dataclasses.replace(_ACGAN, **options), CLASSES, seed=5)
    model.compile()
    return model


def _cyclegan(**options):
    model = lesiongan.CycleGAN(dataclasses.replace(_CYCLEGAN, **options), seed=5, steps=2 * STEPS)
    model.compile(steps_per_execution=1)
    return model


def _classifier(optimizer: str, **options):
    model = lesiongan.LesionClassifier(CLASSES, width=0.1, stem="small", seed=5, **options)
    if optimizer == "fine_tune":
        schedule = FineTune(1e-2, 2 * STEPS, 2)
        groups = ParameterGroups(model.parameter_groups(), schedule.groups)
        model.compile(Adam.fastai(schedule.rate, schedule.momentum, groups=groups), metrics=["accuracy"])
    elif optimizer == "one_cycle":
        schedule = OneCycle(1e-2, 2 * STEPS)
        model.compile(
            Adam.fastai(schedule.rate, schedule.momentum), metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)]
        )
    else:
        model.compile(optimizer, metrics=["accuracy"])
    return model


#: Name -> what makes the model; the first of each kind has all that a file could lose.
MODELS = {
    "acgan": lambda: _acgan(spectral_norm=True, ada_target=0.6, ada_images=100),
    "acgan-residual": lambda: _acgan(networks="residual", loss="hinge", ema=0.0, r1=1.0, discriminator_rate=4e-4),
    "acgan-projected": lambda: _acgan(networks="projected", loss="hinge"),
    "cyclegan": lambda: _cyclegan(spectral_norm=True, ema=0.9),
    "cyclegan-options": lambda: _cyclegan(identity=0.5, augment=True, xla=True),
    "cyclegan-float16": lambda: _cyclegan(precision="mixed_float16"),
    "cyclegan-projected": lambda: _cyclegan(generator="additive", discriminator="projected"),
    "classifier": lambda: _classifier("fine_tune"),
    "classifier-one-cycle": lambda: _classifier("one_cycle", mixup=0.4, precision="mixed_bfloat16"),
    "classifier-sgd": lambda: _classifier("sgd", focal=2.0, precision="mixed_float16"),
}


def data(name: str, seed: int) -> tf.data.Dataset:
    """Batches of three steps."""
    random = np.random.default_rng(seed)
    count = STEPS * (2 if "cyclegan" in name else 6)
    x, y = random.uniform(-1, 1, (2, count, SIZE, SIZE, 3)).astype(np.float32)
    labels = np.arange(count, dtype=np.int32) % CLASSES
    arrays = (x, y) if "cyclegan" in name else (x, labels)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(count // STEPS)


def state(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in [*model.state(), *model.own_state().values()]]


def predict(model: keras.Model, name: str) -> np.ndarray:
    if "acgan" in name:
        return model.predict((np.arange(CLASSES, dtype=np.int32), np.arange(CLASSES, dtype=np.int64)), verbose=0)
    return model.predict(data(name, 3).map(lambda x, y: x), verbose=0)


def go_on(model: keras.Model, name: str) -> dict[str, np.ndarray]:
    """Three more steps, and what there is after them."""
    history = model.fit(data(name, 2), shuffle=False, verbose=0).history
    arrays = {f"state_{number:04d}": value for number, value in enumerate(state(model))}
    arrays |= {f"history_{key}": np.array(values) for key, values in history.items()}
    return arrays | {"predictions": predict(model, name)}


def evaluated(model: keras.Model, name: str) -> dict[str, np.ndarray]:
    losses = model.evaluate(data(name, 3), return_dict=True, verbose=0)
    return {f"evaluated_{key}": np.array(value) for key, value in losses.items()}


if __name__ == "__main__":
    folder, name = Path(sys.argv[1]), sys.argv[2]
    loaded = lesiongan.load(folder / "model.keras")
    np.savez(folder / "loaded.npz", **evaluated(loaded, name), **go_on(loaded, name))
