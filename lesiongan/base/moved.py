"""Names of version 0.1 that have moved: they still work, with a DeprecationWarning, until version 0.3.

A module that went elsewhere is found by its old name through `install`; one whose name is now a package's hands its
names on through `face`. Nothing in this project uses them: what a component's code depends on could not be followed.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

#: Old module -> new one, both within `lesiongan`.
MODULES = {
    "amounts": "experiments.amounts",
    "cell_images": "experiments.cell_images",
    "code_version": "base.code_version",
    "errors": "base.errors",
    "evaluation.cells": "evaluation.comparison",
    "files": "base.files",
    "filtering": "experiments.path_rank_filter",
    "generation": "data.generated",
    "grid": "experiments.cells",
    "model_artifact": "serving.model_artifact",
    "models.acgan_losses": "models.acgan.losses",
    "models.acgan_networks": "models.acgan.networks",
    "models.acgan_residual": "models.acgan.residual",
    "models.cyclegan_import": "models.cyclegan.pth_import",
    "models.efficientnet_lite": "models.backbones.efficientnet_lite",
    "models.image_pool": "models.cyclegan.image_pool",
    "models.layers": "models.cyclegan.layers",
    "models.lesion_classifier": "models.classifier.model",
    "models.loss_scale": "optim.loss_scale",
    "models.losses": "models.cyclegan.losses",
    "models.networks": "models.cyclegan.networks",
    "models.optimizers": "optim.adam",
    "models.resnet50": "models.backbones.resnet50",
    "models.served_generator": "models.cyclegan.served_generator",
    "progress": "base.progress",
    "sheets": "data.contact_sheet",
    "tables.contents": "tables.layout",
    "taxonomy": "data.taxonomy",
    "training.adam": "optim.adam",
    "training.fine_tune": "optim.fine_tune",
    "training.one_cycle": "optim.one_cycle",
    "training.schedules": "optim.schedules",
    "training.symptoms": "training.failure_signals",
    "training.watch": "training.failure_watch",
    "translate": "serving.translate",
}


class _Moved(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a moved module: its old name becomes another name of the new module."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "lesiongan" or name not in MODULES:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        new = f"lesiongan.{MODULES[spec.name.partition('.')[2]]}"
        warnings.warn(f"{spec.name} is now {new}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        self._specs = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._specs  # the import system has put the old name's there


def install() -> None:
    """Makes moved modules importable by their old names."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())


def face(package: str, new: str | Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`, for names that stood in a module of the package's name.

    Args:
        package: its full name.
        new: the module of the package that has them now, or name -> module.
    """

    def __getattr__(name: str) -> Any:
        module = new if isinstance(new, str) else new.get(name)
        # `from package import submodule` asks here first
        if module is None or name.startswith("__") or importlib.util.find_spec(f"{package}.{name}"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module}"), name)
        warnings.warn(f"{package}.{name} is now {package}.{module}.{name}", DeprecationWarning, stacklevel=2)
        return value

    return __getattr__
