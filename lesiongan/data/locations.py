"""Where the pictures of a source are, in folders and in zip files.

A location is a relative POSIX path, or `archive.zip::entry`. Nothing is unpacked, links out of the data are not
followed, and no path is ever built from an id: ids are looked up among the files that are there.
"""

from __future__ import annotations

import importlib.util
import os
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

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
        by_path.setdefault(_without_suffix(_entry(location)), location)
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
    return sorted(
        path
        for path in root.iterdir()
        if path.suffix.lower() == suffix and not csv_files.is_left_behind(path.name) and path.is_file()
    )


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
            if csv_files.is_left_behind(entry.name):
                continue
            if not csv_files.is_text(entry.name):
                anomalies.append(Anomaly(ascii(name), ascii(folder or "."), "the file's name is not valid text"))
                continue
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError as error:  # a link to itself, a file system's fault
                anomalies.append(Anomaly(name, folder or ".", f"cannot be read: {error.strerror}"))
                continue
            if entry.is_symlink():
                inside = os.path.realpath(entry.path).startswith(real_root + os.sep)
                if is_folder or (not inside and _kind_of_file(entry)):
                    anomalies.append(Anomaly(name, folder or ".", "a symbolic link to a folder or out of the data"))
                    continue
            if is_folder:
                folders.append(name)
            elif is_file:
                kind = _kind_of_file(entry)
                if kind == _PICTURE:
                    paths.append(name)
                elif kind:
                    anomalies.append(_not_read(name, folder or ".", kind))
    return sorted(paths)


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed (ns); (-1, 0) where that cannot be asked, as reading it will tell."""
    try:
        status = path.stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def in_archives(root: Path, archives: Iterable[Path], anomalies: list[Anomaly]) -> list[str]:
    """The pictures in zip files of a folder; entries whose path leads out are refused. An archive that cannot be opened
    is an anomaly: whether it is needed shows by the rows that miss their image."""
    locations = []
    for archive in archives:
        try:
            opened = open_zip(archive)
        except UsageError as error:
            anomalies.append(Anomaly(archive.name, ".", str(error)))
            continue
        with opened:
            for name in opened.namelist():
                parts = name.replace("\\", "/").split("/")
                if name.endswith("/") or any(
                    csv_files.is_left_behind(part) for part in parts if part not in (".", "..")
                ):
                    continue
                kind = _kind_of_entry(opened, name)
                if kind and not csv_files.is_text(name):
                    anomalies.append(Anomaly(ascii(name), archive.name, "the entry's name is not valid text"))
                    continue
                if kind and kind != _PICTURE:
                    anomalies.append(_not_read(name, archive.name, kind))
                if kind != _PICTURE:
                    continue
                if ".." in parts or parts[0] == "" or ":" in parts[0] or INSIDE in name:
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


def fault_of_zip(path: Path) -> str:
    """What is wrong with an archive, "" where it can be opened."""
    try:
        open_zip(path).close()
    except UsageError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


_PICTURE = "a picture"
#: Pictures that are not read, by suffix.
_UNREAD = {
    **dict.fromkeys(("heic", "heif", "hif", "avif"), "a HEIF picture"),
    **dict.fromkeys(("jp2", "j2k", "jpf", "jpx", "jxl"), "a JPEG 2000 or JPEG XL picture"),
    **dict.fromkeys(("cr2", "cr3", "nef", "arw", "dng", "orf", "rw2", "raw"), "a camera's raw picture"),
    **dict.fromkeys(("psd", "svg", "eps", "ai", "xcf", "tga", "ppm", "pgm", "ico", "icns"), "a drawing or odd picture"),
}
#: How files that are read begin, whatever they are called.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
_BEGIN = 132  # bytes that tell what a file is
_NEVER = (".csv", ".tsv", ".tab", ".txt", ".md", ".json", ".zip", ".html", ".pdf", ".py", ".npz", ".xml", ".log", ".gz")


def _not_read(name: str, where: str, kind: str) -> Anomaly:
    return Anomaly(name, where, f"{kind}, which is not read; save it as PNG or JPEG")


def _kind_of_file(entry: os.DirEntry) -> str:
    return _kind(entry.name, lambda: open(entry.path, "rb"))


def _kind_of_entry(archive: zipfile.ZipFile, name: str) -> str:
    return _kind(name, lambda: archive.open(name))


def _kind(name: str, opened: Callable[[], IO[bytes]]) -> str:
    """What a file is by its suffix or, where that tells nothing, by its first bytes: `a picture`, a kind that is not
    read, or "" for what is no picture."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in csv_files.PICTURE_SUFFIXES:
        return _PICTURE
    if suffix[1:] in _UNREAD:
        return _UNREAD[suffix[1:]]
    if suffix in _NEVER:
        return ""
    try:
        with opened() as file:
            begin = file.read(_BEGIN)
    except Exception:  # cannot be opened; an entry of a zip may be damaged or encrypted in any way
        return ""
    is_webp = begin[:4] == b"RIFF" and begin[8:12] == b"WEBP"
    if begin[128:132] == b"DICM":
        return (
            _PICTURE
            if importlib.util.find_spec("pydicom")
            else "a DICOM file without the extra lesiongan[dicom] installed"
        )
    if suffix in csv_files.DICOM_SUFFIXES:
        return "called a DICOM file, but none"
    return _PICTURE if begin.startswith(_MAGIC) or is_webp else ""


def _without_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    begin, dot, end = name.rpartition(".")
    if dot and not end.isdigit():  # DICOM files are called IM0001 or 1.2.840.7, and nothing more
        name = begin
    return unicodedata.normalize("NFC", folder + slash + name)  # as the ids are; macOS writes names decomposed


def stem(location: str) -> str:
    """The file's name without folders and suffix."""
    return _without_suffix(_entry(location).rpartition("/")[2])


def _entry(location: str) -> str:
    """The path within the folder or the archive; zip files made on Windows may have backslashes."""
    _, inside, name = location.rpartition(INSIDE)
    return name.replace("\\", "/") if inside else location
