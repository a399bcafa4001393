"""Models from files: a training model of Keras, or an exported one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from lesiongan.base.errors import UsageError, first_line

# Keras finds a class by its name once its module has been imported.
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models

SUFFIX = ".keras"
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_LARGEST_RATIO = 50  # of weights unpacked and packed
_BLOCKS = [
    *(["keras", name] for name in ("activations", "constraints", "dtype_policies", "initializers", "layers")),
    *(["keras", name] for name in ("losses", "metrics", "optimizers", "regularizers")),
]
#: Of them those that call what they are given.
_NO_BLOCKS = ("Lambda", "TorchModuleWrapper", "TFSMLayer")
#: How Keras writes tensors, types and the like, without a module.
_OF_KERAS_ITSELF = ("__tuple__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__")


def load(path: str | Path) -> ACGAN | CycleGAN | LesionClassifier | saved_models.Served:
    """A model of this package, by what `path` is.

    Args:
        path: a `.keras` file, as `save` and the trainings (`model.keras`) write it; or the folder or the name of an
            exported model, see `model_artifact.find`.

    Returns:
        Of a `.keras` file the Keras model, compiled as it was, which `fit` goes on with; of a folder a `Served`, which
        predicts, samples or translates.

    Raises:
        UsageError: nothing there, a damaged file, or one of another package's model.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        return saved_models.load(path)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; give a {SUFFIX} file or the folder of a model")
    try:
        _check_classes(path)
        model = keras.saving.load_model(path, safe_mode=True)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not a model of lesiongan, damaged, or of a version whose networks are not these "
            f"({first_line(error)})"
        ) from error
    if not isinstance(model, ACGAN | CycleGAN | LesionClassifier):
        raise UsageError(f"{path}: a {type(model).__name__}, not a model of lesiongan; load it with keras.saving")
    return model


def _check_classes(path: Path) -> None:
    """Looks at what a file names before Keras imports and calls it: objects of this package, Keras's own building
    blocks, and what the caller has registered with Keras. Keras has refused functions in files (`safe_mode`) since 2.13
    and has been talked out of it more than once.

    Raises:
        UsageError: it names something else, or holds more than a model's file does.
    """
    with zipfile.ZipFile(path) as file:
        others = sorted({info.filename for info in file.infolist()} - _MEMBERS)
        if others:
            raise UsageError(f"there is more in it than a model ({others[0]})")
        if any(info.file_size > _LARGEST_RATIO * info.compress_size + 2**20 for info in file.infolist()):
            raise UsageError("it unpacks to far more than a model")
        config = json.loads(file.read("config.json"))
    for module, name, registered in _named(config):
        if module is None and registered is None and name in _OF_KERAS_ITSELF:
            continue
        ours = module is not None and module.startswith("lesiongan.")
        of_keras = module is not None and (module.split(".")[:2] in _BLOCKS or name == "DTypePolicy")
        of_keras = of_keras and name not in _NO_BLOCKS
        if not (ours or of_keras or (registered and keras.saving.get_registered_object(registered) is not None)):
            raise UsageError(f"it names {module}.{name}, which is neither lesiongan's nor a building block of Keras")


def _named(value: Any) -> Iterator[tuple[str | None, str, str | None]]:
    """Module, name and registered name of each object that a configuration names."""
    if isinstance(value, dict):
        if "class_name" in value:
            texts = [value.get(key) for key in ("module", "class_name", "registered_name")]
            if not all(text is None or isinstance(text, str) for text in texts):
                raise UsageError("its configuration is damaged")
            yield texts[0], str(texts[1]), texts[2]
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)
