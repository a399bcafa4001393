"""`lesiongan doctor`: versions, devices, memory, and what is missing, with what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys

from lesiongan import __version__

_PACKAGES = (
    "keras",
    "tensorflow-datasets",
    "kfp",
    "kfp-kubernetes",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "pillow",
    "absl-py",
)
_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
_MEMORY_NEEDED = 4e9  # bytes, for the demo
_DISK_NEEDED = 2e9


def examine() -> tuple[list[str], bool]:
    """Lines for a person, and whether a run could start."""
    problems = []
    lines = [f"lesiongan {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        problems.append("Python 3.11 to 3.13 is supported: make the virtual environment with one of them")
    versions = {name: _version(name) for name in (*_TENSORFLOW, *_PACKAGES)}
    lines += [f"  {name:<22}{version}" for name, version in versions.items() if version]
    missing = [name for name in _PACKAGES if not versions[name]]
    if missing:
        problems.append(f"missing: {', '.join(missing)}; pip install lesiongan again")
    if not any(versions[name] for name in _TENSORFLOW):
        problems.append(
            "TensorFlow is missing: pip install 'lesiongan[cpu]', or 'lesiongan[gpu]' on a machine with an NVIDIA GPU"
        )
    elif all(versions[name] for name in _TENSORFLOW):
        problems.append("tensorflow and tensorflow-cpu overwrite each other: uninstall both, then install one of them")
    else:
        lines += _devices()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = shutil.disk_usage(".").free
    lines.append(f"cores: {os.cpu_count()}, memory: {memory / 1e9:.1f} GB, disk free here: {free / 1e9:.1f} GB")
    if memory < _MEMORY_NEEDED:
        problems.append(f"the demo takes up to {_MEMORY_NEEDED / 1e9:.0f} GB of memory")
    if free < _DISK_NEEDED:
        problems.append(f"less than {_DISK_NEEDED / 1e9:.0f} GB of disk are free here")
    lines += [f"problem: {text}" for text in problems] or ["all well"]
    return lines, not problems


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _devices() -> list[str]:
    """What TensorFlow sees, and what bfloat16 is worth, in a process of its own: its start prints, and a broken
    installation may crash."""
    code = (
        "import lesiongan, tensorflow as tf; devices = tf.config.list_physical_devices(); "
        "print('devices:', ', '.join(d.device_type for d in devices), flush=True); "
        "from lesiongan.training.precision import LOW, slowness; "
        "print(f'bfloat16: a convolution takes {slowness(LOW):.2g} times as long as in float32')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = [line for line in result.stdout.splitlines() if line.startswith(("devices: ", "bfloat16: "))]
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
        lines.append(f"TensorFlow does not compute: {last}" if lines else f"devices: TensorFlow does not start: {last}")
    return lines
