"""Builds the image, runs both compiled pipelines in its containers, and compares what they make with a run outside.

    python -m benchmarks.containers --base python:3.12-slim

What a cluster does, kfp's local engine with Podman does too: each step is a container of the image that `compile
--profile` names, as the image's own user, without network, on a shared volume; what lies beside an artifact (its
record) is not carried to the next step. What it does not show: Kubernetes, GPUs, a registry.

Then the same experiments are run by `lesiongan run` on this machine. Every artifact that both have must have the same
content (`lesiongan.base.contents`). With `--kill` they run in containers once more, and the container of each training
is killed (`podman kill -s KILL`) as soon as there is a checkpoint; the engine starts it again with the same arguments
and volume. All artifacts must be those of the undisturbed run.

Trainings repeat bit for bit with the same number of threads; TensorFlow gets `--threads`, one by default.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from components.tags import component_tags, tag

ROOT = Path(__file__).resolve().parent.parent
SIZES = {
    "tiny": (
        "data.phantoms=200", "classifier.images=512", "acgan.images=256", "cyclegan.images=64", "cyclegan.filters=8",
        "nevus_to_melanoma.alphas=0.5,1", "nevus_to_melanoma.amounts=20", "noise_to_lesion.amounts=20",
        "grid.images=64", "evaluation.resamples=50",
    ),
    "demo": (),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny", help="tiny, or as `lesiongan demo` (default: tiny)")
    parser.add_argument("--base", default="python:3.12-slim", help="the image to build on (default: %(default)s)")
    parser.add_argument("--pip-conf", type=Path, help="of a package index of your own")
    parser.add_argument("--ca", type=Path, help="certificates of a certificate authority of your own")
    parser.add_argument("--no-build", action="store_true", help="take the image as it was built before")
    parser.add_argument("--kill", action="store_true", help="also kill a training and start it again")
    parser.add_argument("--experiments", nargs="*", default=["noise-to-lesion", "nevus-to-melanoma"])
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow")
    parser.add_argument("--folder", type=Path, help="for all that is made; by default a temporary one")
    arguments = parser.parse_args()
    missing = [
        what for what, there in (("podman", shutil.which("podman")), ("docker", find_spec("docker"))) if not there
    ]
    if missing:
        hints = {"podman": "the program podman", "docker": "the Python package docker"}
        print(f"skipped: {' and '.join(hints[what] for what in missing)} is missing")
        return
    from benchmarks.container_runs import Killer, compare, run_compiled, run_here  # wants both

    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="containers-")))
        folder.mkdir(parents=True, exist_ok=True)
        if not arguments.no_build:
            build(arguments)
        check_image()
        stack.enter_context(podman_service(folder))
        threads = {f"TF_NUM_{kind}_THREADS": str(arguments.threads) for kind in ("INTRAOP", "INTEROP")}
        faults: list[str] = []
        for experiment in arguments.experiments:
            options = SIZES[arguments.size]
            inside = run_compiled(experiment, options, folder / experiment / "containers", threads)
            outside = run_here(experiment, options, folder / experiment / "here", threads)
            found = compare(inside, outside)
            print(f"{experiment}: {len(inside)} artifacts, {len(found)} not as on this machine", flush=True)
            if arguments.kill:
                killer = Killer()
                often = {**threads, "LESIONGAN_CHECKPOINT_SECONDS": "0.2"}
                again = run_compiled(experiment, options, folder / experiment / "killed", often, killer)
                more = compare(again, inside)
                print(f"{experiment}: {len(killer.killed)} trainings killed, {len(more)} artifacts not as undisturbed")
                found += more if killer.killed else ["no training was killed: all were too quick"]
            for fault in found:
                print(f"  NOT EQUAL: {fault}", flush=True)
            faults += found
    print("all equal" if not faults else f"{len(faults)} differences")
    sys.exit(bool(faults))


def build(arguments: argparse.Namespace) -> None:
    """Builds the image for processors by the Makefile, and says how long it took and how large it is."""
    begin = time.monotonic()
    given = {"BUILDER": "podman", "PYTHON": sys.executable, "IMAGE": "localhost/lesiongan", "BASE": arguments.base}
    given |= {name: path for name, path in (("PIP_CONF", arguments.pip_conf), ("CA", arguments.ca)) if path}
    subprocess.run(["make", "image", *(f"{name}={value}" for name, value in given.items())], cwd=ROOT, check=True)
    size = int(podman("image", "inspect", "--format", "{{.Size}}", f"localhost/lesiongan:{tag()}"))
    print(f"the image was built in {time.monotonic() - begin:.0f} s: {size / 1e9:.2f} GB", flush=True)


def check_image() -> None:
    """The code in the image must be this code: its own tags are those that compiled pipelines ask for."""
    image = f"localhost/lesiongan:{tag()}"
    inside = podman("run", "--rm", "--network", "none", image, "python3", "-m", "components.tags").split()
    if inside != [tag(), *component_tags()]:
        raise SystemExit("the code in the image is not this code, or its libraries are others; build it again")
    user = podman("run", "--rm", "--network", "none", image, "id", "-u").strip()
    print(f"the image holds this code, and runs as user {user}", flush=True)


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def podman_service(folder: Path) -> Iterator[None]:
    """Podman speaking Docker's API, to which `docker` and so kfp connect."""
    socket = folder / "podman.sock"
    with (folder / "podman.log").open("w") as log:
        command = ["podman", "system", "service", "--time=0", f"unix://{socket}"]
        service = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(100):
                if socket.exists():
                    break
                time.sleep(0.1)
            os.environ["DOCKER_HOST"] = f"unix://{socket}"
            yield
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    main()
