"""Pusher: each model that both the Evaluator and the InfraValidator bless goes to `<models_dir>/<name>/<version>/`."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from lesiongan.base.files import read_json, whole_directory, write_json
from lesiongan.base.progress import say
from lesiongan.serving import model_artifact
from lesiongan.steps.step import Task

OUTPUTS = ("pushed",)


@dataclasses.dataclass(frozen=True)
class Options:
    prefix: str = ""  # before the models' names, except the classifier's


def run(task: Task[Options]) -> dict:
    """Parameters: `models_dir`.
    Inputs: `classifier`, `models` (a list), `acgan` where it is, `blessing`, `infra_blessing`.
    Outputs: `pushed` (`pushed.json`).
    """
    evaluated = read_json(task.artifact("blessing") / "blessing.json")
    served = read_json(task.artifact("infra_blessing") / "blessing.json")
    pushed = {}
    for artifact in task.artifacts("classifier", "acgan", "models"):
        for name in model_artifact.names(artifact):
            refusals = [
                f"{component}: {v['reason']}" for component, v in _verdicts(name, evaluated, served) if not v["blessed"]
            ]
            if refusals:
                say(f"{name} is not pushed: {'; '.join(refusals)}")
                pushed[name] = {"pushed": False, "reason": "; ".join(refusals)}
                continue
            target = Path(task.parameters["models_dir"]) / (
                name if name == "classifier" else task.options.prefix + name
            )
            version = push(Path(artifact) / name, target)
            say(f"{name} is pushed: {target / str(version)}")
            pushed[name] = {"pushed": True, "path": str(target / str(version)), "version": version}
    write_json(task.outputs["pushed"] / "pushed.json", pushed)
    return {"models": len(pushed), "pushed": sum(p["pushed"] for p in pushed.values())}


def push(model: Path, target: Path) -> int:
    """Copies a SavedModel to `target/<version>/` and returns the version; a model that is there already is not
    copied again."""
    record = model_artifact.describe(model)
    versions = sorted(int(p.name) for p in target.glob("*") if p.name.isdigit()) if target.exists() else []
    for version in versions:
        other = target / str(version) / "model.json"
        if other.exists() and read_json(other)["digest"] == record["digest"]:
            return version
    version = versions[-1] + 1 if versions else 1
    with whole_directory(target / str(version)) as folder:
        shutil.copytree(model / "saved_model", folder, dirs_exist_ok=True)
        shutil.copy(model / "model.json", folder / "model.json")
    return version


def _verdicts(name: str, evaluated: dict, served: dict):
    missing = {"blessed": False, "reason": "no verdict"}
    return ("Evaluator", evaluated.get(name, missing)), ("InfraValidator", served.get(name, missing))
