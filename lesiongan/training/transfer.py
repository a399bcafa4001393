"""A new training that begins with another one's weights: with its networks, not with its optimizers, counters and image
pools, so that it is not the other one gone on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras

from lesiongan.base.errors import UsageError, first_line

#: The training model in the folder of an exported one, see `lesiongan.load`.
TRAINING_MODEL = "model.keras"
#: Options by which the networks' shapes are known, by the kind of a model.
_OF_SHAPES = {
    "acgan": ("size", "networks", "latent", "width", "spectral_norm"),
    "cyclegan": (
        "generator",
        "discriminator",
        "blocks",
        "filters",
        "discriminator_filters",
        "discriminator_scales",
        "upsampling",
        "spectral_norm",
    ),
    "classifier": ("backbone", "stem", "width"),
}

ModelT = TypeVar("ModelT", bound=keras.Model)


def check_fits(folder: Path, record: Mapping[str, Any], config: Any, classes: Sequence[str], seed: int) -> None:
    """Refuses a model whose networks a training cannot begin with, by its record alone.

    Args:
        folder: of the model.
        record: its `model.json`.
        config: of the new training, `ACGANConfig`, `CycleGANConfig` or `ClassifierConfig`.
        classes: of the new training's data, in label order; those of a CycleGAN do not count.
        seed: of the new training.

    Raises:
        UsageError: it has no training model, other classes, or networks of another shape.
    """
    kind, before = record["kind"], record.get("config", {})
    if not (folder / TRAINING_MODEL).is_file():
        raise UsageError(
            f"--transfer {folder}: {TRAINING_MODEL}, the model to go on with, is missing there (pushed models have "
            "none); give the folder of a training, or its model/"
        )
    for name in _OF_SHAPES[kind]:
        if before.get(name) != getattr(config, name):
            value = f"{before.get(name)}".lower() if isinstance(before.get(name), bool) else before.get(name)
            raise UsageError(
                f"--transfer {folder}: that model was trained with {kind}.{name}={value}, here it is "
                f"{getattr(config, name)}; give --set {kind}.{name}={value}"
            )
    known = tuple(record.get("taxonomy", {}).get("classes", ()))
    if kind != "cyclegan" and known != tuple(classes):
        raise UsageError(
            f"--transfer {folder}: that model's classes are {', '.join(known)}, the data's are {', '.join(classes)}; "
            "give a model of the same classes in the same order"
        )
    if kind == "acgan" and config.networks == "projected" and record.get("seed") != seed:
        raise UsageError(
            f"--transfer {folder}: its discriminator looks through features that its seed has mixed; give --seed "
            f"{record.get('seed')}"
        )


def read_model(folder: Path, cls: type[ModelT]) -> ModelT:
    """The training model in the folder of an exported one.

    Raises:
        UsageError: it is damaged, or of another class.
    """
    path = Path(folder) / TRAINING_MODEL
    try:
        model = keras.saving.load_model(path)
    except Exception as error:  # Keras and h5py have all kinds
        raise UsageError(f"--transfer {folder}: {TRAINING_MODEL} cannot be read ({first_line(error)})") from error
    if not isinstance(model, cls):
        raise UsageError(f"--transfer {folder}: a {type(model).__name__}, not a {cls.__name__}")
    return model


def take_over(model: keras.Model, other: keras.Model, parts: Mapping[str, str], name: str) -> None:
    """Gives the parts of a model the values of another one's.

    Args:
        model: a new one.
        other: of the same class.
        parts: attributes that are networks; each with the one that is taken where `other` has no such.
        name: what messages call the training.

    Raises:
        UsageError: shapes differ; nothing is changed.
    """
    pairs: list[tuple[keras.Variable, keras.Variable]] = []
    for part, otherwise in parts.items():
        into, source = getattr(model, part), getattr(other, part) or getattr(other, otherwise)
        if into is None:
            continue
        shapes = [[tuple(v.shape) for v in network.variables] for network in (into, source)]
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"{name}: --transfer: the {part} of that model has other shapes than this training's; give the "
                "options that it was trained with"
            )
        pairs += zip(into.variables, source.variables, strict=True)
    for variable, value in pairs:
        variable.assign(value)
