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
