"""Runs of a compiled pipeline in containers, by kfp's local engine and podman, and of the same outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kfp import components, local
from kfp.local import docker_task_handler

from lesiongan.base import contents
from lesiongan.base.lineage import RECORD_ENDING

MOUNT = "/mnt/lesiongan"
#: Tasks with a folder per model in their outputs.
_PER_MODEL = ("train-cyclegan", "translate-images")
_GRID = ("train-grid", "join-grid")
PROFILE = f"""# what `compile` writes for these containers
[image]
repository = "localhost/lesiongan"
pull_policy = "Never"
[storage]
mount = "{MOUNT}"
data = "phantoms"
[retry]
count = 1
backoff = "1s"
[gpu]
train = 0
generate = 0
[pods]
non_root = true
"""


def run_compiled(
    experiment: str,
    options: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    started: Callable[[str, Path], None] = lambda container, volume: None,
) -> dict[str, Path]:
    """Compiles an experiment, and runs what was written in containers.

    Args:
        experiment: `noise-to-lesion` or `nevus-to-melanoma`.
        options: `--set`'s.
        folder: gets the volume, the artifacts, the YAML and a log.
        environment: variables of the containers.
        started: is told of each container that starts, by its id, with the volume.

    Returns:
        The artifacts, see `parts`.
    """
    volume, artifacts = folder / "volume", folder / "artifacts"
    for place in (volume, artifacts):
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)  # the image's user is none of this machine's
    (folder / "profile.toml").write_text(PROFILE)
    file = folder / f"{experiment}.yaml"
    command = [sys.executable, "-m", "pipelines.cli", "compile", experiment, "--preset", "demo", "-o", str(file)]
    command += ["--overwrite", "--profile", str(folder / "profile.toml"), *_set(options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    with (
        (folder / "log").open("w") as log,
        _containers(artifacts, volume, environment, started, log),
        contextlib.redirect_stdout(log),
    ):
        local.init(local.DockerRunner(), pipeline_root=str(artifacts), workspace_root=str(folder / "workspace"))
        try:
            components.load_component_from_file(str(file))()
        except RuntimeError as error:
            raise SystemExit(f"{experiment}: {error}; see {folder / 'log'}") from None
    reports = [path for path in artifacts.rglob("report") if path.is_file()]
    if len(reports) != 1:
        raise SystemExit(f"{experiment}: {len(reports)} reports in {artifacts}; see {folder / 'log'}")
    print(f"{experiment}: ran in containers to its report, {time.monotonic() - begin:.0f} s", flush=True)
    return parts(next(artifacts.iterdir()))


@contextlib.contextmanager
def _containers(root: Path, volume: Path, environment: Mapping[str, str], started: Callable[[str, Path], None], log):
    """kfp's engine starts its containers as a cluster would: the volume at its place, no network, and what lies beside
    artifacts is not carried on. Its own way takes a container that failed for one that did not, when podman has removed
    it before it is asked."""
    import docker

    original = docker_task_handler.run_docker_container

    def run(client, image, command, volumes, **arguments) -> int:
        client.api.timeout = 3600  # of a container that says nothing
        for place in [root, *root.rglob("*")]:
            if place.is_dir() and place.stat().st_uid == os.getuid():
                place.chmod(0o777)
        container = client.containers.run(
            image=image,
            command=command,
            detach=True,
            network_mode="none",
            environment=dict(environment),
            volumes=volumes,
            mounts=[docker.types.Mount(MOUNT, str(volume.resolve()), type="bind")],
        )
        try:
            started(container.id, volume)
            for line in container.logs(stream=True):
                log.write(line.decode(errors="replace"))
                log.flush()
            code = container.wait()["StatusCode"]
        finally:
            container.remove(force=True)
        for record in root.rglob(f"*{RECORD_ENDING}"):
            record.unlink()
        return code

    docker_task_handler.run_docker_container = run
    try:
        yield
    finally:
        docker_task_handler.run_docker_container = original


def run_here(experiment: str, options: Sequence[str], folder: Path, environment: Mapping[str, str]) -> dict[str, Path]:
    """`lesiongan run` on this machine; `folder` is its workdir."""
    command = [sys.executable, "-m", "pipelines.cli", "run", experiment, "--preset", "demo", "--data", "phantoms"]
    command += ["--workdir", str(folder), "--models-dir", str(folder / "saved_models"), *_set(options)]
    begin = time.monotonic()
    with folder.with_suffix(".log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment})
    print(f"{experiment}: ran on this machine, {time.monotonic() - begin:.0f} s", flush=True)
    return parts(next((folder / "artifacts").iterdir()))


class Killer:
    """Kills the container of each training once, as soon as it has a checkpoint; told of containers as they start."""

    def __init__(self):
        self.killed: list[str] = []

    def __call__(self, container: str, volume: Path) -> None:
        threading.Thread(target=self._watch, args=(container, volume), daemon=True).start()

    def _watch(self, container: str, volume: Path) -> None:
        begun = time.time()
        while _runs(container):
            with contextlib.suppress(FileNotFoundError):  # checkpoints are renamed and removed while one looks
                for checkpoint in volume.glob("work/train_*/**/checkpoints/step-*"):
                    training = str(checkpoint.parent.parent.relative_to(volume / "work"))
                    new = training not in self.killed and checkpoint.stat().st_mtime > begun
                    if new and _opened(container, training):
                        self.killed.append(training)
                        subprocess.run(
                            ["podman", "kill", "-s", "KILL", container], check=True, stdout=subprocess.DEVNULL
                        )
                        print(f"killed with checkpoint {checkpoint.name}: {training}", flush=True)
                        return
            time.sleep(0.05)


def _runs(container: str) -> bool:
    command = ["podman", "container", "inspect", "--format", "{{.State.Running}}", container]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "true"


def _opened(container: str, training: str) -> bool:
    """Whether a process of this container has a file of the training open, TensorBoard's: two may train at once."""
    command = ["podman", "container", "inspect", "--format", "{{.State.Pid}}", container]
    first = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # processes end while one looks
            inside = os.readlink(process / "ns/pid") == os.readlink(f"/proc/{first}/ns/pid")
            if inside and any(f"/{training}/" in os.readlink(file) for file in (process / "fd").iterdir()):
                return True
    return False


def parts(folder: Path) -> dict[str, Path]:
    """What a run's tasks made, by `task/output`, or `task/output/name` where an output has a folder per model: on a
    cluster each CycleGAN is a task of its own, here one task makes them all. The table's predictions are those of the
    task that has all of them."""
    found = {}
    for place in sorted(folder.glob("**/executor_output.json")):
        task = place.parent.name
        for output in sorted(path for path in place.parent.iterdir() if path.name != place.name):
            if output.name.endswith(RECORD_ENDING) or task in ("train-grid-part", "join-sets", "reporter"):
                continue  # what only a cluster has; and the report, which tells of times and places
            key = f"{'grid' if task in _GRID else task}/{output.name}"
            if task in _PER_MODEL:
                found |= {f"{key}/{child.name}": child for child in sorted(output.glob("*/")) if child.is_dir()}
            elif task not in _GRID or output.name != "metrics":  # which are of one task
                found[key] = output
    return found


def compare(inside: Mapping[str, Path], outside: Mapping[str, Path]) -> list[str]:
    """What two runs made that is not the same."""
    faults = [f"{key}: only in containers" for key in inside.keys() - outside.keys()]
    faults += [f"{key}: only outside" for key in outside.keys() - inside.keys()]
    for key in sorted(inside.keys() & outside.keys()):
        if contents.digest(inside[key]) != contents.digest(outside[key]):
            faults.append(f"{key}: {', '.join(_differences(inside[key], outside[key]))}")
    return faults


def _differences(one: Path, other: Path) -> list[str]:
    if one.is_file():
        return [f"{one.read_text()[:200]!r} and {other.read_text()[:200]!r}"]
    names = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*") if path.is_file()}
    differing = [
        str(name)
        for name in sorted(names)
        if not ((one / name).is_file() and (other / name).is_file())
        or contents.digest(one / name) != contents.digest(other / name)
    ]
    return [name for name in differing if "tfevents" not in name]


def _set(options: Sequence[str]) -> list[str]:
    return [text for option in options for text in ("--set", option)]
