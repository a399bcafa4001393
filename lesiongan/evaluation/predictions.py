"""The predictions artifact: what each classifier of a grid said of each test image, in ISIC's submission form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.errors import UsageError

BASELINE = "baseline"  # the kind of the row that every other one is compared with
CONTROL = "control"  # the kind of rows that are compared, but counted apart from an experiment's cells
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


@dataclasses.dataclass(frozen=True)
class Classifier:
    """One trained classifier: its cell of the grid, its seed, and what it said.

    Attributes:
        cell: the cell's name, the same for every seed.
        kind: `baseline`, `control`, or where the added images come from (`acgan`, `cyclegan`, ...).
        alpha: the share that the Path-Rank-Filter kept, None where there is none.
        amount: images added to the training set.
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

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image (the first one of equals), int64 `[n]`."""
        return self.probabilities.argmax(axis=1)

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.probabilities).all())


def read(directory: Path | str) -> tuple[Truth, list[Classifier]]:
    """Reads `cells.csv`, `truth.csv` and the predictions that they name.

    Rows of a predictions file may stand in any order and may include images that `truth.csv` lacks. Raises `UsageError`
    when a file or a column is missing, an image has no prediction or two, or a label has no column.
    """
    directory = Path(directory)
    truth = _table(directory / "truth.csv", ("image", "label", "lesion_id"))
    cells = _table(directory / "cells.csv", _CELL_COLUMNS)
    if truth.empty or cells.empty:
        raise UsageError(f"{directory}: truth.csv or cells.csv has no rows; nothing to evaluate")
    images = tuple(truth["image"])
    if len(set(images)) != len(images):
        raise UsageError(f"{directory / 'truth.csv'}: an image stands in it twice; make the predictions again")
    if cells.duplicated(["cell", "seed"]).any():
        twice = cells[cells.duplicated(["cell", "seed"])].iloc[0]
        raise UsageError(
            f"{directory / 'cells.csv'}: cell {twice['cell']!r} seed {twice['seed']} is listed twice; keep one"
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
        classifiers.append(_classifier(row, _aligned(table, images, classes, path), directory / "cells.csv"))
    unknown = sorted(set(truth["label"]) - set(classes))
    if unknown:
        raise UsageError(f"{directory / 'truth.csv'}: label {unknown[0]!r} has no column in the predictions")
    labels = np.array([classes.index(label) for label in truth["label"]], dtype=np.int64)
    # An image without a lesion id gets its own id as one; the tuple keeps the two kinds of id from meeting.
    keys = [
        ("lesion", lesion) if lesion else ("image", image)
        for lesion, image in zip(truth["lesion_id"], images, strict=True)
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    lesions = np.array([numbers[key] for key in keys], dtype=np.int64)
    return Truth(images, labels, lesions, classes), classifiers


def submission(ids: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> str:
    """Probabilities `[n, k]` as a CSV in the form of ISIC's submissions: the image, then one column a class."""
    table = pd.DataFrame(probabilities, columns=list(classes))
    table.insert(0, "image", list(ids))
    return table.to_csv(index=False, float_format="%.7g")


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
    # An empty field is a number that is not there: not finite, as a diverged training's `nan` is.
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
        )
    except ValueError as error:
        raise UsageError(f"{path}: cell {row['cell']!r}: {error}") from None
