from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lesiongan
from lesiongan.base.code_version import code_version, imports_of, source_digest


def test_imports_are_found_at_any_depth():
    source = (
        "import numpy\ndef f():\n    from lesiongan.steps import push\n    from lesiongan.base.files import read_json\n"
    )
    assert imports_of(source) == {"lesiongan.steps", "lesiongan.steps.push", "lesiongan.base.files"}


def test_an_unknown_module_is_an_error():
    with pytest.raises(ModuleNotFoundError):
        code_version(["lesiongan.nothing"])


def _versions(root: Path) -> dict[str, str]:
    names = ("train_cyclegan", "train_acgan", "train_classifier", "report", "push")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from lesiongan.base.code_version import code_version\n"
        f"[print(n, code_version(['lesiongan.steps.' + n])) for n in {names}]"
    )
    lines = subprocess.run(
        [sys.executable, "-I", "-c", code, str(root)], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split() for line in lines.splitlines())


@pytest.fixture(scope="module")
def unchanged() -> dict[str, str]:
    return _versions(Path(lesiongan.__file__).parent.parent)


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("models/acgan/model.py", {"train_acgan"}),
        ("models/cyclegan/losses.py", {"train_cyclegan"}),
        ("models/backbones/resnet50.py", {"train_classifier"}),
        ("reporting/template.html.j2", {"report"}),
        ("steps/push.py", {"push"}),
        ("base/errors.py", {"train_cyclegan", "train_acgan", "train_classifier", "report", "push"}),
    ],
)
def test_a_change_reaches_just_what_imports_it(tmp_path, unchanged, file, changed):
    package = tmp_path / "lesiongan"
    shutil.copytree(Path(lesiongan.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / file).open("a") as stream:
        stream.write("\nCHANGED = 1\n")
    after = _versions(tmp_path)
    assert {name for name, version in unchanged.items() if version != after[name]} == changed


def test_comments_docstrings_and_the_layout_do_not_count_but_everything_else_does():
    source = 'def f(x):\n    """Doubles."""\n    return 2 * x\n'
    same = '"""A module."""\n\n\ndef f(\n    x,\n):  # a comment\n    return (2 * x)\n'
    assert source_digest(source) == source_digest(same)
    for other in ("2 * x", "2 * y"), ("return", "yield"), ("def f", "def g"), ("2 *", "2.0 *"), ("2 *", "'2' *"):
        assert source_digest(source.replace(*other)) != source_digest(source)
    assert source_digest("__version__ = '1'\nx = 1\n") == source_digest("__version__ = '2'\nx = 1\n")
    assert source_digest("x = 'text'\n") != source_digest("x = 'test'\n")
    assert source_digest("class A:\n    x = 1\n") != source_digest("class A:\n    'x'\n    y = 1\n")


def test_another_tensorflow_or_keras_is_another_version_only_where_it_is_used(monkeypatch):
    def versions() -> tuple[str, str]:
        return code_version(["lesiongan.models.cyclegan.losses"]), code_version(["lesiongan.tables.formats"])

    training, table = versions()
    real = importlib.metadata.version
    for library in ("tensorflow", "tensorflow-cpu"):
        newer = {library: "9.9.1"}
        monkeypatch.setattr(importlib.metadata, "version", lambda name, newer=newer: newer.get(name) or real(name))
        changed, same = versions()
        assert same == table
        assert (changed != training) or library != "tensorflow"
    monkeypatch.setattr(importlib.metadata, "version", lambda name: real(name) + ".1")  # a patch release is none
    assert versions() == (training, table)
