"""Pusher: each model that both the Evaluator and the InfraValidator bless goes to `<models_dir>/<name>/<version>/`."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_directory, read_json, sweep_temporaries, whole_directory, write_json
from lesiongan.base.progress import say
from lesiongan.serving import model_artifact, registry
from lesiongan.serving.model_card import write_card
from lesiongan.steps.step import Task

OUTPUTS = ("pushed",)
_ABANDONED = 3600.0  # seconds after which what another push has begun is what a killed one left


@dataclasses.dataclass(frozen=True)
class Options:
    prefix: str = ""  # before the models' names, except the classifier's


def run(task: Task[Options]) -> dict:
    """Parameters: `models_dir`.
    Inputs: `classifier`, `models` (a list), `acgan` and `chained` where they are, `blessing`, `infra_blessing`.
    Outputs: `pushed` (`pushed.json`).
    """
    evaluated = read_json(task.artifact("blessing") / "blessing.json")
    served = read_json(task.artifact("infra_blessing") / "blessing.json")
    pushed = {}
    for artifact in task.artifacts("classifier", "acgan", "models", "chained"):
        for name in model_artifact.names(artifact):
            parts = model_artifact.describe(Path(artifact) / name).get("parts", [name])
            verdicts = {"Evaluator": _of_all(parts, evaluated), "InfraValidator": _of_all([name], served)}
            refusals = [f"{component}: {v['reason']}" for component, v in verdicts.items() if not v["blessed"]]
            if refusals:
                say(f"{name} is not pushed: {'; '.join(refusals)}")
                pushed[name] = {"pushed": False, "reason": "; ".join(refusals)}
                continue
            target = Path(task.parameters["models_dir"]) / (
                name if name == "classifier" else task.options.prefix + name
            )
            version = push(Path(artifact) / name, target, verdicts)
            say(f"{name} is pushed: {target / str(version)}")
            pushed[name] = {"pushed": True, "path": str(target / str(version)), "version": version}
    write_json(task.outputs["pushed"] / "pushed.json", pushed)
    return {"models": len(pushed), "pushed": sum(p["pushed"] for p in pushed.values())}


def push(model: Path, target: Path, blessing: Mapping[str, Mapping] | None = None) -> int:
    """Copies a SavedModel to `target/<version>/` and returns the version; a model that is there already, and whole, is
    not copied again.

    Args:
        model: the folder of an exported model.
        target: the folder of a pushed model's versions.
        blessing: component -> its verdict, which the record keeps.
    """
    record = model_artifact.describe(model)
    sweep_temporaries(target, older=_ABANDONED)
    versions, version = registry.versions(target), 0
    for earlier in versions:
        try:
            known = model_artifact.describe(target / str(earlier))
        except UsageError as error:
            say(f"{error}; it stays as it is")
            continue
        if known["digest"] == record["digest"]:
            if digest_directory(target / str(earlier), without=model_artifact.BESIDE) == record["digest"]:
                return earlier
            say(f"{target / str(earlier)}: its files are not those of its record; it is pushed again")
            version = earlier
    version = version or max([0, *versions, *registry.versions(target, withdrawn=True)]) + 1
    with whole_directory(target / str(version)) as folder:
        shutil.copytree(model / "saved_model", folder, dirs_exist_ok=True)
        if (model / model_artifact.SEEN).is_file():
            shutil.copy(model / model_artifact.SEEN, folder)
        pushed = {**record, "blessing": dict(blessing or {})}
        model_artifact.write_record(folder, pushed)
        write_card(folder, pushed, ".")
    return version


def _of_all(names: list[str], verdicts: Mapping[str, dict]) -> dict:
    """The verdict on a model of these parts (itself alone, mostly): the first refusal, else what is said of the
    first."""
    missing = {"blessed": False, "reason": "no verdict"}
    found = [(name, verdicts.get(name, missing)) for name in names]
    refused = [(name, verdict) for name, verdict in found if not verdict["blessed"]]
    name, verdict = (refused or found)[0]
    return verdict if len(names) == 1 else {**verdict, "reason": f"{name}: {verdict['reason']}"}
