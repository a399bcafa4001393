"""The reference numbers and the scripts that make them, whose fixed inputs the tests use too."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

REFERENCE = Path(__file__).parent / "reference"


def script(name: str) -> ModuleType:
    """`reference/<name>.py` as a module."""
    spec = importlib.util.spec_from_file_location(name, REFERENCE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
