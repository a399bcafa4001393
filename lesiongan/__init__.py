"""Class-specific synthetic dermoscopy images from an imbalanced collection, and a measurement of whether they help.

The library knows nothing of pipelines: `components` wrap it and `pipelines` compose the components.

The names of `PUBLIC` are here too, each imported when it is first asked for, since commands start without TensorFlow.
"""

import importlib
import os
import sys
import warnings
from typing import Any

from lesiongan.base import moved

# TensorFlow leaves oneDNN off on processors without AVX-512; with it a ResNet50 step takes a third of the time
# there. It is read when TensorFlow is imported, so it stands here.
if "TF_ENABLE_ONEDNN_OPTS" not in os.environ:
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    if "tensorflow" in sys.modules:
        warnings.warn(
            "import lesiongan before tensorflow (or set TF_ENABLE_ONEDNN_OPTS=1): TensorFlow may run without oneDNN, "
            "which takes two to three times as long on some CPUs",
            RuntimeWarning,
            stacklevel=2,
        )

__version__ = "0.2.0"
moved.install()

#: Public name -> the module that has it.
PUBLIC = {
    "ACGAN": "models.acgan.model",
    "ACGANConfig": "config.acgan",
    "CycleGAN": "models.cyclegan.model",
    "CycleGANConfig": "config.cyclegan",
    "LesionClassifier": "models.classifier.model",
    "load": "serving.loading",
}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
