"""Runs a pipeline on this machine with kfp's local engine: steps as subprocesses, finished ones from the cache.

kfp's engine is used as it is; three of its functions are wrapped while a pipeline runs (`_observed`), to learn which
task runs, which came from the cache, and, for a dry run, what would run.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from kfp import dsl, local
from kfp.local import config as kfp_config, status as kfp_status, subprocess_task_handler, task_dispatcher
from kfp.local.orchestrator import task_executor

import lesiongan
from lesiongan.base.errors import LesionganError, as_machine_error
from lesiongan.base.files import read_json
from lesiongan.base.lineage import lineage_path
from lesiongan.base.progress import ERROR_MARK, LINE_MARK, PROCESS_MARK, PROGRESS_MARK, STEP_VARIABLE, duration
from lesiongan.steps.component import COMMAND_VARIABLE, ERROR_VARIABLE, LAUNCHER_VARIABLE
from lesiongan.steps.step import drop_checkpoints
from pipelines.cached import Checked, checked
from pipelines.failures import failure_of
from pipelines.process import Lines, empty, temporary_folder
from pipelines.stopping import Stopping
from pipelines.warm_python import WarmPython
from pipelines.workdir import RunRecord, link_models

TEMPORARY = "tmp"  # of a workdir: where the steps' temporary files go; emptied after each


def warm_python() -> WarmPython:
    """What the steps of one pipeline after the other are forked from; a context manager."""
    return WarmPython(subprocess_task_handler.run_local_subprocess)


def run(pipeline: Callable, name: str, workdir: Path, facts: dict, python: WarmPython | None = None) -> RunRecord:
    """Runs a pipeline to its end.

    Args:
        pipeline: what `pipelines.definitions` built.
        name: the pipeline's name.
        workdir: held by the caller (`locks.held`).
        facts: what the run's record says besides: configuration, command, version.
        python: of `warm_python`, where another pipeline is run before or after; the caller closes it.

    Raises:
        StepFailed: a step failed; the message is the step's own line.
        Interrupted: a signal came, and the running step ended.
    """
    record = RunRecord(workdir, name, **facts)
    observer = _RunObserver(workdir, name, record, facts["config"])
    try:
        with (
            _environment(workdir, facts["command"]),
            contextlib.chdir(workdir),
            temporary_folder(workdir / TEMPORARY),
            _engine(),
            checked(observer.say) as observer.cache,
            contextlib.nullcontext(python) if python else warm_python() as own,
            _observed(observer, own.run),
            observer.output(),
            observer.stopping.handled(),
        ):
            pipeline()
    except KeyboardInterrupt:
        record.finish("interrupted")
        raise
    except (RuntimeError, OSError, LesionganError) as error:  # kfp raises the first for a failed task
        failure = observer.failure() if isinstance(error, RuntimeError) else as_machine_error(error, workdir) or error
        with contextlib.suppress(OSError):  # a full disk, of which the failure tells
            record.finish("failed", error=str(failure))
        raise failure from error
    report = observer.outputs.get("reporter", {}).get("report")
    if report:
        target = workdir / f"report-{name}.html"
        shutil.copyfile(workdir / report, target)
        record.finish("done", report=target.name)
    else:
        record.finish("done")
    return record


def planned_steps(pipeline: Callable, workdir: Path) -> list[tuple[str, bool]]:
    """The steps that a run would take, in order, each with whether the cache has it. Nothing is written to the
    workdir."""
    observer = _DryRun()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        there = (workdir / "cache").is_dir()
        with (
            contextlib.chdir(workdir if there else scratch),
            temporary_folder(Path(scratch) / TEMPORARY),
            _engine(),
            checked(lambda line: print(line, file=sys.stderr), writes=False),
            _observed(observer, subprocess_task_handler.run_local_subprocess),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            pipeline()
    return observer.steps


@contextlib.contextmanager
def _environment(workdir: Path, command: str) -> Iterator[None]:
    """What steps inherit: they end with this process, say why they fail, and keep their libraries quiet."""
    changed = {
        STEP_VARIABLE: "live" if sys.stdout.isatty() else "lines",
        LAUNCHER_VARIABLE: str(os.getpid()),
        ERROR_VARIABLE: str(workdir / "error.json"),
        COMMAND_VARIABLE: command,
        "PYTHONUNBUFFERED": "1",
        # a step runs this process's code, whatever the current folder holds
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [_code_root(), os.environ.get("PYTHONPATH", "")])),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    before = {key: os.environ.get(key) for key in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None) if value is None else os.environ.update({key: value})


def _code_root() -> str:
    """The folder that holds this process's `lesiongan`, where Python would not look by itself (a checkout)."""
    root = Path(lesiongan.__file__).resolve().parent.parent
    return "" if root.name in ("site-packages", "dist-packages") else str(root)


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    """kfp in the current folder, the workdir. Paths within it are relative: they are parts of the cache's keys, and a
    copied or renamed workdir keeps its cache."""
    replace = subprocess_task_handler.replace_python_executable

    def with_python(command: list[str], executable: str) -> list[str]:
        """kfp would replace `python3` in the paths of the outputs too, which are JSON: outside of the workdir."""
        pairs = zip(command, replace(command, executable), strict=True)
        return [old if old.startswith("{") else new for old, new in pairs]

    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers[:] = [logging.NullHandler()]  # kfp logs to the root logger; the observer tells a person instead
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            local.init(
                local.SubprocessRunner(use_venv=False),
                pipeline_root="artifacts",
                enable_caching=True,
                cache_root="cache",
            )
            # `init` has made it absolute
            kfp_config.LocalExecutionConfig.instance.pipeline_root = "artifacts"
            subprocess_task_handler.replace_python_executable = with_python
            yield
    finally:
        subprocess_task_handler.replace_python_executable = replace
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def _observed(observer, start: Callable[..., int]) -> Iterator[None]:
    """Tells `observer` of every task: `begin(task)`, `dispatch(original, ...)` where it is not cached, `end(task,
    outputs, ok)`; `start` runs a step's command."""
    execute, dispatch = task_executor.execute_single_task, task_dispatcher.run_single_task_implementation
    before = subprocess_task_handler.run_local_subprocess

    def observed_execute(*args, **kwargs):
        task = kwargs["task_name"]
        if kwargs["fail_stack"]:  # after a failure kfp would still run whatever does not depend on it
            return {}, kfp_status.Status.FAILURE
        try:
            observer.begin(task)
            outputs, status = execute(*args, **kwargs)
            observer.end(task, outputs, status == kfp_status.Status.SUCCESS)
        except OSError as error:  # in a loop kfp would make "a task failed" of it
            observer.fault = as_machine_error(error, observer.workdir) or LesionganError(str(error))
            raise
        return outputs, status

    def observed_start(*args, **kwargs):
        observer.exit_code = start(*args, **kwargs)
        return observer.exit_code

    def observed_dispatch(*args, **kwargs):
        return observer.dispatch(dispatch, *args, **kwargs)

    task_executor.execute_single_task = observed_execute
    task_dispatcher.run_single_task_implementation = observed_dispatch
    subprocess_task_handler.run_local_subprocess = observed_start
    try:
        yield
    finally:
        task_executor.execute_single_task = execute
        task_dispatcher.run_single_task_implementation = dispatch
        subprocess_task_handler.run_local_subprocess = before


class _DryRun:
    """Runs nothing: every task that is not cached gets outputs that nobody has, so that what follows is not cached
    either."""

    exit_code = 0

    def __init__(self):
        self.steps: list[tuple[str, bool]] = []
        self.cached = True

    def begin(self, task: str) -> None:
        self.cached = True

    def dispatch(self, original, *args, component_spec, **kwargs):
        self.cached = False
        names = component_spec.output_definitions.artifacts
        return {n: dsl.Artifact(name=n, uri=f"/nowhere/{uuid.uuid4()}") for n in names}, kfp_status.Status.SUCCESS

    def end(self, task: str, outputs: dict, ok: bool) -> None:
        self.steps.append((task, self.cached))


class _RunObserver:
    """Follows a real run: says which step runs, passes the steps' own lines on, keeps the rest in log files."""

    cache: Checked

    def __init__(self, workdir: Path, pipeline: str, record: RunRecord, config: dict):
        self.config, self.exit_code = config, 0
        self.fault: LesionganError | None = None
        self.said: dict[str, Any] = {}  # of a failure, by a step that could not write it to `error`
        self.workdir, self.record, self.logs = workdir, record, workdir / "logs" / pipeline
        self.logs.mkdir(parents=True, exist_ok=True)
        self.outputs: dict[str, dict[str, str]] = {}
        self.task, self.cached, self.began = "", True, 0.0
        self.counts: dict[str, int] = {}
        self.screen = sys.stdout
        self.live = self.screen.isatty()
        self.log: TextIO | None = None
        self.stopping = Stopping()
        self.error = workdir / "error.json"
        self.error.unlink(missing_ok=True)

    def begin(self, task: str) -> None:
        self.stopping.check()
        # the same task name comes again in each turn of a loop
        self.counts[task] = self.counts.get(task, 0) + 1
        self.task = task if self.counts[task] == 1 else f"{task}-{self.counts[task]}"
        self.cached, self.began = True, time.monotonic()

    def dispatch(self, original, *args, **kwargs):
        self.cached = False
        self.say(f"[{self.task}]")
        self.record.step(self.task, status="running")
        with (self.logs / f"{self.task}.log").open("w", encoding="utf-8") as self.log, self.stopping.step():
            try:
                result = original(*args, **kwargs)
            finally:
                self.log = None
                empty(self.workdir / TEMPORARY)
        if result[1] != kfp_status.Status.SUCCESS:
            self.stopping.check(read_json(self.error)["message"] if self.error.exists() else "")
        return result

    def end(self, task: str, outputs: dict, ok: bool) -> None:
        seconds = time.monotonic() - self.began
        if self.cache.failure is not None:  # kfp goes on without an entry, and the next run would do it again
            raise self.cache.failure
        paths = {key: value.uri for key, value in outputs.items() if isinstance(value, dsl.Artifact)}
        self.outputs[self.task] = paths
        if not ok:
            self.record.step(self.task, status="failed", seconds=round(seconds, 1), error=str(self.failure()))
            return
        records = list(_lineage(paths))
        for record in records:  # of a cached step too: a kill may have come between its entry and this
            drop_checkpoints(Path("work"), record["step"], record["identity"])
        if self.cached:
            took = next((record["seconds"] for record in records), 0.0)
            self.record.step(self.task, status="cached", seconds=took, outputs=paths)
            self.say(f"[{self.task}] cached")
        else:
            self.record.step(self.task, status="done", seconds=round(seconds, 1), outputs=paths)
            self.say(f"[{self.task}] done in {duration(seconds)}")
        if "model" in paths:
            link_models(self.workdir, paths["model"])

    def failure(self) -> LesionganError:
        """Why the run ended: a fault of this process, or what the step that failed said, in one line."""
        if self.fault is not None:
            return self.fault
        log = self.logs / f"{self.task}.log"
        return failure_of(self.task, self.exit_code, self.error, log, self.said, self.config)

    def say(self, text: str, live: bool = False) -> None:
        end = "" if live and self.live else "\n"
        start = "\r\033[K" if self.live else ""
        print(f"{start}{text}", end=end, file=self.screen, flush=True)

    @contextlib.contextmanager
    def output(self) -> Iterator[None]:
        """Takes what kfp prints (its own log, and every line of a step)."""
        with contextlib.redirect_stdout(Lines(self._line)):
            yield

    def _line(self, line: str) -> None:
        text = line.strip()
        if text.startswith(PROCESS_MARK):
            self.stopping.runs_as(int(text[len(PROCESS_MARK) :]))
        elif text.startswith(LINE_MARK):
            self.say("  " + text[len(LINE_MARK) :])
        elif text.startswith(PROGRESS_MARK):
            self.say("  " + text[len(PROGRESS_MARK) :], live=True)
        elif text.startswith(ERROR_MARK):
            self.said = json.loads(text[len(ERROR_MARK) :])
        if self.log is not None:
            with contextlib.suppress(OSError):  # a full disk: the step will say so, or meet it itself
                self.log.write(line + "\n")


def _lineage(paths: dict[str, str]) -> Iterator[dict]:
    """The lineage records of a step's artifacts; they were looked at when they were written or taken."""
    for path in paths.values():
        record = lineage_path(Path(path))
        if record.exists():
            yield read_json(record)
