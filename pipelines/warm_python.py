"""Steps in forks of a process that has imported TensorFlow and Keras: they begin at once.

Imports take 5 s of a core, in each of a run's twenty steps. kfp starts a step by a shell that starts Python; here a
process beside the launcher imports once, computes nothing, and forks for each step what then runs kfp's own executor on
the same arguments: `run` stands in for `kfp.local.subprocess_task_handler.run_local_subprocess`. The first step, and
any command that is not of the known shape, goes kfp's own way.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

_EXECUTOR = "kfp.dsl.executor_main"
_LINE = 1 << 24  # bytes of a request


class WarmPython:
    """Runs steps; a context manager, at whose end the process that forks is gone.

    Args:
        cold: kfp's own way, which gives an exit code.
    """

    def __init__(self, cold: Callable[..., int]):
        self._cold = cold
        self._process: subprocess.Popen | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> WarmPython:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._socket is not None:
            self._socket.close()  # at which it ends
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def run(self, full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        """Runs a step to its end and prints what it prints; its exit code, as a shell gives it."""
        step = _step_of(full_command)
        if step is None or not hasattr(os, "fork"):
            return self._cold(full_command=full_command, env_vars=env_vars)
        if self._socket is None:
            self._start()
            return self._cold(full_command=full_command, env_vars=env_vars)
        source, arguments = step
        request = {"source": source, "arguments": arguments, "environment": {**os.environ, **(env_vars or {})}}
        reader, writer = os.pipe()
        try:
            text = json.dumps({**request, "folder": os.getcwd()}).encode()
            socket.send_fds(self._socket, [len(text).to_bytes(8, "big")], [writer])
            self._socket.sendall(text)
        except OSError:  # it is gone, killed for its memory perhaps
            os.close(reader)
            self._process = self._socket = None
            return self._cold(full_command=full_command, env_vars=env_vars)
        finally:
            os.close(writer)
        with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                print(line, end="")
        print("\n")
        answer = self._socket.recv(4)
        return int.from_bytes(answer, "big") if len(answer) == 4 else 128 + signal.SIGKILL

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.warm_python", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


def _step_of(command: list[str]) -> tuple[str, list[str]] | None:
    """The component's source and the executor's arguments in kfp's command, None where it is another."""
    if len(command) > 4 and command[:2] == ["sh", "-ec"] and _EXECUTOR in command[2] and "\ndef " in command[3]:
        return command[3], command[4:]
    return None


def _serve(number: int) -> None:
    """Imports, then forks for each request until the launcher is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=number)
    import kfp.dsl.executor_main

    import lesiongan  # before TensorFlow, which then runs with oneDNN on every processor

    import keras  # isort: skip
    import tensorflow  # isort: skip

    del kfp, keras, tensorflow, lesiongan
    while True:
        head, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
        if len(head) < 8:
            return
        request = json.loads(_exactly(connection, int.from_bytes(head, "big")))
        child = os.fork()
        if not child:
            connection.close()
            _step(descriptors[0], **request)
        os.close(descriptors[0])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(min(_LINE, count - len(data)))
        if not part:
            sys.exit()
        data += part
    return data


def _step(output: int, source: str, arguments: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    """Becomes the step: what a shell and a new Python would have set up, and kfp's executor."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.stdout = os.fdopen(1, "w", 1, encoding="utf-8", errors="replace")
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="replace")
        os.chdir(folder)
        for variable in set(os.environ) - set(environment):
            del os.environ[variable]
        os.environ.update(environment, _KFP_RUNTIME="true")
        random.seed()
        tempfile.tempdir = None  # by the environment, which is another
        path = Path(tempfile.mkdtemp()) / "ephemeral_component.py"
        path.write_text(source, encoding="utf-8")
        sys.argv = [_EXECUTOR, "--component_module_path", str(path), *arguments]
        sys.modules.pop(_EXECUTOR, None)
        runpy.run_module(_EXECUTOR, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # what runs at the end of a Python process belongs to the one that forks
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
