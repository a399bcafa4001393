"""Where an artifact comes from: the record that stands beside it, and the code that it was made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

from lesiongan.base.code_version import code_version
from lesiongan.base.files import digest_directory, read_json, write_text

#: Set where a change of the code is accepted: the folder with the steps' working folders (`--accept-code-change`).
ACCEPT_VARIABLE = "LESIONGAN_ACCEPT_CODE_CHANGE"
RECORD_ENDING = ".lineage.json"
_CODE = "code"  # the folder, beside the working folders, that says with which code each step was last run
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "kfp", "tensorflow-datasets", "scikit-learn")


def lineage_path(artifact: Path) -> Path:
    """The record of an artifact: `<artifact>.lineage.json`, beside it."""
    return artifact.with_name(artifact.name + RECORD_ENDING)


def digest(artifact: Path) -> str:
    """The digest of an artifact's content, from its lineage record where there is one."""
    record = lineage_path(artifact)
    return read_json(record)["digest"] if record.exists() else digest_directory(artifact)


def machine() -> dict[str, Any]:
    """What a record says of the machine; no host name, since records are shared."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "device": device(),
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that results depend on."""
    installed = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def device() -> str:
    """What this process computes on: the GPUs that TensorFlow sees, where it was imported, else the processor."""
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
        names = [each.get("device_name", "GPU") for each in details]
        if names:
            return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return _processor()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def code_in_use(step: str, code: str, work_dir: Path) -> str:
    """The version of the code that a step's identity is made of: `code`, its own, or, where a change of the code is
    accepted, the one with which the step was last run in `work_dir`."""
    if not os.environ.get(ACCEPT_VARIABLE):
        return code
    last = work_dir / _CODE / step
    return last.read_text(encoding="utf-8").strip() if last.exists() else code


def changed_code(package: str, work_dir: Path) -> list[str]:
    """The steps whose code is not the one that they were last run with in `work_dir`.

    Args:
        package: where steps are modules, `lesiongan.steps`.
    """
    folder = work_dir / _CODE
    changed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with contextlib.suppress(ModuleNotFoundError):  # a step that is no more
            if path.read_text(encoding="utf-8").strip() != code_version([f"{package}.{path.name}"]):
                changed.append(path.name)
    return changed


def remember_code(step: str, code: str, work_dir: Path) -> None:
    """Notes the version of the code that a step is run with in `work_dir`, for `code_in_use`."""
    write_text(work_dir / _CODE / step, code + "\n")
