"""The report: what the artifacts of a run say, in one HTML file that a person opens from disk."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import time
from pathlib import Path

from lesiongan import __version__
from lesiongan.config import Config, to_json
from lesiongan.files import read_json
from lesiongan.reporting.report import Picture, write_report
from lesiongan.steps.step import COMMAND_VARIABLE, Task, lineage_path, machine

_TITLES = {"nevus_to_melanoma": "Nevus to melanoma", "noise_to_lesion": "Noise to lesion"}
_PACKAGES = ("keras", "kfp", "tensorflow-datasets", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Options:
    experiment: str = "nevus_to_melanoma"
    config: Config = Config()


def run(task: Task) -> dict:
    """Inputs: `examples`, `runs`, `generated` (lists), `predictions`, `evaluation`, `blessing`, `selection`
    (experiment 2).
    Outputs: `report`, the HTML file.
    """
    experiment, config = task.options.experiment, task.options.config
    write_report(
        task.outputs["report"],
        pipeline=experiment,
        title=_TITLES[experiment],
        data={
            "command": os.environ.get(COMMAND_VARIABLE, ""),
            "config": json.loads(to_json(config)),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "versions": _versions(),
            "machine": machine(),
            "seed": task.seed,
            "examples": task.inputs["examples"],
            "grids": _grids(task),
            "trainings": _trainings(task.inputs["runs"]),
            "evaluation": task.inputs["evaluation"],
            "rankings": _rankings(task),
            "image_quality": _quality(task.inputs["evaluation"] / "image_quality.json"),
            "timings": _timings(task),
            "notes": _notes(task),
        },
    )
    return {"bytes": task.outputs["report"].stat().st_size}


def _versions() -> dict[str, str]:
    found = {"lesiongan": __version__}
    for name in ("tensorflow", "tensorflow-cpu", *_PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _grids(task: Task) -> list[Picture]:
    """Real images, then what each Generator laid out, then the CycleGANs' pairs at the end of their training."""
    pictures = [Picture(str(task.inputs["examples"] / "preview.png"), "Images of the training set, a row a class.")]
    for folder in task.inputs["generated"]:
        for name, caption in (
            ("acgan.png", "Images from noise by the ACGAN, a row a class."),
            ("cyclegan.png", _CAPTIONS[task.options.experiment]),
        ):
            if (folder / name).exists():
                pictures.append(Picture(str(folder / name), caption))
    for name, path in _trainings(task.inputs["runs"]).items():
        pairs = sorted((Path(path).parent / "samples").glob("pairs-*.png"))
        if pairs:
            text = f"CycleGAN {name} after training. Columns: x, x to y, x to y to x; y, y to x, y to x to y."
            pictures.append(Picture(str(pairs[-1]), text))
    return pictures


_CAPTIONS = {
    "nevus_to_melanoma": "Nevi, the melanomas that each CycleGAN makes of them, and real melanomas.",
    "noise_to_lesion": "For each class: the ACGAN's images, the same after the class's CycleGAN, and real images.",
}


def _trainings(folders: list[Path]) -> dict[str, str]:
    return {path.parent.name: str(path) for folder in folders for path in sorted(folder.glob("*/stats.jsonl"))}


def _rankings(task: Task) -> list[Picture]:
    if "selection" not in task.inputs:
        return []
    text = (
        "Path-Rank-Filter: training images of the target class with the highest and with the lowest probability of it."
    )
    return [Picture(str(task.inputs["selection"] / "gallery.png"), text)]


def _quality(path: Path) -> dict:
    """Rows of image quality as the report takes them: for each generated set and class its numbers, with intervals."""
    groups: dict[str, dict] = {}
    for row in read_json(path):
        numbers: dict = {"called the intended class": row["agreement"]}
        if row["quality"]:
            for metric, name in _METRICS.items():
                numbers[f"{name}, made to real test images"] = row["quality"]["matched"][metric]
                numbers[f"{name}, real training images (floor)"] = row["quality"]["floor"][metric]
        groups[f"{row['generator']}, {row['class']}"] = numbers
    return groups


_METRICS = {"kid": "KID", "fid": "FID"} | {name: name for name in ("precision", "recall", "density", "coverage")}


def _timings(task: Task) -> list[tuple[str, float, bool]]:
    """Seconds of the steps before this one, from the lineage records beside the artifacts."""
    seen: dict[str, tuple[str, float, bool]] = {}
    for value in task.inputs.values():
        for artifact in value if isinstance(value, list) else [value]:
            path = lineage_path(artifact)
            if path.exists():
                record = read_json(path)
                label = record["step"].replace("_", " ")
                seen.setdefault(f"{label} {record['started']}", (label, record["seconds"], False))
    return list(seen.values())


def _notes(task: Task) -> list[str]:
    verdicts = read_json(task.inputs["blessing"] / "blessing.json")
    return [f"{name}: {'blessed' if v['blessed'] else 'not blessed'} ({v['reason']})" for name, v in verdicts.items()]
