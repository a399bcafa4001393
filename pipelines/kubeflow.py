"""The same pipelines compiled for Kubeflow: GPUs, memory, retries, a volume for checkpoints."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from kfp import compiler, dsl, kubernetes

from lesiongan.base.errors import UsageError

#: The volume that holds the data and the working folders, and where tasks see it.
VOLUME, MOUNT = "lesiongan-work", "/mnt/lesiongan"
_MEMORY = {"data": "16G", "train": "32G", "generate": "16G", "evaluate": "16G", "light": "4G"}
_ON_GPU = ("train", "generate")


def place(task: dsl.PipelineTask, kind: str) -> None:
    """Puts a task on the cluster: memory, retries, the shared volume, and a GPU for trainers and generators."""
    task.set_memory_limit(_MEMORY[kind])
    task.set_retry(num_retries=2, backoff_duration="60s")  # a retried task goes on from its last checkpoint
    kubernetes.mount_pvc(task, pvc_name=VOLUME, mount_path=MOUNT)
    if kind in _ON_GPU:
        task.set_accelerator_type("nvidia.com/gpu")
        task.set_accelerator_limit(1)
        kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
        kubernetes.empty_dir_mount(task, volume_name="shm", mount_path="/dev/shm", medium="Memory")


def compile_pipeline(pipeline: Callable, output: Path) -> None:
    """Writes a pipeline as YAML for Kubeflow, whole or not at all.

    Raises:
        UsageError: the file cannot be written or is not named `.yaml`.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise UsageError(f"-o {output}: name it .yaml")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: no such folder {output.parent}")
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compile", ignore_cleanup_errors=True) as folder:
            part = Path(folder) / "pipeline.yaml"
            with contextlib.redirect_stdout(None):
                compiler.Compiler().compile(pipeline, str(part))
            part.replace(output)
    except OSError as error:
        raise UsageError(f"-o {output}: {error.strerror}") from None
