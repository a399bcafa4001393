"""The predictions artifact: each classifier's probabilities for each test image, in ISIC's submission form.

cells.csv                    one row per classifier: cell, kind, alpha, amount, seed, steps, train_images, file, share
truth.csv                    the test images: image, label, lesion_id
predictions/<name>.csv       the `file` of a row: image, and the probability of each class
sets/<set>/truth.csv         the same of a further set of images; `validation` is the one that thresholds and
sets/<set>/<file>            temperatures come from, every other one is a test set of its own
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.data.csv_files import as_csv

BASELINE = "baseline"  # the kind of the row that every other one is compared with
CONTROL = "control"  # the kind of rows that are compared, but counted apart from an experiment's cells
SETS = "sets"
VALIDATION = "validation"
_CELL_COLUMNS = ("cell", "kind", "alpha", "amount", "seed", "steps", "train_images", "file")


@dataclasses.dataclass(frozen=True)
class Truth:
    """The test images, in the order of `truth.csv`.

    Attributes:
        images: n image ids.
        labels: int64 `[n]`, indices into `classes`.
        lesions: int64 `[n]`, 0 to g - 1: images with the same number show the same lesion. An image without a lesion id
            is a lesion of its own.
        classes: k abbreviations, in the order of the predictions' columns.
    """

    images: tuple[str, ...]
    labels: np.ndarray
    lesions: np.ndarray
    classes: tuple[str, ...]

    @property
    def support(self) -> np.ndarray:
        """Test images of each class, int64 `[k]`."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def only(self, chosen: np.ndarray) -> Truth:
        """The images that a boolean `[n]` marks, their lesions numbered anew."""
        images = tuple(image for image, taken in zip(self.images, chosen, strict=True) if taken)
        lesions = np.unique(self.lesions[chosen], return_inverse=True)[1]
        return Truth(images, self.labels[chosen], lesions, self.classes)


@dataclasses.dataclass(frozen=True)
class Classifier:
    """One trained classifier: its cell of the grid, its seed, and its predictions.

    Attributes:
        cell: the cell's name, the same for every seed.
        kind: `baseline`, `control`, or where the added images come from (`acgan`, `cyclegan`, ...).
        alpha: the share that the Path-Rank-Filter kept, None where there is none.
        amount: images added to the training set.
        share: of added images, by which the paper's tables name their rows; None where it was not written.
        probabilities: float64 `[n, k]`, rows in the order of `Truth.images`.
    """

    cell: str
    kind: str
    alpha: float | None
    amount: int
    seed: int
    steps: int
    train_images: int
    probabilities: np.ndarray
    share: float | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image (the first one of equals), int64 `[n]`."""
        return self.probabilities.argmax(axis=1)

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.probabilities).all())


def further_sets(directory: Path | str) -> list[str]:
    """The test sets beside the usual one, by name."""
    names = sorted(path.parent.name for path in (Path(directory) / SETS).glob("*/truth.csv"))
    return [name for name in names if name != VALIDATION]


def has_validation(directory: Path | str) -> bool:
    """Whether the artifact holds predictions for the validation images."""
    return (Path(directory) / SETS / VALIDATION / "truth.csv").is_file()


def read(directory: Path | str, name: str = "") -> tuple[Truth, list[Classifier]]:
    """Reads `cells.csv`, and of the usual test set, or of the further set `name`, the truth and the predictions.

    Rows of a predictions file may stand in any order and may include images that `truth.csv` lacks. Raises `UsageError`
    when a file or a column is missing, an image has no prediction or two, or a label has no column.
    """
    directory = Path(directory)
    cells = _table(directory / "cells.csv", _CELL_COLUMNS)
    directory = directory / SETS / name if name else directory
    truth = _table(directory / "truth.csv", ("image", "label", "lesion_id"))
    if truth.empty or cells.empty:
        raise UsageError(f"{directory}: truth.csv or cells.csv has no rows; nothing to evaluate")
    images = tuple(truth["image"])
    if len(set(images)) != len(images):
        raise UsageError(f"{directory / 'truth.csv'}: an image stands in it twice; make the predictions again")
    if cells.duplicated(["cell", "seed"]).any():
        twice = cells[cells.duplicated(["cell", "seed"])].iloc[0]
        raise UsageError(
            f"{directory}: cell {twice['cell']!r} seed {twice['seed']} is listed twice in cells.csv; keep one"
        )
    classes: tuple[str, ...] = ()
    classifiers = []
    for row in cells.to_dict("records"):
        path = directory / row["file"]
        table = _table(path, ("image",))
        columns = tuple(c for c in table.columns if c != "image")
        classes = classes or columns
        if set(columns) != set(classes):
            raise UsageError(f"{path}: its classes are {', '.join(columns)}, the first file's {', '.join(classes)}")
        classifiers.append(_classifier(row, _aligned(table, images, classes, path), path))
    unknown = sorted(set(truth["label"]) - set(classes))
    if unknown:
        raise UsageError(f"{directory / 'truth.csv'}: label {unknown[0]!r} has no column in the predictions")
    labels = np.array([classes.index(label) for label in truth["label"]], dtype=np.int64)
    return Truth(images, labels, lesion_numbers(truth["lesion_id"], images), classes), classifiers


def lesion_numbers(lesion_ids: Sequence[str], images: Sequence[str]) -> np.ndarray:
    """Lesions counted from 0, int64 `[n]`: the same number for the same id; an image without one ("") is a lesion of
    its own."""
    # The tuple keeps lesion ids and image ids apart.
    keys = [
        ("lesion", lesion) if lesion else ("image", image) for lesion, image in zip(lesion_ids, images, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def submission(ids: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> str:
    """Probabilities `[n, k]` as a CSV in the form of ISIC's submissions: the image, then one column per class."""
    table = pd.DataFrame(probabilities, columns=list(classes))
    table.insert(0, "image", list(ids))
    return as_csv(table, float_format="%.7g")


def _table(path: Path, columns) -> pd.DataFrame:
    """A CSV file as strings (so that a class called NA stays a name)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing; it is written by the step that trains the classifiers") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no readable CSV file: {error}") from None
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise UsageError(f"{path} has no column {missing[0]!r}; it has {', '.join(table.columns)}")
    return table


def _aligned(table: pd.DataFrame, images, classes, path: Path) -> np.ndarray:
    table = table.set_index("image")
    if not table.index.is_unique:
        raise UsageError(f"{path}: image {table.index[table.index.duplicated()][0]!r} stands in it twice")
    lost = set(images) - set(table.index)
    if lost:
        raise UsageError(
            f"{path}: no prediction for {len(lost)} of {len(images)} test images, {min(lost)!r} among them"
        )
    # An empty field is a missing number: not finite, like the `nan` of a diverged training.
    values = table.loc[list(images), list(classes)].replace("", "nan")
    try:
        return values.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise UsageError(f"{path}: a probability is not a number: {error}") from None


def _classifier(row: Mapping[str, str], probabilities: np.ndarray, path: Path) -> Classifier:
    try:
        return Classifier(
            cell=row["cell"],
            kind=row["kind"],
            alpha=float(row["alpha"]) if row["alpha"] else None,
            amount=int(float(row["amount"] or 0)),
            seed=int(float(row["seed"])),
            steps=int(float(row["steps"] or 0)),
            train_images=int(float(row["train_images"] or 0)),
            probabilities=probabilities,
            share=float(row["share"]) if row.get("share") else None,
        )
    except ValueError as error:
        raise UsageError(f"{path}: cell {row['cell']!r}: {error}") from None
