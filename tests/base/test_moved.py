"""Names of version 0.1 still work, say where they went, and are used nowhere here."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import lesiongan
from lesiongan.base.moved import MODULES

ROOT = Path(lesiongan.__file__).parent.parent


@pytest.mark.parametrize("old", MODULES)
def test_a_moved_module_is_the_new_one(old):
    new = importlib.import_module(f"lesiongan.{MODULES[old]}")
    spec = new.__spec__
    sys.modules.pop(f"lesiongan.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"lesiongan.{MODULES[old]}$"):
        assert importlib.import_module(f"lesiongan.{old}") is new
    assert new.__spec__ is spec
    assert spec.name == f"lesiongan.{MODULES[old]}"


@pytest.mark.parametrize(
    ("statement", "new"),
    [
        ("from lesiongan.config import DataConfig as value", "lesiongan.config.data.DataConfig"),
        ("from lesiongan.config import to_json as value", "lesiongan.config.reader.to_json"),
        ("from lesiongan import serving; value = serving.load", "lesiongan.serving.saved_models.load"),
        ("from lesiongan.models.acgan import ACGAN as value", "lesiongan.models.acgan.model.ACGAN"),
        ("from lesiongan.models.cyclegan import CycleGAN as value", "lesiongan.models.cyclegan.model.CycleGAN"),
    ],
)
def test_a_name_of_a_module_that_became_a_package(statement, new):
    module, _, name = new.rpartition(".")
    namespace: dict = {}
    with pytest.warns(DeprecationWarning, match=f"{new}$"):
        exec(statement, namespace)
    assert namespace["value"] is getattr(importlib.import_module(module), name)


def test_what_never_was_is_still_missing():
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from lesiongan.config import Nothing", {})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lesiongan.nothing")


def test_an_old_name_first_in_a_fresh_process():
    code = (
        "from lesiongan.taxonomy import ISIC_2019; from lesiongan.data import taxonomy; print(taxonomy.__spec__.name)"
    )
    command = [sys.executable, "-W", "error::DeprecationWarning:lesiongan", "-c", code]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "lesiongan.data.taxonomy", result.stderr


FIRST = ["config.reader", "serving.model_artifact", "models.acgan.networks", "models.cyclegan.layers"]


def test_a_module_beside_the_one_that_a_package_hands_on_can_be_the_first():
    """In processes that have imported nothing of this package: TensorFlow alone, which takes seconds."""
    modules = [*FIRST, "models.cyclegan.fast.forms"]
    lines = ["import os, keras, tensorflow"]
    for module in modules:
        package, _, name = f"lesiongan.{module}".rpartition(".")
        lines += ["if not os.fork():", f"    from {package} import {name}"]
        lines += [f"    print({name}.__name__, flush=True)", "    os._exit(0)", "os.wait()"]
    command = [sys.executable, "-W", "error::DeprecationWarning:lesiongan", "-c", "\n".join(lines)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == [f"lesiongan.{module}" for module in modules], result.stderr


def test_nothing_here_uses_them():
    """Code versions follow imports by name: a module behind another name would not be seen."""
    faces = {"lesiongan.config", "lesiongan.serving", "lesiongan.models.acgan", "lesiongan.models.cyclegan"}
    old = {f"lesiongan.{name}" for name in MODULES}
    for package in ("lesiongan", "components", "pipelines", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = {f"{node.module}.{alias.name}" for alias in node.names}
                    assert not ({node.module} | names) & old, path
                    if node.module in faces:
                        modules = {p.stem for p in ROOT.joinpath(*node.module.split(".")).iterdir()}
                        assert {alias.name for alias in node.names} <= modules, path
