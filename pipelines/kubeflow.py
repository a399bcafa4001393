"""The same pipelines compiled for Kubeflow: GPUs, memory, retries, a volume for checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from kfp import compiler, dsl, kubernetes

from lesiongan.base.errors import UsageError
from pipelines.cluster_profile import ClusterProfile
from pipelines.quantities import label, seconds, toleration


@dataclasses.dataclass(frozen=True)
class Placement:
    """Puts tasks on a cluster; an instance is the `place` of `definitions.experiment_pipeline`.

    Args:
        profile: the cluster.
        data_version: says which data they are; without it no step that reads files from outside is taken from the
            cache, which cannot see whether they changed.
    """

    profile: ClusterProfile = ClusterProfile()
    data_version: str = ""

    def __call__(self, task: dsl.PipelineTask, kind: str) -> None:
        """Image, memory, processors, retries and the shared volume; a GPU for trainers and generators."""
        self._image(task, self.profile.gpus(kind) > 0)
        self._resources(task, kind)
        self._retries(task, kind)
        self._pod(task, kind)
        if kind == "data":
            self._storage(task)
        if not self.profile.caching or (kind == "data" and not self.data_version):
            task.set_caching_options(False)

    def _image(self, task: dsl.PipelineTask, on_gpu: bool) -> None:
        image = self.profile.image
        repository = (image.gpu_repository if on_gpu else "") or image.repository
        if repository:
            tag = task.container_spec.image.rpartition(":")[2]
            task.set_container_image(f"{repository}:{tag}")
        if image.pull_policy:
            kubernetes.set_image_pull_policy(task, image.pull_policy)
        if image.pull_secrets:
            kubernetes.set_image_pull_secrets(task, list(image.pull_secrets))

    def _resources(self, task: dsl.PipelineTask, kind: str) -> None:
        step, gpu = self.profile.step(kind), self.profile.gpu
        task.set_memory_limit(step.memory)
        if step.memory_request:
            task.set_memory_request(step.memory_request)
        if step.cpu:
            task.set_cpu_request(step.cpu)
        if step.cpu_limit:
            task.set_cpu_limit(step.cpu_limit)
        if self.profile.gpus(kind):
            task.set_accelerator_type(gpu.resource)
            task.set_accelerator_limit(self.profile.gpus(kind))
            # a container's own has 64 MB: too little for what processes hand each other
            kubernetes.empty_dir_mount(
                task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=gpu.shm or None
            )

    def _retries(self, task: dsl.PipelineTask, kind: str) -> None:
        retry, step = self.profile.retry, self.profile.step(kind)
        if retry.count:  # a retried task goes on from its last checkpoint
            task.set_retry(
                num_retries=retry.count,
                backoff_duration=f"{seconds(retry.backoff)}s",
                backoff_factor=retry.factor,
                backoff_max_duration=f"{seconds(retry.longest)}s",
            )
        if step.timeout:
            kubernetes.set_timeout(task, seconds(step.timeout))

    def _pod(self, task: dsl.PipelineTask, kind: str) -> None:
        profile = self.profile
        kubernetes.mount_pvc(task, pvc_name=profile.storage.volume, mount_path=profile.storage.mount)
        pods, gpu = profile.pods, profile.gpu
        on_gpu = profile.gpus(kind) > 0
        for text in (*pods.node_selector, *(gpu.node_selector if on_gpu else ())):
            kubernetes.add_node_selector(task, *label(text))
        for text in (*pods.tolerations, *(gpu.tolerations if on_gpu else ())):
            key, value, effect = toleration(text)
            more = {"operator": "Equal", "value": value} if value else {"operator": "Exists"}
            kubernetes.add_toleration(task, key=key, effect=effect or None, **more)
        if profile.pods.non_root:
            kubernetes.set_security_context(task, run_as_non_root=True)

    def _storage(self, task: dsl.PipelineTask) -> None:
        storage = self.profile.storage
        if storage.secret:
            keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            kubernetes.use_secret_as_env(task, storage.secret, {key: key for key in keys})
        if storage.endpoint:
            task.set_env_variable("AWS_ENDPOINT_URL", storage.endpoint)


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
