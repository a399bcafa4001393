"""What a cluster offers and how its machines are asked for: a TOML file that `compile --profile` reads.

Values are written as Kubernetes writes them: memory "32G" or "32Gi", processors "4" or "500m", a toleration as `kubectl
taint` takes the taint ("key=value:NoSchedule"), a node selector as `kubectl label` takes the label ("key=value"). No
value is a secret: registries and object storage take theirs from secrets of the cluster, by name.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Literal

from lesiongan.base.errors import UsageError
from lesiongan.config.checks import at_least, known_choices, require
from lesiongan.config.reader import from_dict
from pipelines.quantities import (
    amount,
    check_duration,
    check_labels,
    check_memory,
    check_names,
    check_processors,
    check_repository,
    check_resource,
    check_tolerations,
    seconds,
)

#: Schemes of object storage.
REMOTE = ("s3://", "gs://")
#: Kinds of steps, as `definitions.Place` names them.
KINDS = ("data", "train", "generate", "evaluate", "light")


@dataclasses.dataclass(frozen=True)
class ImageProfile:
    """The image; its tags are not chosen, each component's is a hash of its code (`make push`)."""

    repository: str = ""  # without a tag, e.g. registry.example.org/team/lesiongan; "": that of LESIONGAN_IMAGE
    gpu_repository: str = ""  # of the image for GPUs, where it is another; "": `repository`
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""  # "": Kubernetes's own
    pull_secrets: tuple[str, ...] = ()  # names of secrets in the pipelines' namespace

    def __post_init__(self):
        known_choices(self, "image")
        for option in ("repository", "gpu_repository"):
            if getattr(self, option):
                check_repository(f"image.{option}", getattr(self, option))
        if self.gpu_repository:
            require(bool(self.repository), "image.gpu_repository", "name image.repository too, for the other steps")
        check_names("image.pull_secrets", self.pull_secrets)


@dataclasses.dataclass(frozen=True)
class StorageProfile:
    """Where data, working folders and pushed models lie. Trainings resume from working folders, which need a file
    system (a volume that many pods may write); data may lie in object storage."""

    volume: str = "lesiongan-work"  # the name of a PersistentVolumeClaim with ReadWriteMany
    mount: str = "/mnt/lesiongan"  # where steps see it
    data: str = ""  # a path in `mount`, s3://BUCKET/KEY, gs://BUCKET/KEY, or `phantoms`; "": <mount>/data
    work_dir: str = ""  # a path in `mount`; "": <mount>/work
    models_dir: str = ""  # a path in `mount`; "": <mount>/saved_models
    # with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which ExampleGen takes; "": the pod's own identity
    secret: str = ""
    endpoint: str = ""  # of an S3 server that is not Amazon's, http(s)://HOST[:PORT]

    def __post_init__(self):
        check_names("storage.volume", (self.volume,))
        if self.secret:
            check_names("storage.secret", (self.secret,))
        path = PurePosixPath(self.mount)
        proper = path.is_absolute() and len(path.parts) > 2 and ".." not in path.parts
        require(proper, "storage.mount", f"{self.mount!r} is no folder to mount a volume at; give e.g. /mnt/lesiongan")
        for option in ("work_dir", "models_dir"):
            value = getattr(self, option)
            why = f"{value!r} does not lie in {self.mount}: trainings resume from it, so it must be on the volume"
            require(not value or self._inside(value), f"storage.{option}", why)
        if self.data.startswith(REMOTE):
            require(bool(self.data.partition("://")[2].strip("/")), "storage.data", f"{self.data!r} names no bucket")
        elif self.data not in ("", "phantoms"):
            why = f"{self.data!r} is neither in {self.mount}, nor s3://BUCKET/KEY, gs://BUCKET/KEY or phantoms"
            require(self._inside(self.data), "storage.data", why)
        if self.endpoint:
            why = f"{self.endpoint!r} is not http(s)://HOST[:PORT]; names and passwords belong into storage.secret"
            require(bool(re.fullmatch(r"https?://[\w.-]+(:\d+)?/?", self.endpoint)), "storage.endpoint", why)

    def _inside(self, value: str) -> bool:
        path = PurePosixPath(value)
        return path.is_relative_to(self.mount) and ".." not in path.parts

    def place(self, name: str) -> str:
        """A place as a step sees it: `data`, `work_dir` or `models_dir`."""
        default = {"data": "data", "work_dir": "work", "models_dir": "saved_models"}[name]
        return getattr(self, name) or f"{self.mount}/{default}"


@dataclasses.dataclass(frozen=True)
class RetryProfile:
    """A step whose pod fails, is evicted or loses its machine starts again, and goes on from its last checkpoint."""

    count: int = 2
    backoff: str = "60s"  # before the first retry
    factor: float = 2.0  # by which each further wait is longer
    longest: str = "1h"  # wait

    def __post_init__(self):
        at_least(self, "retry", 0, ["count"])
        at_least(self, "retry", 1, ["factor"])
        require(self.count <= 100, "retry.count", f"{self.count} is more than 100")
        for option in ("backoff", "longest"):
            check_duration(f"retry.{option}", getattr(self, option))
        require(seconds(self.backoff) <= seconds(self.longest), "retry.longest", "it is shorter than retry.backoff")


@dataclasses.dataclass(frozen=True)
class GPUProfile:
    """GPUs: how many trainers and generators get; no other step gets one."""

    resource: str = "nvidia.com/gpu"  # as the device plugin of the cluster names it
    train: int = 1
    generate: int = 1
    shm: str = ""  # size of /dev/shm, which counts as memory; "": as much as the step's memory
    node_selector: tuple[str, ...] = ()  # of the pods with GPUs, e.g. the label that says which type of GPU
    tolerations: tuple[str, ...] = ("nvidia.com/gpu:NoSchedule",)

    def __post_init__(self):
        at_least(self, "gpu", 0, ["train", "generate"])
        for option in ("train", "generate"):
            value = getattr(self, option)
            require(value <= 16, f"gpu.{option}", f"{value} is more than the 16 that a machine has")
        check_resource("gpu.resource", self.resource)
        if self.shm:
            check_memory("gpu.shm", self.shm)
        check_labels("gpu.node_selector", self.node_selector)
        check_tolerations("gpu.tolerations", self.tolerations)


@dataclasses.dataclass(frozen=True)
class PodProfile:
    """What holds for every pod."""

    node_selector: tuple[str, ...] = ()
    tolerations: tuple[str, ...] = ()
    non_root: bool = False  # whether Kubernetes refuses an image that runs as root; that of the Dockerfile does not

    def __post_init__(self):
        check_labels("pods.node_selector", self.node_selector)
        check_tolerations("pods.tolerations", self.tolerations)


@dataclasses.dataclass(frozen=True)
class StepProfile:
    """What a step of a kind asks for."""

    memory: str = "16G"  # limit
    memory_request: str = ""  # "": the limit
    cpu: str = ""  # request; "": none
    cpu_limit: str = ""  # "": none
    timeout: str = ""  # after which a pod is stopped, e.g. "12h" or "7d"; "": never

    def check(self, group: str) -> None:
        """Raises `UsageError` where a value is nonsense."""
        check_memory(f"{group}.memory", self.memory)
        if self.memory_request:
            check_memory(f"{group}.memory_request", self.memory_request)
            holds = amount(self.memory_request) <= amount(self.memory)
            require(holds, f"{group}.memory_request", f"{self.memory_request} is more than the limit, {self.memory}")
        for option in ("cpu", "cpu_limit"):
            if getattr(self, option):
                check_processors(f"{group}.{option}", getattr(self, option))
        if self.cpu and self.cpu_limit:
            holds = amount(self.cpu) <= amount(self.cpu_limit)
            require(holds, f"{group}.cpu", f"{self.cpu} is more than the limit, {self.cpu_limit}")
        if self.timeout:
            check_duration(f"{group}.timeout", self.timeout)


@dataclasses.dataclass(frozen=True)
class ClusterProfile:
    """A cluster. The defaults are what `compile` takes without `--profile`.

    Attributes:
        caching: whether steps whose inputs, options and code are unchanged are taken from the cache.
        at_once: turns of a loop (CycleGANs, classifiers of the table) side by side; 0: as many as there are.
        data, train, generate, evaluate, light: the kinds of steps: ExampleGen; trainers; generators and the
            Path-Rank-Filter; Evaluator and InfraValidator; what only joins, reports and copies.
    """

    caching: bool = True
    at_once: int = 0
    image: ImageProfile = ImageProfile()
    storage: StorageProfile = StorageProfile()
    retry: RetryProfile = RetryProfile()
    gpu: GPUProfile = GPUProfile()
    pods: PodProfile = PodProfile()
    data: StepProfile = StepProfile()
    train: StepProfile = StepProfile(memory="32G")
    generate: StepProfile = StepProfile()
    evaluate: StepProfile = StepProfile()
    light: StepProfile = StepProfile(memory="4G")

    def __post_init__(self):
        require(self.at_once >= 0, "at_once", f"{self.at_once} is less than 0; give 0 for as many as there are")
        for kind in KINDS:
            self.step(kind).check(kind)

    def step(self, kind: str) -> StepProfile:
        """What a step of a kind asks for."""
        return getattr(self, kind)

    def gpus(self, kind: str) -> int:
        """How many GPUs a step of a kind gets."""
        return getattr(self.gpu, kind) if kind in ("train", "generate") else 0


def read_profile(path: Path) -> ClusterProfile:
    """The profile in a TOML file.

    Raises:
        UsageError: it cannot be read, or holds an unknown key, a value of the wrong type, or nonsense.
    """
    try:
        return from_dict(ClusterProfile, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"--profile {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--profile {path}: not TOML: {error}") from None
    except UsageError as error:
        raise UsageError(f"--profile {path}: {error}") from None
