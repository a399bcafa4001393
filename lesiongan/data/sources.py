"""Where images come from: finds out what a folder is, reads its tables and hands out its files' bytes.

Another kind of data set is a class with `name`, `matches` and `open`, put into `KINDS`.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.base.shown import one_line
from lesiongan.config.data import DataConfig
from lesiongan.data import class_folders, csv_files, diagnoses, label_tables, locations, splits
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.generated_folder import SHEET, is_generated
from lesiongan.data.label_tables import METADATA
from lesiongan.data.readers import FileReader, PhantomReader, Reader
from lesiongan.data.taxonomy import Taxonomy

#: The word given in place of a path for drawn lesions.
PHANTOMS = "phantoms"
_SPLIT_FOLDERS = frozenset(splits.NAMES)


@dataclasses.dataclass(frozen=True)
class Source:
    """A collection of labelled images.

    Attributes:
        kind: the name of the layout it was read from.
        taxonomy: its classes.
        origin: `real` for photographs, `phantom` for drawn pictures, `generated` for a generator's.
        rows: one row per labelled image, in the table's order: image_id, label (int), lesion_id, patient_id, age_approx
            (float), sex, anatom_site_general ("" or NaN where unknown) and location (for `read`; "" where the image is
            missing).
        anomalies: every row and file that is not used, and why.
        reader: reads the pictures.
        refused: of each row of the table of labels that is not used, why.
    """

    kind: str
    taxonomy: Taxonomy
    origin: Literal["real", "phantom", "generated"]
    rows: pd.DataFrame
    anomalies: tuple[Anomaly, ...]
    reader: Reader
    refused: tuple[str, ...] = ()

    def read(self, location: str) -> bytes | np.ndarray:
        return self.reader.read(location)


class SourceKind(Protocol):
    """A layout of data sets."""

    name: str

    def matches(self, data: str) -> bool: ...

    def open(self, data: str, config: DataConfig, seed: int) -> Source: ...


def open_source(data: str, config: DataConfig, seed: int) -> Source:
    """Finds out which kind of source `data` (a folder, a ground-truth CSV, or `phantoms`) is, and reads its tables.

    Raises:
        UsageError: there is no such path, it is no known layout, its table cannot be understood, or most images are
            missing.
    """
    check_exists(data)
    names = [kind.name for kind in KINDS]
    if config.kind and config.kind not in names:
        raise UsageError(f"option 'data.kind': {config.kind!r} is none of {', '.join(names)}")
    for kind in KINDS:
        if config.kind in ("", kind.name) and kind.matches(data):
            return kind.open(data, config, seed)
    if config.kind:
        raise UsageError(f"{data}: it is no source of the kind {config.kind}; leave data.kind out to have it found")
    for path in sorted(Path(data).iterdir()) if Path(data).is_dir() else []:
        if path.suffix.lower() in csv_files.SPREADSHEETS and not csv_files.is_left_behind(path.name):
            raise UsageError(f"{path}: a spreadsheet; save it as CSV beside the pictures")
    raise UsageError(
        f"{data}: no ground-truth CSV (columns image, MEL, NV, ... with 0 and 1), no CSV of image and diagnosis, "
        f"and no two folders of pictures named by class; give a folder with one of them"
    )


def further_tests(data: str, config: DataConfig) -> dict[str, str]:
    """Test sets beside the usual one: the name of the split -> the path of the source.

    They are those of `config.further_tests`, and the official test set beside an official training set of the ISIC
    challenges, where its ground truth and its pictures are present. Of half a download of them the source's anomalies
    tell.

    Raises:
        UsageError: two of them would have one name.
    """
    paths = list(config.further_tests)
    if data != PHANTOMS and Path(data).is_dir():
        table = ISICChallenge().find(data)
        official = table and table.with_name(table.name.replace("_Training_", "_Test_"))
        if official and official != table and official.is_file():
            folder = ISICChallenge.input_of(official, Path(data))
            if folder and (folder.is_dir() or not locations.fault_of_zip(folder.with_suffix(".zip"))):
                paths.append(str(official))
    tests: dict[str, str] = {}
    for path in paths:
        check_exists(path)
        stem = Path(path).resolve().stem.removesuffix("_GroundTruth")
        name = re.sub(r"\W+", "_", stem).strip("_").lower() or "further"
        name = name if "test" in name else f"{name}_test"
        name = f"further_{name}" if name in splits.SPLITS else name
        if name in tests:
            raise UsageError(f"{path}: another test set is called {name!r} too; rename one of the folders")
        tests[name] = path
    return tests


def source_name(data: str, source: Source) -> str:
    """What a source is called in records and reports."""
    return source.kind if source.origin == "phantom" else one_line(Path(data).resolve().name)


def check_exists(data: str) -> None:
    """Raises `UsageError` where `data` is neither a path that is there nor `phantoms`."""
    if data != PHANTOMS and not Path(data).exists():
        raise UsageError(f"{data}: there is no such file or folder; give a folder of images, or the word {PHANTOMS}")


class Phantoms:
    """Drawn lesions instead of photographs."""

    name = PHANTOMS

    def matches(self, data: str) -> bool:
        return data == PHANTOMS

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        from lesiongan.data import phantoms

        rows = phantoms.table(config.phantoms, seed)
        taxonomy = label_tables.taxonomy_of(list(dict.fromkeys(rows["label"])))
        seeds = zip(rows["label"], rows["lesion_seed"], rows["view_seed"], strict=True)
        places = [f"{label}/{lesion}/{view}" for label, lesion, view in seeds]
        labels = [taxonomy.index(label) for label in rows["label"]]
        rows = rows.assign(label=np.array(labels, np.int64), location=places)
        return Source(self.name, taxonomy, "phantom", _complete(rows), (), PhantomReader(config.phantom_size))


class OneHotTable:
    """A one-hot CSV in ISIC's columns beside pictures, whatever the files and folders are called."""

    name = "one_hot_csv"

    def find(self, data: str) -> Path | None:
        """The table of labels, where this kind of source has one."""
        table = label_tables.find_ground_truth(Path(data))
        # What is neither one-hot nor a table of diagnoses is read as one-hot, which says what is wrong with it.
        if table is not None and not label_tables.looks_one_hot(table) and diagnoses.find(table):
            return None
        return table

    def matches(self, data: str) -> bool:
        return self.find(data) is not None

    def read(
        self, table: Path, metadata: Path | None, config: DataConfig, anomalies: list[Anomaly]
    ) -> tuple[Taxonomy, pd.DataFrame]:
        """The classes and the labelled rows."""
        return label_tables.read_ground_truth(table, anomalies, metadata)

    def pictures(self, root: Path, table: Path, anomalies: list[Anomaly]) -> list[str]:
        """The locations of the pictures that may belong to the table."""
        archives = locations.files_in(root, ".zip")
        return locations.walk(root, anomalies) + locations.in_archives(root, archives, anomalies)

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        table = self.find(data)
        assert table is not None  # `matches` is asked first
        root = Path(data) if Path(data).is_dir() else table.parent
        anomalies: list[Anomaly] = []
        metadata = label_tables.find_metadata(table, root, anomalies)
        before = len(anomalies)
        taxonomy, rows = self.read(table, metadata, config, anomalies)
        refused_rows = [anomaly for anomaly in anomalies[before:] if f"{table.name} line " in anomaly.where]
        refused = {csv_files.without_suffix(anomaly.what) for anomaly in anomalies}
        rows = label_tables.add_metadata(rows, metadata, anomalies)
        origin: Literal["real", "generated"] = "generated" if is_generated(root) else "real"
        pictures = [p for p in self.pictures(root, table, anomalies) if origin == "real" or p != SHEET]
        rows["location"], unused = locations.match(rows.pop("path").tolist(), pictures)
        _check_missing(table, rows, len(pictures), anomalies, config)
        missing = rows.loc[rows["location"] == "", "image_id"]
        anomalies += [Anomaly(image_id, table.name, "the row has no image") for image_id in missing]
        for name, why in unused:
            known = locations.stem(name) in refused
            anomalies.append(Anomaly(name, table.name, "its row is not used" if known else why))
        refused_why = tuple(anomaly.why for anomaly in refused_rows)
        reader = FileReader(str(root))
        return Source(self.name, taxonomy, origin, _complete(rows), tuple(anomalies), reader, refused_why)


class DiagnosisTable(OneHotTable):
    """A CSV with a diagnosis in words beside pictures: HAM10000, the ISIC Archive's downloader, a plain list."""

    name = "diagnosis_csv"

    def find(self, data: str) -> Path | None:
        return diagnoses.find(Path(data))

    def read(
        self, table: Path, metadata: Path | None, config: DataConfig, anomalies: list[Anomaly]
    ) -> tuple[Taxonomy, pd.DataFrame]:
        return diagnoses.read(table, config.diagnoses, anomalies)


class ISICChallenge(OneHotTable):
    """The official layout: X_GroundTruth.csv, X_Metadata.csv and X_Input.zip or X_Input/, X being ISIC_2019_Training,
    ISIC_2019_Test or ISIC2018_Task3_Training."""

    name = "isic_challenge"

    @staticmethod
    def input_of(table: Path, root: Path) -> Path | None:
        """The folder of pictures, or what it would be called if there is only its zip; None where neither is there."""
        for folder in dict.fromkeys((table.parent, root)):
            name = folder / table.name.replace("GroundTruth.csv", "Input")
            if name.is_dir() or name.with_suffix(".zip").is_file():
                return name
        return None

    def find(self, data: str) -> Path | None:
        table = label_tables.find_ground_truth(Path(data))
        if table is None or not table.name.endswith("_GroundTruth.csv"):
            return None
        root = Path(data) if Path(data).is_dir() else table.parent
        return table if self.input_of(table, root) else None

    def pictures(self, root: Path, table: Path, anomalies: list[Anomaly]) -> list[str]:
        folder = self.input_of(table, root)
        assert folder is not None  # `find` gives no table without one
        below = folder.relative_to(root).as_posix()
        paths = locations.walk(root, anomalies, below=below) if folder.is_dir() else []
        archive = folder.with_suffix(".zip")
        if archive.is_file():
            unpacked = {locations.stem(name) for name in paths}
            entries = locations.in_archives(root, [archive], anomalies)
            paths += [name for name in entries if locations.stem(name) not in unpacked]
        for other in locations.files_in(root, ".zip"):
            fault = "" if other == archive else locations.fault_of_zip(other)
            if fault:
                anomalies.append(Anomaly(other.name, ".", fault))
        return paths


class ClassFolders:
    """One folder of pictures for each class, named by abbreviation or name."""

    name = "class_folders"

    def matches(self, data: str) -> bool:
        if not Path(data).is_dir():
            return False
        return len({name.split("/")[0] for name in locations.walk(Path(data), []) if "/" in name}) > 1

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        root = Path(data)
        if not config.kind:
            class_folders.check_no_table(root)
        anomalies: list[Anomaly] = []
        members: dict[str, list[str]] = collections.defaultdict(list)
        for name in locations.walk(root, anomalies):
            folder, separator, _ = name.partition("/")
            if separator:
                members[folder].append(name)
            else:
                anomalies.append(Anomaly(name, ".", "the picture is in no class's folder"))
        if {folder.lower() for folder in members} <= _SPLIT_FOLDERS:
            raise UsageError(f"{data}: its folders {', '.join(members)} are a split, not classes; give one of them")
        if not config.kind:
            class_folders.check_classes(data, list(members))
        folders = (path.name for path in root.iterdir() if path.is_dir())
        for folder in sorted(name for name in folders if not csv_files.is_left_behind(name)):
            if folder not in members:
                anomalies.append(Anomaly(folder, ".", "the folder has no pictures"))
        taxonomy = label_tables.taxonomy_of(list(dict.fromkeys(map(label_tables.class_of, members))))
        once = collections.Counter(locations.stem(name) for names in members.values() for name in names)
        records = []
        for folder, names in members.items():
            label = taxonomy.index(label_tables.class_of(folder))
            for name in names:
                image_id = locations.stem(name)
                if once[image_id] > 1:  # 1.jpg in each folder, or x.jpg beside x.png
                    image_id = name.replace("/", "_")
                records.append({"image_id": image_id, "label": label, "location": name})
        rows = pd.DataFrame(records)
        return Source(self.name, taxonomy, "real", _complete(rows), tuple(anomalies), FileReader(str(root)))


#: Asked in this order.
KINDS: tuple[SourceKind, ...] = (Phantoms(), ISICChallenge(), OneHotTable(), DiagnosisTable(), ClassFolders())


def _check_missing(
    table: Path, rows: pd.DataFrame, pictures: int, anomalies: Sequence[Anomaly], config: DataConfig
) -> None:
    missing = int((rows["location"] == "").sum())
    links = sum("link" in anomaly.why for anomaly in anomalies)
    hint = f" ({links} symbolic links were not followed)" if links else ""
    hint += "".join(f" ({anomaly.why})" for anomaly in anomalies if "the zip file cannot be read" in anomaly.why)
    if missing == len(rows):
        raise UsageError(
            f"{table}: not one of its {len(rows)} rows has its image among the {pictures} pictures in "
            f"{table.parent}{hint}; put the images beside the CSV, named by its ids"
        )
    if missing > len(rows) / 2 and not config.allow_missing:
        raise UsageError(
            f"{table}: {missing} of its {len(rows)} rows have no image in {table.parent}{hint}; complete the images, "
            f"or allow it with --allow-missing"
        )


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `Source.rows`, with "" or NaN where a source does not have one."""
    rows = rows.copy()
    for column in METADATA:
        if column not in rows:
            rows[column] = ""
        if column != "age_approx":
            rows[column] = rows[column].fillna("").astype(str)
    rows["age_approx"] = pd.to_numeric(rows["age_approx"], errors="coerce").astype(float)
    return rows[["image_id", "label", *METADATA, "location"]].reset_index(drop=True)
