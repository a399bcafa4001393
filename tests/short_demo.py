"""One short demo for the tests of all workers: they wait for the one that makes it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lesiongan

#: Fewer steps than the demo's, and no limit to a blessing: what is asked of their images in tests is not how they look,
#: and all are pushed.
SHORT = ("--set", "acgan.images=640", "--set", "cyclegan.images=64", "--set", "evaluation.beat_before=false")
SHORT += ("--set", "grid.images=128", "--set", "evaluation.resamples=200")
SHORT += ("--set", "evaluation.min_diversity=0", "--set", "evaluation.max_copies=1")


def short_demo(base: Path) -> Path:
    """A folder with the workdir of a demo with the options `SHORT` (`run`), what the command printed (`said.txt`), and
    a copy of the workdir for others to copy (`untouched`), since a second run writes into the first.

    Args:
        base: pytest's base folder for temporary files, of this worker.
    """
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "short-demo"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "said.txt").is_file():
            for name in ("run", "untouched"):
                shutil.rmtree(place / name, ignore_errors=True)
            command = [sys.executable, "-m", "pipelines.cli", "demo", "--workdir", str(place / "run"), *SHORT]
            environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, done.stderr + done.stdout
            shutil.copytree(place / "run", place / "untouched", symlinks=True)
            (place / "said.txt").write_text(done.stdout)
    return place
