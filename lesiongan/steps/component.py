"""A step run as a component: what kfp hands in is unwrapped, and what goes wrong is one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from lesiongan.base.errors import ExitCode, Interrupted, LesionganError, OutOfMemory, as_machine_error
from lesiongan.base.escaped import unescape
from lesiongan.base.files import write_json
from lesiongan.base.progress import ERROR_MARK, PROCESS_MARK, STEP_VARIABLE
from lesiongan.config.reader import from_json
from lesiongan.steps import shown
from lesiongan.steps.follow import follow
from lesiongan.steps.step import Step, step_name

#: Set by the launcher: where a step that fails says why.
ERROR_VARIABLE = "LESIONGAN_ERROR_FILE"
#: Set by the launcher: its process id; a step ends with it.
LAUNCHER_VARIABLE = "LESIONGAN_LAUNCHER"
#: Set by the launcher: the command that a person gave, for the report. It changes no result, so no cache key has it.
COMMAND_VARIABLE = "LESIONGAN_COMMAND"


def run_component(
    module: ModuleType,
    *,
    options: str,
    seed: int,
    work_dir: str,
    metrics: Any = None,
    samples: Any = None,
    confusion: Any = None,
    **values: Any,
) -> dict[str, float]:
    """Runs a step on a component's arguments, and returns its metrics.

    A component's body is this call with its own `locals()`. What has a `path` is an artifact: those that the
    step names in `OUTPUTS` are written, all others are inputs, lists of them too; an artifact that was not given is
    left out. Plain values are the step's parameters.

    The metrics go to `metrics.path` too, as JSON: kfp's local engine never caches a step whose metrics have no file.

    A `LesionganError` or `Interrupted` ends the process with its exit code and one line; anything else with a traceback
    and exit code 1.

    Args:
        module: the step.
        options: its `Options` as JSON.
        seed: the run's seed.
        work_dir: gets the working folder; "" stands for one beside the first output.
        metrics: kfp's Metrics artifact.
        samples: an HTML artifact, which gets the step's pictures.
        confusion: kfp's ClassificationMetrics artifact, which gets the confusion matrix of an output `evaluation`.
        values: the other arguments of the component, by name.
    """
    follow_launcher()
    if os.environ.get(STEP_VARIABLE):
        print(f"{PROCESS_MARK}{os.getpid()}", flush=True)
    name = step_name(module)
    try:
        options = unescape(options)
        values = {key: unescape(value) if isinstance(value, str) else value for key, value in values.items()}
        outputs = {key: Path(values.pop(key).path) for key in module.OUTPUTS}
        made = dict(outputs)

        def show() -> None:
            if samples is not None:
                shown.write_pictures(Path(samples.path), made)
            if confusion is not None:
                shown.write_confusion(confusion, made["evaluation"])

        outputs |= {k: Path(v.path) for k, v in (("samples", samples), ("confusion", confusion)) if v is not None}
        inputs, parameters = _unwrapped(values)
        place = Path(work_dir or f"{next(iter(outputs.values()))}.work")
        step = Step(module, inputs, outputs, parameters, from_json(module.Options, options), options, seed, place)
        here = LAUNCHER_VARIABLE in os.environ
        # the launcher drops checkpoints once the cache has the step's outputs, and leaves these where they are
        measured = step.run(keep_checkpoints=here, keep_records=not here, show=show)
        numbers = {k: float(v) for k, v in measured.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        if metrics is not None:
            write_json(metrics.path, numbers)
            metrics.metadata.update(numbers)
        return numbers
    except (LesionganError, Interrupted) as error:
        _fail(name, error, error.exit_code)
    except KeyboardInterrupt:
        _fail(name, Interrupted(), ExitCode.INTERRUPTED)
    except Exception as error:
        fault = as_machine_error(error, work_dir or os.getcwd(), tempfile.gettempdir())
        if fault is None:
            traceback.print_exc()
        _fail(name, fault or error, ExitCode.FAILED if fault is None else ExitCode.MACHINE)


def _unwrapped(values: Mapping[str, Any]) -> tuple[dict[str, Path | list[Path]], dict[str, str]]:
    inputs: dict[str, Path | list[Path]] = {}
    parameters: dict[str, str] = {}
    for key, value in values.items():
        if value is None:
            continue
        if hasattr(value, "path"):
            inputs[key] = Path(value.path)
        elif isinstance(value, (list, tuple)):
            inputs[key] = [Path(artifact.path) for artifact in value]
        else:
            parameters[key] = str(value)
    return inputs, parameters


def follow_launcher() -> None:
    """Ends this process as soon as the launcher has ended, however it ended."""
    pid = int(os.environ.get(LAUNCHER_VARIABLE, "0"))
    if pid:
        follow(pid)


def _fail(name: str, error: BaseException, code: int) -> NoReturn:
    message = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, (LesionganError, Interrupted))
    if not expected:
        message = f"{type(error).__name__}: {message}"
    said = {
        "step": name,
        "message": message,
        "exit_code": int(code),
        "expected": expected,
        "memory": isinstance(error, OutOfMemory),
    }
    path = os.environ.get(ERROR_VARIABLE)
    if path:
        try:
            write_json(path, said)
        except OSError:  # the disk is full; the launcher reads this process's output
            print(f"{ERROR_MARK}{json.dumps(said)}", flush=True)
    print(f"error in {name}: {message}", file=sys.stderr, flush=True)
    sys.exit(int(code))
