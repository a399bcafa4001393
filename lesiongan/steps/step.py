"""What every step has in common: its options, its stable working folder, its lineage record, its one-line error."""

from __future__ import annotations

import dataclasses
import errno
import os
import platform
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lesiongan import __version__
from lesiongan.code_version import code_version
from lesiongan.config import from_json
from lesiongan.errors import ExitCode, LesionganError, MachineError
from lesiongan.files import digest_directory, digest_text, read_json, write_json

#: Set by the launcher: where a step that fails says why.
ERROR_VARIABLE = "LESIONGAN_ERROR_FILE"
#: Set by the launcher: its process id; a step ends with it.
LAUNCHER_VARIABLE = "LESIONGAN_LAUNCHER"
#: Set by the launcher: the command that a person gave, for the report. It changes no result, so no cache key has it.
COMMAND_VARIABLE = "LESIONGAN_COMMAND"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Task:
    """What a step's `run` function is handed.

    Attributes:
        inputs: artifacts' folders by name; a list where several came from a loop.
        outputs: where the artifacts go, by name.
        parameters: further plain values by name.
        options: the step's own `Options`.
        seed: the run's seed.
        run_dir: a folder that stays the same for the same data, options, code and seed: what a resumed step goes on
            from.
    """

    inputs: Mapping[str, Path | list[Path]]
    outputs: Mapping[str, Path]
    parameters: Mapping[str, str]
    options: Any
    seed: int
    run_dir: Path


def execute(
    run: Callable[[Task], dict | None],
    options_class: type,
    *,
    inputs: Mapping[str, str | Sequence[str]],
    outputs: Mapping[str, str],
    options: str,
    parameters: Mapping[str, str] | None = None,
    seed: int = 0,
    work_dir: str = "",
    metrics: str = "",
) -> dict[str, float]:
    """Runs a step, writes the lineage record `<artifact>.lineage.json` beside each output, and returns the step's
    metrics.

    The metrics stand as JSON at the path `metrics` too: kfp's local engine never caches a step whose metrics have no
    file.

    A `LesionganError` ends the process with its exit code and one line; anything else with a traceback and exit code 1.
    """
    follow_launcher()
    name = run.__module__.rpartition(".")[2]
    try:
        typed = from_json(options_class, options)
        given = {k: Path(v) if isinstance(v, str) else [Path(p) for p in v] for k, v in inputs.items()}
        places = {k: Path(v) for k, v in outputs.items()}
        step = Step(run, given, places, dict(parameters or {}), typed, options, seed)
        measured = step.run(Path(work_dir or outputs[next(iter(outputs))] + ".work"))
        numbers = {k: float(v) for k, v in measured.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        if metrics:
            write_json(metrics, numbers)
        return numbers
    except LesionganError as error:
        _fail(name, error, error.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM):
            _fail(
                name, MachineError(f"{error.strerror}: free some space or memory, then give the same command again"), 3
            )
        traceback.print_exc()
        _fail(name, error, ExitCode.FAILED)
    except MemoryError:
        _fail(name, MachineError("out of memory: lower the batch or the image size, then give the command again"), 3)
    except Exception as error:
        traceback.print_exc()
        if type(error).__name__ == "ResourceExhaustedError":
            _fail(name, MachineError("out of memory on the device: lower the batch or the image size"), 3)
        _fail(name, error, ExitCode.FAILED)
    raise AssertionError("unreachable")


class Step:
    """One run of a step: its identity, and its work with a lineage record beside each output.

    Args:
        run: the step's function.
        inputs, outputs, parameters, options, seed: see `Task`.
        options_text: the options as they were given, a part of the identity.
    """

    def __init__(
        self,
        run: Callable[[Task], dict | None],
        inputs: Mapping[str, Path | list[Path]],
        outputs: Mapping[str, Path],
        parameters: Mapping[str, str],
        options: Any,
        options_text: str,
        seed: int,
    ):
        self.name = run.__module__.rpartition(".")[2]
        self._run, self._inputs, self._outputs = run, inputs, outputs
        self._parameters, self._options, self._seed = dict(parameters), options, seed
        self._digests = {k: digest(v) if isinstance(v, Path) else [digest(p) for p in v] for k, v in inputs.items()}
        self._code = code_version([run.__module__])
        self.identity = digest_text(
            self.name,
            options_text,
            str(sorted(self._parameters.items())),
            str(seed),
            self._code,
            str(sorted(self._digests.items())),
        )

    def run(self, work_dir: Path) -> dict:
        """Does the work, going on from what an interrupted run left in `work_dir`; returns what it measured."""
        begin = time.time()
        run_dir = work_dir / f"{self.name}-{self.identity[:16]}"
        run_dir.mkdir(parents=True, exist_ok=True)
        task = Task(self._inputs, self._outputs, self._parameters, self._options, self._seed, run_dir)
        measured = self._run(task) or {}
        for key, path in self._outputs.items():
            if path.exists():
                record = {
                    "format": FORMAT,
                    "step": self.name,
                    "artifact": key,
                    "identity": self.identity,
                    "digest": digest_directory(path),
                    "inputs": self._digests,
                    "options": dataclasses.asdict(self._options),
                    "parameters": self._parameters,
                    "seed": self._seed,
                    "code": self._code,
                    "version": __version__,
                    "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin)),
                    "seconds": round(time.time() - begin, 2),
                    "machine": machine(),
                    "metrics": measured,
                }
                write_json(lineage_path(path), record)
        return measured


def lineage_path(artifact: Path) -> Path:
    return artifact.with_name(artifact.name + ".lineage.json")


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
        "python": platform.python_version(),
    }


def follow_launcher() -> None:
    """Ends this process as soon as the launcher has ended, however it ended.

    The launcher is not the parent (a shell is), so a parent-death signal would not reach; a file descriptor of its
    process does.
    """
    pid = int(os.environ.get(LAUNCHER_VARIABLE, "0"))
    if not pid:
        return
    try:
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        os.kill(pid, 0)
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)

    def watch() -> None:
        if handle is not None:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll()
        else:
            while True:
                time.sleep(0.5)
                try:
                    os.kill(pid, 0)
                except OSError:
                    break
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _fail(name: str, error: BaseException, code: int) -> None:
    message = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, LesionganError):
        message = f"{type(error).__name__}: {message}"
    path = os.environ.get(ERROR_VARIABLE)
    if path:
        write_json(
            path,
            {"step": name, "message": message, "exit_code": int(code), "expected": isinstance(error, LesionganError)},
        )
    print(f"error in {name}: {message}", file=sys.stderr, flush=True)
    sys.exit(int(code))
