"""`lesiongan serve` as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import lesiongan

_PATIENCE = 240  # seconds until it is ready


class LiveServer:
    """A server that is ready when the constructor returns.

    Attributes:
        port, grpc_port: of 127.0.0.1.
        seconds: from its start until it was ready.
    """

    def __init__(self, models: Sequence[str], log: Path, *, folder: Path | None = None, options: Sequence[str] = ()):
        self.port, self.grpc_port = free_port(), free_port()
        command = [sys.executable, "-m", "pipelines.cli", "serve", *models, *options]
        command += ["--port", str(self.port), "--grpc-port", str(self.grpc_port)]
        environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parents[1])}
        begin = time.monotonic()
        with log.open("w") as file:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > begin + _PATIENCE:
                raise RuntimeError(log.read_text())
            time.sleep(0.2)
        self.seconds = time.monotonic() - begin

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()

    def megabytes(self) -> float:
        """Memory that it holds now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> int:
        """Ends it as Kubernetes does; its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        try:
            return self.get("/v2/health/ready")[0] == 200
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
