"""What every step has in common: its task, its identity, its stable working folder, its lineage record."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from lesiongan import __version__
from lesiongan.base.checkpoint_seconds import CHECKPOINTS
from lesiongan.base.code_version import code_version
from lesiongan.base.files import digest_text
from lesiongan.base.lineage import (
    code_in_use,
    digest,
    fetch_record,
    keep_record,
    machine,
    remember_code,
    versions,
    write_record,
)

OptionsT = TypeVar("OptionsT")
#: Folders of artifacts by name; a list where several came from a loop.
Artifacts = Mapping[str, Path | Sequence[Path]]


@dataclasses.dataclass(frozen=True)
class Task(Generic[OptionsT]):
    """What a step's `run` function is handed.

    Attributes:
        inputs: see `artifact` and `artifacts`.
        outputs: where the artifacts go, by name.
        parameters: further plain values by name.
        options: the step's own `Options`.
        seed: the run's seed.
        run_dir: a folder that stays the same for the same data, options, code and seed: what a resumed step goes on
            from.
        code: the version of the code that `run_dir` belongs to.
    """

    inputs: Artifacts
    outputs: Mapping[str, Path]
    parameters: Mapping[str, str]
    options: OptionsT
    seed: int
    run_dir: Path
    code: str = ""

    def artifact(self, name: str) -> Path:
        """The folder of a single input."""
        folder = self.inputs[name]
        if not isinstance(folder, Path):
            raise TypeError(f"the input {name!r} is a list of artifacts; ask for `artifacts`")
        return folder

    def artifacts(self, *names: str) -> list[Path]:
        """The folders of these inputs, single ones and lists, in this order; what was not handed in is left out."""
        return [path for name in names if name in self.inputs for path in _as_list(self.inputs[name])]

    def has(self, name: str) -> bool:
        """Whether an input was handed in."""
        return name in self.inputs


class Step:
    """One run of a step: its identity, and its work with a lineage record beside each output.

    Args:
        module: the step: its `run`, its `Options`, and `OUTPUTS`, the names of what it writes.
        inputs, outputs, parameters, options, seed: see `Task`.
        options_text: the options as they were given, a part of the identity.
        work_dir: gets the working folder.

    Raises:
        UsageError: an input is not what its record says.
    """

    def __init__(
        self,
        module: ModuleType,
        inputs: Artifacts,
        outputs: Mapping[str, Path],
        parameters: Mapping[str, str],
        options: Any,
        options_text: str,
        seed: int,
        work_dir: Path,
    ):
        self.name = step_name(module)
        self._run, self._inputs, self._outputs = module.run, inputs, outputs
        self._parameters, self._options, self._seed, self._work_dir = dict(parameters), options, seed, work_dir
        for value in inputs.values():
            for artifact in _as_list(value):
                fetch_record(artifact, work_dir)
        self.input_digests = {
            k: digest(v) if isinstance(v, Path) else [digest(p) for p in v] for k, v in inputs.items()
        }
        self._code = code_version([module.__name__])
        self._used_code = code_in_use(self.name, self._code, work_dir)
        self.identity = digest_text(
            self.name,
            options_text,
            str(sorted(self._parameters.items())),
            str(seed),
            self._used_code,
            str(sorted(self.input_digests.items())),
        )

    def run(
        self,
        *,
        keep_checkpoints: bool = False,
        keep_records: bool = False,
        show: Callable[[], None] = lambda: None,
    ) -> dict:
        """Does the work, going on from what an interrupted run left; returns what it measured.

        Args:
            keep_checkpoints: the caller drops the checkpoints of the step's trainings (`drop_checkpoints`), once what
                was made of them cannot be lost any more.
            show: makes those outputs that show the others, which are there by then.
            keep_records: the artifacts will be carried away without their records, so that later steps need copies.
        """
        began, begin = time.time(), time.monotonic()  # a clock may be set while a training runs
        run_dir = self._work_dir / f"{self.name}-{self.identity[:16]}"
        run_dir.mkdir(parents=True, exist_ok=True)
        remember_code(self.name, self._used_code, self._work_dir)
        task = Task(self._inputs, self._outputs, self._parameters, self._options, self._seed, run_dir, self._used_code)
        measured = self._run(task) or {}
        show()
        for key, path in self._outputs.items():
            if path.exists():
                write_record(path, self._facts(key, began, time.monotonic() - begin, measured))
                if keep_records:
                    keep_record(path, self._work_dir)
        if not keep_checkpoints:
            drop_checkpoints(self._work_dir, self.name, self.identity)
        return measured

    def _facts(self, key: str, began: float, seconds: float, measured: Mapping[str, Any]) -> dict[str, Any]:
        # every record says that a change of the code was accepted
        accepted = {} if self._used_code == self._code else {"accepted_code": self._used_code}
        return {
            "step": self.name,
            "artifact": key,
            "identity": self.identity,
            "inputs": self.input_digests,
            "options": dataclasses.asdict(self._options),
            "parameters": self._parameters,
            "seed": self._seed,
            "code": self._code,
            **accepted,
            "version": __version__,
            "versions": versions(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
            "seconds": round(seconds, 2),
            "machine": machine(),
            "metrics": measured,
        }


def drop_checkpoints(work_dir: Path, step: str, identity: str) -> None:
    """Removes the checkpoints of a finished step's trainings, whose weights have been exported."""
    for folder in [*work_dir.glob(f"{step}-{identity[:16]}/**/{CHECKPOINTS}")]:
        shutil.rmtree(folder, ignore_errors=True)


def step_name(module: ModuleType) -> str:
    """What records and folders call a step."""
    return module.__name__.rpartition(".")[2]


def _as_list(value: Path | Sequence[Path]) -> list[Path]:
    return [value] if isinstance(value, Path) else list(value)
