"""What a step shows of itself on Kubeflow's page: its pictures as one HTML file, the Evaluator's confusion matrix."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.files import read_json, write_json, write_text

_MOST = 12  # pictures of a step
_RESULT = "metrics.json"  # of an evaluation


def write_pictures(path: Path, outputs: Mapping[str, Path]) -> None:
    """Writes one HTML file with the pictures that outputs hold: those laid out at their top (contact sheets,
    galleries), and of each training the last one that it drew on the way."""
    pictures = [(folder, picture) for folder in outputs.values() for picture in _pictures(folder)][:_MOST]
    figures = "\n".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}" alt="">'
        f"<figcaption>{html.escape(picture.relative_to(folder.parent).as_posix())}</figcaption></figure>"
        for folder, picture in pictures
    )
    page = f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Pictures</title>\n{figures}\n</html>\n'
    write_text(path, page)


def _pictures(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.png"))
    for samples in sorted(folder.glob("*/samples")):
        yield from sorted(samples.glob("*.png"))[-1:]  # they are named by their step


def baseline_confusion(evaluation: Path) -> tuple[list[str], list[list[int]]]:
    """The classes, and the confusion matrix of the classifiers on real images alone, summed over their seeds (rows are
    true classes)."""
    result = read_json(evaluation / _RESULT)
    matrices = [each["confusion"] for each in result["classifiers"] if each["cell"] == result["baseline"]]
    size = range(len(result["classes"]))
    return list(result["classes"]), [[int(sum(m[i][j] for m in matrices)) for j in size] for i in size]


def write_confusion(confusion: Any, evaluation: Path) -> None:
    """Gives kfp's ClassificationMetrics the baseline's confusion matrix, and writes it to its path too, as JSON."""
    classes, matrix = baseline_confusion(evaluation)
    confusion.log_confusion_matrix(classes, matrix)
    write_json(confusion.path, {"classes": classes, "confusion": matrix})
