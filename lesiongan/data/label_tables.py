"""The tables of a data set: which file is which, and what its rows say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.data.csv_files import (
    SPREADSHEETS,
    Anomaly,
    as_numbers,
    column_names,
    image_column,
    is_one_hot,
    is_table_name,
    read_csv,
    relative_path,
    stated,
    tables_in,
)
from lesiongan.data.splits import NAMES, RULES, SPLITS
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy

#: The metadata columns of `Source.rows`.
METADATA = ("lesion_id", "patient_id", "age_approx", "sex", "anatom_site_general")
UNKNOWN = "UNK"

#: HAM10000's names of some of them.
_METADATA_ALIASES = {
    **{"age": "age_approx", "age_approximate": "age_approx", "gender": "sex"},
    **{"localization": "anatom_site_general", "region": "anatom_site_general", "site": "anatom_site_general"},
    "anatom_site_general_challenge": "anatom_site_general",
}
#: One-hot columns whose rows of zeros are a class of their own: ISIC 2017's two binary questions leave the nevi.
_REST_IS = {frozenset({"MEL", "BKL"}): "NV"}
#: Columns of the public collections' tables that are neither classes nor used.
_OTHER_COLUMNS = frozenset(
    {"attribution", "copyright_license", "image_type", "diagnosis_confirm_type", "fitzpatrick_skin_type"}
    | {"score_weight", "validation_weight", "dataset", "dx_type", "diagnosis confirm type", "skin_tone_class"}
    | {"capture_date", "split", "manipulation", "melanocytic", "mel_class", "mel_mitotic_index", "mel_thick_mm"}
)
#: Columns that may hold a diagnosis in words, the one that counts first.
DIAGNOSIS_COLUMNS = (
    *(f"diagnosis_{level}" for level in (5, 4, 3, 2, 1)),
    *("diagnosis", "diagnostic", "dx", "label", "class"),
)
#: Other names of the eight diagnoses (lower case, single spaces).
_ALIASES = (
    {abbreviation.lower(): abbreviation for abbreviation in ISIC_2019.classes}
    | {name: abbreviation for abbreviation, name in zip(ISIC_2019.classes, ISIC_2019.names, strict=True)}
    | {"akiec": "AK", "nevus": "NV", "naevus": "NV", "nevi": "NV", "melanocytic naevus": "NV"}
    | {"seborrheic keratosis": "BKL"}
)


def class_of(name: str) -> str:
    """The abbreviation for a column or folder that names one of ISIC 2019's diagnoses; any other name as it is."""
    return _ALIASES.get(re.sub(r"[\s_-]+", " ", name).strip().lower(), name)


def taxonomy_of(classes: list[str]) -> Taxonomy:
    """ISIC 2019's own order where all classes are its own, the given order for any others."""
    if set(classes) <= set(ISIC_2019.classes):
        return Taxonomy.of([name for name in ISIC_2019.classes if name in classes])
    return Taxonomy.of(classes)


def find_ground_truth(path: Path) -> Path | None:
    """The one-hot CSV that `path` is, or that is in the folder `path`; None where no CSV looks like one.

    A subfolder named ...GroundTruth is searched too: ISIC's zip files unpack to one.

    Raises:
        UsageError: several look like one.
    """
    if path.is_file():
        if path.suffix.lower() in SPREADSHEETS:
            raise UsageError(f"{path}: a spreadsheet, not text; save the sheet as CSV and give that")
        if not is_table_name(path.name):
            raise UsageError(f"{path}: give the folder of the data, or its ground-truth CSV")
        return path
    tables = _named(path, "groundtruth")
    if not tables:
        inner = [
            folder for folder in path.iterdir() if folder.is_dir() and _simple(folder.name).endswith("groundtruth")
        ]
        tables = [table for folder in sorted(inner) for table in _named(folder, "groundtruth")]
    if len(tables) > 1:
        tables = [table for table in tables if "train" in table.name.lower()] or tables
    if not tables:
        tables = [table for table in tables_in(path) if looks_one_hot(table)]
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise UsageError(f"{path}: several files look like the ground truth ({names}); give one of them as the data")
    return tables[0] if tables else None


def find_metadata(table: Path, root: Path, anomalies: list[Anomaly]) -> Path | None:
    """The metadata CSV (ISIC 2018: LesionGroupings) beside a ground-truth CSV or in `root`; of several, the one whose
    name begins the same.

    Args:
        anomalies: takes the copies of it, such as a browser's `(1)`.

    Raises:
        UsageError: several that differ: lesion ids decide the split, so that none may be taken by chance.
    """
    folders = dict.fromkeys((table.parent, root))
    words = ("metadata", "lesiongroupings")
    candidates = [path for folder in folders for word in words for path in _named(folder, word) if path != table]
    begin = re.split("ground", table.name, flags=re.IGNORECASE)[0]
    candidates = [path for path in candidates if path.name.startswith(begin)] or candidates
    if not candidates:
        return None
    first, *others = sorted(candidates, key=lambda path: (len(path.name), path.name))
    for other in others:
        if other.read_bytes() != first.read_bytes():
            raise UsageError(
                f"{root}: several tables of metadata fit, and they differ ({first.name}, {other.name}); lesion ids "
                "decide the split, so leave only the right one there"
            )
        anomalies.append(Anomaly(other.name, ".", f"a copy of the metadata in {first.name}"))
    return first


def read_ground_truth(
    path: Path, anomalies: list[Anomaly], metadata: Path | None = None
) -> tuple[Taxonomy, pd.DataFrame]:
    """Reads a one-hot CSV.

    Args:
        metadata: the table that says which images a lesion has, where the labels are those of lesions (MILK10k).

    Returns:
        The classes that have rows, and the rows with exactly one class: image_id, label, path (the id as a relative
        path without suffix, to look the picture up by) and whatever columns of `METADATA` the CSV has.

    Raises:
        UsageError: no image column, an unknown column, no classes or no rows.
    """
    frame = read_csv(path, anomalies)
    if image_column(frame) is None and metadata is not None:
        frame = _per_image(frame, path, metadata, anomalies)
    rows = labelled_rows(path, frame)
    columns: dict[str, str] = {}
    unknown: str | None = None
    known = {image_column(frame), "line", *_metadata_columns(frame).values()}
    for name in frame.columns:
        if name in known or name.lower() in _OTHER_COLUMNS:
            continue
        if (frame[name] == "").all():
            anomalies.append(Anomaly(name, path.name, "the column is empty"))
            continue
        if not is_one_hot(frame[name]):
            raise UsageError(
                f"{path}: column {name!r} is neither a class (0 and 1, one column per class) nor known metadata; "
                f"remove it"
            )
        if name.upper() == UNKNOWN:
            unknown = name
        elif class_of(name) in columns:
            raise UsageError(f"{path}: columns {columns[class_of(name)]!r} and {name!r} are one class; merge them")
        else:
            columns[class_of(name)] = name
    if len(columns) < 2:
        raise UsageError(
            f"{path}: fewer than two class columns with 0 and 1 (found: {column_names(frame)}); it is no one-hot CSV"
        )
    names = [*columns.values(), *([unknown] if unknown else [])]
    # a blank stands for 0, as tables made by hand have it; a row of blanks has no class
    ones = np.stack([np.where(frame[name] == "", 0.0, as_numbers(frame[name])) for name in names], axis=1)
    rest = _REST_IS.get(frozenset(columns))
    if rest is not None:
        columns[rest] = rest
        ones = np.concatenate([ones, (ones.sum(axis=1, keepdims=True) == 0).astype(float)], axis=1)
    rows["label"] = ones.argmax(axis=1)
    rows["why"] = [why or fault for why, fault in zip(rows["why"], _row_faults(ones, unknown is not None), strict=True)]
    taxonomy, rows = used_rows(path, rows, list(columns), anomalies)
    used_classes = set(taxonomy.classes)
    anomalies += [Anomaly(name, path.name, "the class has no rows") for name in columns if name not in used_classes]
    return taxonomy, rows


def _per_image(frame: pd.DataFrame, path: Path, metadata: Path, anomalies: list[Anomaly]) -> pd.DataFrame:
    """Labels of lesions as labels of their dermoscopic images."""
    images = read_csv(metadata, anomalies)
    image, lesion = image_column(images), {name.lower(): name for name in images.columns}.get("lesion_id")
    if image is None or lesion is None or "lesion_id" not in frame:
        return frame  # the missing image column is named there
    images = images.rename(columns={image: "image", lesion: "lesion_id"})
    if "image_type" in images:
        clinical = ~images["image_type"].str.lower().str.contains("dermosc|dermatosc")
        anomalies += [
            Anomaly(name, metadata.name, "a clinical picture; only dermoscopic ones are read")
            for name in images["image"][clinical]
        ]
        images = images[~clinical]
    return images[["image", "lesion_id"]].merge(frame.drop_duplicates("lesion_id"), on="lesion_id")


def labelled_rows(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """What every kind of table begins with: path and image_id, the columns of `METADATA` that are there, what (the id
    as it stands), line, and why ("" or the fault of the id)."""
    image = image_column(frame)
    if image is None:
        raise UsageError(
            f"{path}: no image column; name the column of the image ids `image` (found: {column_names(frame)})"
        )
    rows = pd.DataFrame({"path": [relative_path(value) for value in frame[image]]}, dtype=object)
    rows["image_id"] = rows["path"].str.replace("/", "_")
    for column, name in _metadata_columns(frame).items():
        rows[column] = stated(frame[name])
    rows["what"], rows["line"] = frame[image], frame["line"]
    rows["why"] = np.where(rows["path"] == "", "the id is empty or leads out of the folder", "")
    return rows


def used_rows(
    path: Path, rows: pd.DataFrame, classes: list[str], anomalies: list[Anomaly]
) -> tuple[Taxonomy, pd.DataFrame]:
    """The rows without a fault, with labels in the taxonomy of the classes that have rows; the others are anomalies.

    Raises:
        UsageError: there is no usable row.
    """
    _drop_duplicates(rows)
    bad = rows[rows["why"] != ""]
    anomalies += [
        Anomaly(what, f"{path.name} line {line}", why)
        for what, line, why in zip(bad["what"], bad["line"], bad["why"], strict=True)
    ]
    rows = rows[rows["why"] == ""].drop(columns=["why", "what", "line"])
    if rows.empty:
        faults = "; ".join(dict.fromkeys(bad["why"].head(20)))
        raise UsageError(
            f"{path}: it has no usable row ({len(bad)} were refused: {faults[:200]}); a row is an id and one class"
        )
    taxonomy = taxonomy_of([classes[label] for label in sorted(set(rows["label"]))])
    rows["label"] = rows["label"].map({i: taxonomy.index(classes[i]) for i in set(rows["label"])}).astype(np.int64)
    return taxonomy, rows.reset_index(drop=True)


def add_metadata(rows: pd.DataFrame, path: Path | None, anomalies: list[Anomaly]) -> pd.DataFrame:
    """Joins the columns of `METADATA` in a metadata CSV to the rows, by image id; the first of several rows counts."""
    if path is None:
        return rows
    frame = read_csv(path, anomalies)
    image = image_column(frame)
    if image is None:
        raise UsageError(
            f"{path}: no image column; name the column of the image ids `image` (found: {column_names(frame)})"
        )
    ids = pd.Series([relative_path(value).replace("/", "_") for value in frame[image]], dtype=object)
    again = ids.duplicated()
    anomalies += [
        Anomaly(what, f"{path.name} line {line}", "metadata for the same image again")
        for what, line in zip(ids[again], frame["line"][again], strict=True)
    ]
    matched = int(rows["image_id"].isin(ids).sum())
    if not matched:
        raise UsageError(
            f"{path}: none of its {len(ids)} ids is one of the labelled images (it has "
            f"{ids.iloc[0] if len(ids) else 'none'}, the labels {rows['image_id'].iloc[0]}); give the metadata of "
            "these images, or move the table away"
        )
    if matched < len(rows):
        anomalies.append(Anomaly(f"{len(rows) - matched} images", path.name, "an image without metadata"))
    new_columns = {column: name for column, name in _metadata_columns(frame).items() if column not in rows}
    known = {column: stated(frame[name]) for column, name in new_columns.items()}
    table = pd.DataFrame(known, index=frame.index).assign(image_id=ids.to_numpy())[~again.to_numpy()]
    return rows.merge(table, on="image_id", how="left", validate="one_to_one")


def read_split(path: Path, anomalies: list[Anomaly]) -> dict[str, str]:
    """A CSV of image and split -> image id -> train, validation or test.

    Raises:
        UsageError: the file cannot be read, lacks a column, or holds an unknown side or an id on two sides.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; data.split is {', '.join(RULES)} or a CSV of image, split")
    frame = read_csv(path, anomalies)
    image = image_column(frame)
    split = {name.lower(): name for name in frame.columns}.get("split")
    if image is None or split is None:
        raise UsageError(f"{path}: a split has the columns image and split (found: {column_names(frame)})")
    sides: dict[str, str] = {}
    for value, side, line in zip(frame[image], frame[split], frame["line"], strict=True):
        image_id = relative_path(value).replace("/", "_")
        if side.lower() not in NAMES:
            raise UsageError(f"{path} line {line}: {side!r} is none of {', '.join(SPLITS)}")
        if not image_id:
            anomalies.append(Anomaly(value, f"{path.name} line {line}", "the id is empty or leads out of the folder"))
        elif sides.setdefault(image_id, NAMES[side.lower()]) != NAMES[side.lower()]:
            raise UsageError(f"{path} line {line}: {value} is on two sides; name each image once")
    return sides


def _row_faults(ones: np.ndarray, has_unknown: bool) -> list[str]:
    strange, sums = ~np.isin(ones, (0, 1)).all(axis=1), ones.sum(axis=1)
    unknown = ones[:, -1] == 1 if has_unknown else np.zeros(len(ones), bool)
    faults = np.where(unknown, f"class {UNKNOWN}", "").astype(object)
    faults = np.where(sums == 1, faults, [f"{number:.0f} classes are 1" for number in sums])
    return np.where(strange, "a class value is neither 0 nor 1", faults).tolist()


def _drop_duplicates(rows: pd.DataFrame) -> None:
    """Marks in `why` the repetitions of an id, and every row of an id that has different classes."""
    good = rows[rows["why"] == ""]
    conflicting = good.groupby("image_id")["label"].transform("nunique") > 1
    rows.loc[good.index[conflicting], "why"] = "the same id with different classes"
    good = good[~conflicting]
    rows.loc[good.index[good["image_id"].duplicated()], "why"] = "the same id again"


def looks_one_hot(path: Path) -> bool:
    """Whether the first rows of a CSV are one-hot."""
    frame = read_csv(path, [], limit=1000)
    image = image_column(frame)
    if image is None:
        return False
    known = {image, "line", *METADATA, *_METADATA_ALIASES, *_OTHER_COLUMNS}
    names = [name for name in frame.columns if name.lower() not in known and is_one_hot(frame[name])]
    if any(name.lower() in DIAGNOSIS_COLUMNS for name in frame.columns):  # PAD-UFES-20 has smoke, itch, biopsed, ...
        names = [name for name in names if class_of(name) in ISIC_2019.classes]
    return len(names) >= 2


def _metadata_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Column of `METADATA` -> the name that it has in a table."""
    names = {name.lower(): name for name in reversed(frame.columns)}
    columns = {alias: names[name] for name, alias in _METADATA_ALIASES.items() if name in names}
    return columns | {column: names[column] for column in METADATA if column in names}


def _named(folder: Path, word: str) -> list[Path]:
    return [path for path in tables_in(folder) if word in _simple(path.name)]


def _simple(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())
