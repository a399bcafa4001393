"""The script that runs pipelines in containers, where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lesiongan

ROOT = Path(lesiongan.__file__).parent.parent


def test_without_podman_it_is_skipped_with_a_reason(tmp_path):
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.containers"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("skipped: the program podman ")
    assert result.stdout.endswith(" is missing\n")
