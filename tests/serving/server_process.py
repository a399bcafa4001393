"""A server of small models as a process, and what its tests share."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.live_server import LiveServer
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models

SIZE = 32


def export_models(folder: Path) -> Path:
    """A folder with one model of each kind."""
    classifier = LesionClassifier(8, width=0.1)
    classifier.reset(0)
    acgan = ACGAN(ACGANConfig(size=SIZE, width=0.1), 8, seed=0)
    for kernel in acgan.generator.kernels.values():
        kernel.assign(10 * kernel)
    cyclegan = CycleGAN(CycleGANConfig(size=SIZE, blocks=1, filters=4, discriminator_filters=4))
    details = {"source": "NV", "target": "MEL"}
    for kind, model in {"classifier": classifier, "acgan": acgan, "cyclegan": cyclegan}.items():
        saved_models.export(model, folder / kind, kind=kind, size=SIZE, taxonomy=ISIC_2019, details=details)
    return folder


def running(models: Path, log_folder: Path) -> Iterator[tuple[int, int]]:
    """Ports of REST and gRPC of a running server, which is stopped in the end."""
    names = ("acgan", "cyclegan", "judge=classifier")
    limits = ("--max-batch", "8", "--max-request", "1")
    server = LiveServer(names, log_folder / "log", folder=models, options=limits)
    yield server.port, server.grpc_port
    assert server.stop() == 0


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.status, answer.read().decode()


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def picture() -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue(), pixels
