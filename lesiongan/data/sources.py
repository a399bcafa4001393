"""Where images come from: finds out what a folder is, reads its tables and hands out its files' bytes.

A source never unpacks an archive and never builds a path from an id: ids are looked up among the files that are there.
Another kind of data set is a class with `name`, `matches` and `open`, put into `KINDS`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import os
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from lesiongan.config import DataConfig
from lesiongan.data import tables
from lesiongan.data.pictures import Unusable
from lesiongan.data.tables import METADATA, Anomaly
from lesiongan.errors import UsageError
from lesiongan.taxonomy import Taxonomy

#: The word given in place of a path for drawn lesions.
PHANTOMS = "phantoms"
_INSIDE = "::"  # archive::entry
_MAX_BYTES = 1 << 30  # of one picture's file


class Reader(Protocol):
    """Reads one picture; small and picklable, for it goes to every worker process."""

    def read(self, location: str) -> bytes | np.ndarray:
        """An encoded file, or uint8 `[h, w, 3]`; raises `Unusable`."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A collection of labelled images.

    Attributes:
        kind: the name of the layout it was read from.
        taxonomy: its classes.
        origin: whether the pictures are photographs or drawn.
        rows: one row a labelled image, in the table's order: image_id, label (int), lesion_id, patient_id, age_approx
            (float), sex, anatom_site_general ("" or NaN where unknown) and location (for `read`; "" where the image is
            not there).
        anomalies: every row and file that is not used, and why.
        reader: reads the pictures.
    """

    kind: str
    taxonomy: Taxonomy
    origin: Literal["real", "phantom"]
    rows: pd.DataFrame
    anomalies: tuple[Anomaly, ...]
    reader: Reader

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
    if data != PHANTOMS and not Path(data).exists():
        raise UsageError(f"{data}: there is no such file or folder; give a folder of images, or the word {PHANTOMS}")
    for kind in KINDS:
        if kind.matches(data):
            return kind.open(data, config, seed)
    raise UsageError(
        f"{data}: no ground-truth CSV (columns image, MEL, NV, ... with 0 and 1) and no two folders of pictures named by "
        f"class; give a folder with one of the two"
    )


def source_fingerprint(data: str, config: DataConfig, seed: int) -> str:
    """A hex digest that changes when the source does, without reading a picture (25,000 files: under a second).

    It holds a zip's central directory (names, sizes, CRCs), a folder's names, sizes and times, and the CSVs' contents;
    for phantoms their number, size and seed and the code that draws them.
    """
    digest = hashlib.sha256()

    def add(*parts) -> None:
        digest.update(repr(parts).encode("utf-8", "surrogateescape") + b"\n")

    if data == PHANTOMS:
        add(PHANTOMS, config.phantoms, config.phantom_size, seed)
        for code in sorted(Path(__file__).parent.glob("phantom*.py")):
            add(code.name, hashlib.sha256(code.read_bytes()).hexdigest())
        return digest.hexdigest()
    path = Path(data)
    if not path.exists():
        raise UsageError(f"{data}: there is no such file or folder; give a folder of images, or the word {PHANTOMS}")
    root = path if path.is_dir() else path.parent
    add(path.name if path.is_file() else "")
    for table in _files(root, ".csv"):
        add(table.name, hashlib.sha256(table.read_bytes()).hexdigest())
    for archive in _files(root, ".zip"):
        for entry in _open_zip(archive).infolist():
            add(archive.name, entry.filename, entry.file_size, entry.CRC)
    for name in _walk(root, []):
        status = os.stat(root / name)
        add(name, status.st_size, status.st_mtime_ns)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class FileReader:
    """Reads files below a folder and entries of the zip files in it (location `archive.zip::entry`)."""

    root: str

    def read(self, location: str) -> bytes:
        name, _, entry = location.rpartition(_INSIDE)
        try:
            status = os.stat(os.path.join(self.root, name or location))
            if not name:
                _check_size(status.st_size)
                return Path(self.root, location).read_bytes()
            archive = _archive(os.path.join(self.root, name), status.st_mtime_ns, status.st_size)
            info = archive.getinfo(entry)
            _check_size(info.file_size)
            return archive.read(info)
        except (Unusable, MemoryError):
            raise
        except OSError as error:
            raise Unusable(f"cannot be read: {error.strerror or error}") from None
        except Exception as error:  # BadZipFile, zlib.error, and whatever the other decompressors raise
            raise Unusable(f"damaged in the archive: {error}") from None


@functools.lru_cache(maxsize=4)
def _archive(path: str, mtime_ns: int, size: int) -> zipfile.ZipFile:
    """An archive kept open; its time and size are part of the key, so that a new file is opened anew."""
    return zipfile.ZipFile(path)


def _check_size(size: int) -> None:
    if size > _MAX_BYTES:
        raise Unusable(f"the file is larger than {_MAX_BYTES >> 30} GB")


@dataclasses.dataclass(frozen=True)
class PhantomReader:
    """Draws a phantom from its location `class/lesion_seed/view_seed`."""

    size: int

    def read(self, location: str) -> np.ndarray:
        from lesiongan.data import phantoms

        abbreviation, lesion_seed, view_seed = location.split("/")
        return phantoms.render(abbreviation, int(lesion_seed), self.size, view_seed=int(view_seed))


class Phantoms:
    """Drawn lesions instead of photographs."""

    name = PHANTOMS

    def matches(self, data: str) -> bool:
        return data == PHANTOMS

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        from lesiongan.data import phantoms

        rows = phantoms.table(config.phantoms, seed)
        taxonomy = tables.taxonomy_of(list(dict.fromkeys(rows["label"])))
        seeds = zip(rows["label"], rows["lesion_seed"], rows["view_seed"], strict=True)
        locations = [f"{label}/{lesion}/{view}" for label, lesion, view in seeds]
        labels = [taxonomy.index(label) for label in rows["label"]]
        rows = rows.assign(label=np.array(labels, np.int64), location=locations)
        return Source(self.name, taxonomy, "phantom", _complete(rows), (), PhantomReader(config.phantom_size))


class OneHotTable:
    """A one-hot CSV in ISIC's columns beside pictures, whatever the files and folders are called."""

    name = "one_hot_csv"

    def matches(self, data: str) -> bool:
        return tables.find_ground_truth(Path(data)) is not None

    def pictures(self, root: Path, table: Path, anomalies: list[Anomaly]) -> list[str]:
        """The locations of the pictures that may belong to the table."""
        return _walk(root, anomalies) + _in_archives(root, _files(root, ".zip"), anomalies)

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        table = tables.find_ground_truth(Path(data))
        root = table.parent
        anomalies: list[Anomaly] = []
        taxonomy, rows = tables.read_ground_truth(table, anomalies)
        rows = tables.add_metadata(rows, tables.find_metadata(table), anomalies)
        index = _Index(self.pictures(root, table, anomalies), anomalies)
        rows["location"] = [index.find(path) for path in rows.pop("path")]
        _check_missing(table, rows, index, anomalies, config)
        missing = rows.loc[rows["location"] == "", "image_id"]
        anomalies += [Anomaly(image_id, table.name, "the row has no image") for image_id in missing]
        anomalies += [Anomaly(name, table.name, "the image has no row") for name in index.unused()]
        return Source(self.name, taxonomy, "real", _complete(rows), tuple(anomalies), FileReader(str(root)))


class ISIC2019(OneHotTable):
    """The official layout: X_GroundTruth.csv, X_Metadata.csv and X_Input.zip or X_Input/ with X ISIC_2019_Training."""

    name = "isic_2019"

    @staticmethod
    def _input(table: Path) -> Path:
        return table.parent / table.name.replace("GroundTruth.csv", "Input")

    def matches(self, data: str) -> bool:
        table = tables.find_ground_truth(Path(data))
        if table is None or not table.name.endswith("_GroundTruth.csv"):
            return False
        return self._input(table).is_dir() or self._input(table).with_suffix(".zip").is_file()

    def pictures(self, root: Path, table: Path, anomalies: list[Anomaly]) -> list[str]:
        folder = self._input(table)
        found = _walk(root, anomalies, below=folder.name) if folder.is_dir() else []
        archive = folder.with_suffix(".zip")
        if archive.is_file():
            unpacked = {_stem(name) for name in found}
            found += [name for name in _in_archives(root, [archive], anomalies) if _stem(name) not in unpacked]
        return found


class ClassFolders:
    """One folder of pictures for each class, named by abbreviation or name."""

    name = "class_folders"

    def matches(self, data: str) -> bool:
        return Path(data).is_dir() and len({name.split("/")[0] for name in _walk(Path(data), []) if "/" in name}) > 1

    def open(self, data: str, config: DataConfig, seed: int) -> Source:
        root, anomalies = Path(data), []
        members: dict[str, list[str]] = collections.defaultdict(list)
        for name in _walk(root, anomalies):
            folder, separator, _ = name.partition("/")
            if separator:
                members[folder].append(name)
            else:
                anomalies.append(Anomaly(name, ".", "the picture is in no class's folder"))
        if {folder.lower() for folder in members} <= {
            "train",
            "training",
            "test",
            "testing",
            "val",
            "valid",
            "validation",
        }:
            raise UsageError(f"{data}: its folders {', '.join(members)} are a split, not classes; give one of them")
        for folder in sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != "."):
            if folder not in members:
                anomalies.append(Anomaly(folder, ".", "the folder has no pictures"))
        taxonomy = tables.taxonomy_of(list(dict.fromkeys(map(tables.class_of, members))))
        once = collections.Counter(_stem(name) for names in members.values() for name in names)
        records = []
        for folder, names in members.items():
            label = taxonomy.index(tables.class_of(folder))
            for name in names:
                stem = _stem(name) if once[_stem(name)] == 1 else name.replace("/", "_")  # 1.jpg in each folder
                records.append({"image_id": stem, "label": label, "location": name})
        rows = pd.DataFrame(records)
        return Source(self.name, taxonomy, "real", _complete(rows), tuple(anomalies), FileReader(str(root)))


#: Asked in this order.
KINDS: tuple[SourceKind, ...] = (Phantoms(), ISIC2019(), OneHotTable(), ClassFolders())


class _Index:
    """Looks pictures up by an id or path of a table."""

    def __init__(self, locations: Sequence[str], anomalies: list[Anomaly]):
        self._by_stem: dict[str, str] = {}
        self._by_path: dict[str, str] = {}
        self._used: set[str] = set()
        for location in locations:
            self._by_path[_without_suffix(location.rpartition(_INSIDE)[2])] = location
            first = self._by_stem.setdefault(_stem(location), location)
            if first != location:
                anomalies.append(Anomaly(location, ".", f"a file of the same name is used: {first}"))

    def __len__(self) -> int:
        return len(self._by_stem)

    def find(self, path: str) -> str:
        """The location for an id with or without folders and `_downsampled`; "" where there is none."""
        stem = path.rpartition("/")[2]
        other = stem.removesuffix("_downsampled") if stem.endswith("_downsampled") else f"{stem}_downsampled"
        location = self._by_path.get(path) or self._by_stem.get(stem) or self._by_stem.get(other, "")
        self._used.add(location)
        return location

    def unused(self) -> list[str]:
        return [location for location in self._by_stem.values() if location not in self._used]


def _check_missing(
    table: Path, rows: pd.DataFrame, index: _Index, anomalies: Sequence[Anomaly], config: DataConfig
) -> None:
    missing = int((rows["location"] == "").sum())
    links = sum("link" in anomaly.why for anomaly in anomalies)
    hint = f" ({links} symbolic links were not followed)" if links else ""
    if missing == len(rows):
        raise UsageError(
            f"{table}: not one of its {len(rows)} rows has its image among the {len(index)} pictures in "
            f"{table.parent}{hint}; put the images beside the CSV, named by its ids"
        )
    if missing > len(rows) / 2 and not config.allow_missing:
        raise UsageError(
            f"{table}: {missing} of its {len(rows)} rows have no image in {table.parent}{hint}; complete the images, "
            f"or allow it with --set data.allow_missing=true"
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


def _files(root: Path, suffix: str) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.suffix.lower() == suffix and path.is_file())


def _walk(root: Path, anomalies: list[Anomaly], below: str = "") -> list[str]:
    """The pictures below a folder as sorted relative POSIX paths; links out of the folder and to folders are refused."""
    real_root = os.path.realpath(root)
    found, folders = [], [below]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder)))
        except OSError as error:
            anomalies.append(Anomaly(folder or ".", ".", f"the folder cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if not tables.is_text(entry.name):
                anomalies.append(Anomaly(ascii(name), ascii(folder or "."), "the file's name is not valid text"))
                continue
            if entry.is_symlink():
                inside = os.path.realpath(entry.path).startswith(real_root + os.sep)
                if entry.is_dir() or (_is_picture(name) and not inside):
                    anomalies.append(Anomaly(name, folder or ".", "a symbolic link to a folder or out of the data"))
                    continue
            if entry.is_dir():
                folders.append(name)
            elif _is_picture(name) and entry.is_file():
                found.append(name)
    return sorted(found)


def _in_archives(root: Path, archives: Iterable[Path], anomalies: list[Anomaly]) -> list[str]:
    found = []
    for archive in archives:
        with _open_zip(archive) as opened:
            for name in opened.namelist():
                parts = name.split("/")
                if not _is_picture(name) or parts[-1].startswith(".") or "__MACOSX" in parts:
                    continue
                if ".." in parts or name.startswith("/") or "\\" in name or _INSIDE in name:
                    anomalies.append(Anomaly(name, archive.name, "the entry's path leads out of the archive"))
                    continue
                found.append(f"{archive.relative_to(root).as_posix()}{_INSIDE}{name}")
    return found


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"{path}: the zip file cannot be read ({error}); download it again") from None


def _is_picture(name: str) -> bool:
    return name.lower().endswith(tables.PICTURE_SUFFIXES)


def _without_suffix(name: str) -> str:
    return unicodedata.normalize("NFC", name.rpartition(".")[0])  # as ids are; macOS writes names decomposed


def _stem(location: str) -> str:
    return _without_suffix(location.rpartition("/")[2].rpartition(_INSIDE)[2])
