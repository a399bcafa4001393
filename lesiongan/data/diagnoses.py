"""Tables with a diagnosis in words: HAM10000's own CSV, the ISIC Archive's metadata.csv, a plain (image, label) list.

Diagnoses become classes by a mapping, `diagnoses.csv` (diagnosis, class), which a user can replace. Of the Archive's
levels `diagnosis_1` (Malignant) to `diagnosis_5` the most specific one in the mapping counts. Where none of a file's
diagnoses is in the package's mapping, they are the classes themselves.
"""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.data import csv_files, label_tables
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.taxonomy import Taxonomy

#: The mapping that comes with the package.
TABLE = Path(__file__).with_name("diagnoses.csv")
_COLUMNS = label_tables.DIAGNOSIS_COLUMNS


def find(path: Path) -> Path | None:
    """The CSV of diagnoses that `path` is, or the one in the folder `path`; None where no CSV looks like one.

    Raises:
        UsageError: several look like one.
    """
    if path.is_file():
        return path if csv_files.is_table_name(path.name) and _has_diagnosis(path) else None
    tables = [table for table in csv_files.tables_in(path) if _has_diagnosis(table)]
    if len(tables) > 1:  # a public collection's test set beside it
        tables = [table for table in tables if "test" not in table.name.lower()] or tables
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise UsageError(f"{path}: several files look like tables of diagnoses ({names}); give one of them as the data")
    return tables[0] if tables else None


def read(path: Path, mapping: str, anomalies: list[Anomaly]) -> tuple[Taxonomy, pd.DataFrame]:
    """Reads a table with a diagnosis per row; returns what `label_tables.read_ground_truth` does.

    Args:
        path: the CSV: an image column, and one or more of `diagnosis_1` to `diagnosis_5`, `diagnosis`, `dx`, `label`,
            `class`.
        mapping: the CSV (diagnosis, class) that gives the class of each diagnosis; "" takes the package's.

    Raises:
        UsageError: no image column, no usable row, or fewer than two classes.
    """
    known = read_table(Path(mapping) if mapping else TABLE)
    frame = csv_files.read_csv(path, anomalies)
    rows = label_tables.labelled_rows(path, frame)
    by_name = {name.lower(): name for name in frame.columns}
    columns = [frame[by_name[name]] for name in _COLUMNS if name in by_name]
    words = [column.str.lower().str.split().str.join(" ") for column in columns]
    class_names = np.full(len(frame), "", object)
    for column in words:
        class_names = np.where(class_names == "", column.map(known).fillna(""), class_names)
    if (class_names == "").all() and not mapping:
        shown = [frame[by_name[name]] for name in _COLUMNS if name in by_name]
        class_names = shown[0].mask(shown[0].map(csv_files.is_missing), "").to_numpy()
    stated = [column.mask(column.map(csv_files.is_missing), "") for column in words]
    specific = [_most_specific(values) for values in zip(*stated, strict=True)]
    rows["why"] = [
        rows_why or ("" if name else f"diagnosis {word!r} is not in the table of diagnoses" if word else "no diagnosis")
        for rows_why, name, word in zip(rows["why"], class_names, specific, strict=True)
    ]
    classes = list(label_tables.taxonomy_of(sorted(set(class_names) - {""})).classes)
    rows["label"] = [classes.index(name) if name else -1 for name in class_names]
    taxonomy, rows = label_tables.used_rows(path, rows, classes, anomalies)
    if len(taxonomy) < 2:
        counts = collections.Counter(specific).most_common(5)
        seen = ", ".join(f"{word or 'empty'} ({count})" for word, count in counts)
        raise UsageError(
            f"{path}: fewer than two classes among its diagnoses ({seen}); "
            f"name them in a CSV of diagnosis,class with --set data.diagnoses=FILE"
        )
    return taxonomy, rows


def read_table(path: Path) -> dict[str, str]:
    """A CSV of diagnosis, class as a dict: diagnosis (lower case) -> class.

    Raises:
        UsageError: the file cannot be read, or has no columns diagnosis and class.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; give a CSV of diagnosis,class")
    frame = csv_files.read_csv(path, [])
    if not {"diagnosis", "class"} <= set(frame.columns):
        raise UsageError(f"{path}: a table of diagnoses has the columns diagnosis and class")
    words = frame["diagnosis"].str.lower().str.split().str.join(" ")
    return {word: name for word, name in zip(words, frame["class"], strict=True) if word and name}


def _most_specific(values: tuple[str, ...]) -> str:
    return next((value for value in values if value), "")


def _has_diagnosis(path: Path) -> bool:
    """Whether a CSV has an image column and a diagnosis."""
    frame = csv_files.read_csv(path, [], limit=1)
    return csv_files.image_column(frame) is not None and any(name.lower() in _COLUMNS for name in frame.columns)
