"""Where the pictures of a source are, in folders and in zip files.

A location is a relative POSIX path, or `archive.zip::entry`. Nothing is unpacked, links out of the data are not
followed, and no path is ever built from an id: ids are looked up among the files that are there.
"""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.data import csv_files
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.readers import INSIDE


def match(ids: Sequence[str], locations: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Finds the picture of each id.

    Args:
        ids: relative paths without suffix, with or without folders and with or without ISIC's `_downsampled`.
        locations: the pictures of the source.

    Returns:
        The location of each id ("" where there is none; none is given twice), and (location, why) of each picture that
        no id has.
    """
    by_path: dict[str, str] = {}
    by_stem: dict[str, str] = {}
    for location in locations:
        by_path.setdefault(_without_suffix(location.rpartition(INSIDE)[2]), location)
        by_stem.setdefault(stem(location), location)
    matched = [""] * len(ids)
    used: dict[str, str] = {}
    # The exact path of every id goes before a name that only resembles one.
    for table, key_of in ((by_path, str), (by_stem, _last), (by_stem, _other_form)):
        for position, path in enumerate(ids):
            location = table.get(key_of(path), "")
            if not matched[position] and location and location not in used:
                matched[position] = location
                used[location] = stem(location)
    owner = {name: location for location, name in used.items()}
    unused = []
    for location in locations:
        if location not in used:
            used_location = owner.get(stem(location))
            why = f"a file of the same name is used: {used_location}" if used_location else "the image has no row"
            unused.append((location, why))
    return matched, unused


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _other_form(path: str) -> str:
    name = _last(path)
    return name.removesuffix("_downsampled") if name.endswith("_downsampled") else f"{name}_downsampled"


def files_in(root: Path, suffix: str) -> list[Path]:
    """The files right in a folder that have a suffix."""
    return sorted(path for path in root.iterdir() if path.suffix.lower() == suffix and path.is_file())


def walk(root: Path, anomalies: list[Anomaly], below: str = "") -> list[str]:
    """The pictures below a folder as sorted relative POSIX paths; links to folders and out of the data are refused."""
    real_root = os.path.realpath(root)
    paths, folders = [], [below]
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
            if not csv_files.is_text(entry.name):
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
                paths.append(name)
    return sorted(paths)


def in_archives(root: Path, archives: Iterable[Path], anomalies: list[Anomaly]) -> list[str]:
    """The pictures in zip files of a folder; entries whose path leads out are refused."""
    locations = []
    for archive in archives:
        with open_zip(archive) as opened:
            for name in opened.namelist():
                parts = name.split("/")
                if not _is_picture(name) or parts[-1].startswith(".") or "__MACOSX" in parts:
                    continue
                if ".." in parts or name.startswith("/") or "\\" in name or INSIDE in name:
                    anomalies.append(Anomaly(name, archive.name, "the entry's path leads out of the archive"))
                    continue
                locations.append(f"{archive.relative_to(root).as_posix()}{INSIDE}{name}")
    return locations


def open_zip(path: Path) -> zipfile.ZipFile:
    """Opens an archive; raises `UsageError` where it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"{path}: the zip file cannot be read ({error}); download it again") from None


def _is_picture(name: str) -> bool:
    return name.lower().endswith(csv_files.PICTURE_SUFFIXES)


def _without_suffix(name: str) -> str:
    return unicodedata.normalize("NFC", name.rpartition(".")[0])  # as the ids are; macOS writes names decomposed


def stem(location: str) -> str:
    """The file's name without folders and suffix."""
    return _without_suffix(location.rpartition(INSIDE)[2].rpartition("/")[2])
