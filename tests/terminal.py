"""A process that runs commands of this project one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: Reads folders and commands as JSON, one per line; answers each with its exit code and what it wrote to both streams.
_TERMINAL = """
import json, os, sys, tempfile
from pipelines.cli import _guarded, _parse
from pipelines.quiet import quiet_start
quiet_start()
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    folder, sys.argv = json.loads(line)
    os.chdir(folder)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        try:
            status = int(_guarded(_parse(sys.argv)))
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush(), sys.stderr.flush()
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read())
    print(json.dumps([status, *said]), file=answers, flush=True)
"""


class Terminal:
    """A process that runs commands in turn: most of a short command's time is TensorFlow's start."""

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        program = [sys.executable, "-c", _TERMINAL]
        self._log = (folder / "terminal.log").open("w+")
        self._process = subprocess.Popen(
            program, cwd=folder, env=dict(environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def run(self, words: list[str], folder: Path) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command in a folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(folder), words]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._log.seek(0)
            raise RuntimeError(f"the process has ended: {self._log.read()}")
        return tuple(json.loads(answer))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._log.close()
