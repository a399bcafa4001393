from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lesiongan
from lesiongan.base.code_version import code_version, imports_of


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


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("models/acgan/model.py", {"train_acgan"}),
        ("models/cyclegan/losses.py", {"train_cyclegan"}),
        ("models/classifier/resnet50.py", {"train_classifier"}),
        ("reporting/template.html.j2", {"report"}),
        ("steps/push.py", {"push"}),
        ("base/errors.py", {"train_cyclegan", "train_acgan", "train_classifier", "report", "push"}),
    ],
)
def test_a_change_reaches_just_what_imports_it(tmp_path, file, changed):
    package = tmp_path / "lesiongan"
    shutil.copytree(Path(lesiongan.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = _versions(tmp_path)
    with (package / file).open("a") as stream:
        stream.write("\nCHANGED = 1\n")
    after = _versions(tmp_path)
    assert {name for name in before if before[name] != after[name]} == changed
