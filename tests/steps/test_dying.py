"""A process that ends at any rename, removal, new folder or wait for the disk leaves what the same work mends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lesiongan

ROOT = Path(lesiongan.__file__).parent.parent


@pytest.mark.parametrize(
    ("work", "least"),
    [("part", 6), ("pushed", 6), ("record", 6), pytest.param("examples", 10, marks=pytest.mark.long)],
)
def test_work_that_ended_anywhere_and_is_done_again_gives_what_undisturbed_work_gives(tmp_path, work, least):
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("dying.py")), work, str(tmp_path / work)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split()[-1]) >= least
