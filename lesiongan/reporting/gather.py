"""What a run's report shows, collected from the folders of its artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.files import read_json
from lesiongan.reporting.report import Picture
from lesiongan.steps.step import lineage_path

TITLES = {"nevus_to_melanoma": "Nevus to melanoma", "noise_to_lesion": "Noise to lesion"}
Artifacts = Mapping[str, Path | list[Path]]

#: Pictures that the Evaluator laid out, in place of those of each generator where they are there.
_FIGURES = {
    "figure7.png": "Real images, images from noise, and the same after the class's CycleGAN; a column a class.",
    "figure8.png": "Each row a training image and what the CycleGAN of each alpha makes of it.",
}
_SHEETS = {
    "nevus_to_melanoma": "Nevi, the melanomas that each CycleGAN makes of them, and real melanomas.",
    "noise_to_lesion": "For each class: the ACGAN's images, the same after the class's CycleGAN, and real images.",
}
_QUALITY = {"kid": "KID", "fid": "FID"} | {name: name for name in ("precision", "recall", "density", "coverage")}


def gather(experiment: str, inputs: Artifacts) -> dict[str, Any]:
    """The part of `ReportInputs` that artifacts hold.

    Args:
        experiment: `nevus_to_melanoma` or `noise_to_lesion`.
        inputs: folders by name: `examples`, `runs`, `generated` (lists), `evaluation`, `blessing`, and `selection` in
            experiment 2. What is not there is left out.
    """
    evaluation = inputs.get("evaluation")
    distances = evaluation / "distances.json" if evaluation else None
    return {
        "examples": inputs.get("examples"),
        "grids": _grids(experiment, inputs),
        "trainings": _trainings(inputs.get("runs", [])),
        "evaluation": evaluation,
        "rankings": _rankings(inputs),
        "image_quality": _quality(evaluation),
        "distances": distances if distances and distances.exists() else None,
        "timings": _timings(inputs),
        "notes": _notes(inputs.get("blessing")),
    }


def _grids(experiment: str, inputs: Artifacts) -> list[Picture]:
    """Real images, the figures, and the CycleGANs' pairs at the end of their training."""
    pictures = []
    if "examples" in inputs:
        pictures.append(Picture(str(inputs["examples"] / "preview.png"), "Images of the training set, a row a class."))
    laid_out = [inputs["evaluation"] / name for name in _FIGURES] if "evaluation" in inputs else []
    figures = [Picture(str(path), _FIGURES[path.name]) for path in laid_out if path.exists()]
    if not figures:
        sheets = {"acgan.png": "Images from noise by the ACGAN, a row a class.", "cyclegan.png": _SHEETS[experiment]}
        figures = [
            Picture(str(folder / name), caption)
            for folder in inputs.get("generated", [])
            for name, caption in sheets.items()
            if (folder / name).exists()
        ]
    pictures += figures
    for name, path in _trainings(inputs.get("runs", [])).items():
        pairs = sorted((Path(path).parent / "samples").glob("pairs-*.png"))
        if pairs:
            text = f"CycleGAN {name} after training; the columns are named in the picture."
            pictures.append(Picture(str(pairs[-1]), text))
    return pictures


def _trainings(folders: list[Path]) -> dict[str, str]:
    return {path.parent.name: str(path) for folder in folders for path in sorted(folder.glob("*/stats.jsonl"))}


def _rankings(inputs: Artifacts) -> list[Picture]:
    if "selection" not in inputs:
        return []
    text = (
        "Path-Rank-Filter: training images of the target class with the highest and with the lowest probability of it."
    )
    return [Picture(str(inputs["selection"] / "gallery.png"), text)]


def _quality(evaluation: Path | None) -> dict:
    """Rows of image quality as the report takes them: for each generated set and class its numbers, with intervals."""
    if evaluation is None or not (evaluation / "image_quality.json").exists():
        return {}
    groups: dict[str, dict] = {}
    for row in read_json(evaluation / "image_quality.json"):
        numbers: dict = {"called the intended class": row["agreement"]}
        if row["quality"]:
            for metric, name in _QUALITY.items():
                numbers[f"{name}, made to real test images"] = row["quality"]["matched"][metric]
                numbers[f"{name}, real validation images (floor)"] = row["quality"]["floor"][metric]
        groups[f"{row['generator']}, {row['class']}"] = numbers
    return groups


def _timings(inputs: Artifacts) -> list[tuple[str, float, bool]]:
    """Seconds of the steps before the report, from the lineage records beside the artifacts."""
    seen: dict[tuple[str, str], tuple[str, float, bool]] = {}
    for value in inputs.values():
        for artifact in value if isinstance(value, list) else [value]:
            path = lineage_path(artifact)
            if path.exists():
                record = read_json(path)
                label = record["step"].replace("_", " ")
                seen.setdefault((record["started"], label), (label, record["seconds"], False))
    return [seen[key] for key in sorted(seen)]


def _notes(blessing: Path | None) -> list[str]:
    if blessing is None:
        return []
    verdicts = read_json(blessing / "blessing.json")
    return [f"{name}: {'blessed' if v['blessed'] else 'not blessed'} ({v['reason']})" for name, v in verdicts.items()]
