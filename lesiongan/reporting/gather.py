"""What a run's report shows, collected from the folders of its artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json
from lesiongan.base.lineage import lineage_path
from lesiongan.reporting import accuracy_scores, appearance, memory, quality, strip
from lesiongan.reporting.report import CaptionedImage

TITLES = {"nevus_to_melanoma": "Nevus to melanoma", "noise_to_lesion": "Noise to lesion"}
Artifacts = Mapping[str, Path | Sequence[Path]]

#: Inputs with trainings for people, and with generated images; `runs` is what version 0.1 called the former.
_RUNS = ("runs", "classifier_run", "acgan_run", "gan_runs", "grid_run")
_GENERATED = ("sampled", "generated")

#: Pictures that the Evaluator laid out, in place of those of each generator where they exist.
_FIGURES = {
    "figure7.png": "Real images, and generated ones: from noise, the same after the class's CycleGAN, or made "
    "elsewhere; one column per class.",
    "figure8.png": "Each row: a training image and what the CycleGAN of each alpha makes of it.",
}
_SHEETS = {
    "nevus_to_melanoma": "Nevi, the melanomas that each CycleGAN makes of them, and real melanomas.",
    "noise_to_lesion": "For each class: the ACGAN's images, the same after the class's CycleGAN, and real images.",
}


def gather(experiment: str, inputs: Artifacts) -> dict[str, Any]:
    """The part of `ReportInputs` that artifacts hold.

    Args:
        experiment: `nevus_to_melanoma` or `noise_to_lesion`.
        inputs: folders by name: `examples`, `classifier_run`, `gan_runs` (a list), `grid_run`, `generated` (a list),
            `evaluation`, `blessing`; `selection` in experiment 2, `acgan_run` and `sampled` in experiment 1. What is
            not there is left out.
    """
    evaluation, blessing = _one(inputs, "evaluation"), _one(inputs, "blessing")
    distances = evaluation / "distances.json" if evaluation else None
    return {
        "examples": _one(inputs, "examples"),
        "grids": _grids(experiment, inputs),
        "trainings": _trainings(_all(inputs, _RUNS)),
        "evaluation": evaluation,
        "rankings": _rankings(inputs),
        "strip": strip.strips(experiment, _all(inputs, _GENERATED), _one(inputs, "examples")),
        "image_quality": quality.rows(evaluation),
        "feature_space": quality.feature_space(evaluation),
        "memory": memory.section(evaluation),
        "suspects": [CaptionedImage(str(path), caption) for path, caption in memory.galleries(evaluation)],
        "accuracy_scores": accuracy_scores.section(evaluation),
        "appearance": appearance.section(evaluation),
        "distances": distances if distances and distances.exists() else None,
        "timings": _timings(inputs),
        "blessing": read_json(blessing / "blessing.json") if blessing else {},
        "software": _software(inputs),
    }


def _grids(experiment: str, inputs: Artifacts) -> list[CaptionedImage]:
    """Real images, the figures, and the CycleGANs' pairs at the end of their training."""
    pictures = []
    examples, evaluation = _one(inputs, "examples"), _one(inputs, "evaluation")
    if examples:
        pictures.append(CaptionedImage(str(examples / "preview.png"), "Images of the training set, one row per class."))
    laid_out = [evaluation / name for name in _FIGURES] if evaluation else []
    figures = [CaptionedImage(str(path), _FIGURES[path.name]) for path in laid_out if path.exists()]
    if not figures:
        sheets = {
            "acgan.png": "Images from noise by the ACGAN, one row per class.",
            "cyclegan.png": _SHEETS[experiment],
        }
        figures = [
            CaptionedImage(str(folder / name), caption)
            for folder in _all(inputs, _GENERATED)
            for name, caption in sheets.items()
            if (folder / name).exists()
        ]
    pictures += figures
    for name, path in _trainings(_all(inputs, _RUNS)).items():
        pairs = sorted((Path(path).parent / "samples").glob("pairs-*.png"))
        if pairs:
            text = f"CycleGAN {name} after training; the columns are named in the picture."
            pictures.append(CaptionedImage(str(pairs[-1]), text))
    return pictures


def _trainings(folders: list[Path]) -> dict[str, str]:
    return {path.parent.name: str(path) for folder in folders for path in sorted(folder.glob("*/stats.jsonl"))}


def _rankings(inputs: Artifacts) -> list[CaptionedImage]:
    selection = _one(inputs, "selection")
    if selection is None:
        return []
    text = (
        "Path-Rank-Filter: training images of the target class with the highest and with the lowest probability of it."
    )
    return [CaptionedImage(str(selection / "gallery.png"), text)]


def _timings(inputs: Artifacts) -> list[tuple[str, float, bool]]:
    """Seconds of the steps before the report, from the lineage records beside the artifacts."""
    return [(record["step"].replace("_", " "), record["seconds"], False) for record in _records(inputs)]


def _software(inputs: Artifacts) -> list[dict[str, str]]:
    """With which versions, and on what, the steps ran: a row for each that differs, and for each code that was accepted
    though it had changed."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for record in _records(inputs):
        versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
        accepted = f"{record['accepted_code']}, continued by {record['code']}" if "accepted_code" in record else ""
        key = (versions, record.get("machine", {}).get("device", ""), accepted)
        rows.setdefault(key, []).append(record["step"].replace("_", " "))
    return [
        {"steps": ", ".join(dict.fromkeys(steps)), "versions": versions, "device": device, "accepted": accepted}
        for (versions, device, accepted), steps in rows.items()
        if versions
    ]


def _records(inputs: Artifacts) -> list[dict[str, Any]]:
    """The lineage records of the steps before the report, in the order in which they began."""
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for artifact in _all(inputs, inputs):
        path = lineage_path(artifact)
        if path.exists():
            record = read_json(path)
            seen.setdefault((record["started"], record["step"]), record)
    return [seen[key] for key in sorted(seen)]


def _one(inputs: Artifacts, name: str) -> Path | None:
    folder = inputs.get(name)
    return folder if isinstance(folder, Path) else None


def _all(inputs: Artifacts, names: Iterable[str]) -> list[Path]:
    """The folders of these inputs, single ones and lists, in this order."""
    values = [inputs[name] for name in names if name in inputs]
    return [path for value in values for path in ([value] if isinstance(value, Path) else value)]
