"""The wheel ships everything that runs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import lesiongan

ROOT = Path(lesiongan.__file__).parent.parent
PACKAGES = ("lesiongan", "components", "pipelines")


@pytest.mark.slow
def test_the_wheel_ships_the_packages_with_their_data(tmp_path):
    if not (ROOT / "setup.py").exists():
        pytest.skip("not a checkout")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    documents = {name for name in wanted if name.endswith(".md")}
    assert shipped == set(wanted) - documents


def test_imports_go_one_way():
    """pipelines -> components -> lesiongan, and the library knows neither kfp nor what is above it."""
    for package, forbidden in (("lesiongan", ("components", "pipelines", "kfp")), ("components", ("pipelines",))):
        for path in (ROOT / package).rglob("*.py"):
            for line in path.read_text().splitlines():
                words = line.split()
                if words[:1] in (["import"], ["from"]):
                    assert words[1].split(".")[0] not in forbidden, f"{path}: {line}"
