"""Models from files: a training model of Keras, or an exported one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from lesiongan.base.errors import UsageError, first_line

# Keras finds a class by its name once its module has been imported.
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models

SUFFIX = ".keras"


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
        model = keras.saving.load_model(path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a model of lesiongan, or damaged ({first_line(error)})") from error
    if not isinstance(model, ACGAN | CycleGAN | LesionClassifier):
        raise UsageError(f"{path}: a {type(model).__name__}, not a model of lesiongan; load it with keras.saving")
    return model
