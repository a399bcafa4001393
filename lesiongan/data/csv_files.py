"""CSV files read defensively, whatever a spreadsheet or a download did to them, and the rows that are not used."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")
TABLE_SUFFIXES = (".csv", ".tab", ".tsv")
_IMAGE_COLUMNS = ("image", "image_id", "isic_id", "image_name", "filename", "file", "id")


class Anomaly(NamedTuple):
    """A row or file that is not used."""

    what: str
    where: str
    why: str


def is_text(name: str) -> bool:
    """Whether a file's name is neither broken UTF-8 nor holds control characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def read_csv(path: Path, anomalies: list[Anomaly], limit: int | None = None) -> pd.DataFrame:
    """A CSV as text, stripped, with a column `line` (its line in the file); of a limited number of rows if asked for.

    A byte-order mark, any line ends, semicolons and tabs are understood; a line with more or fewer fields than the
    header is an anomaly.
    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = [name.strip() for name in next(lines, [])]
        records = []
        for fields in lines:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(header):
                why = f"the line has {len(fields)} fields, the header {len(header)}"
                anomalies.append(Anomaly(fields[0], f"{path.name} line {lines.line_num}", why))
                continue
            records.append([*(field.strip() for field in fields), lines.line_num])
            if len(records) == limit:
                break
    except csv.Error as error:
        raise UsageError(f"{path}: not a CSV file ({error}, line {lines.line_num})") from None
    frame = pd.DataFrame(records, columns=[*header, "line"])
    empty = [not name and (frame.iloc[:, i] == "").all() for i, name in enumerate(frame.columns)]  # commas at the end
    frame = frame.loc[:, ~np.array(empty, bool)]
    if not frame.columns.is_unique:
        raise UsageError(f"{path}: a column name stands twice ({column_names(frame)}); name each column once")
    return frame


def image_column(frame: pd.DataFrame) -> str | None:
    by_name = {name.lower(): name for name in reversed(frame.columns)}
    return next((by_name[name] for name in _IMAGE_COLUMNS if name in by_name), None)


def tables_in(folder: Path) -> list[Path]:
    """The tables right in a folder; Dataverse gives HAM10000's without a suffix."""
    return sorted(
        path
        for path in folder.iterdir()
        if (path.suffix.lower() in TABLE_SUFFIXES or path.name == "HAM10000_metadata") and path.is_file()
    )


def without_suffix(value: str) -> str:
    """A picture's name without .jpg and the like."""
    for suffix in PICTURE_SUFFIXES:
        if value.lower().endswith(suffix):
            return value[: -len(suffix)]
    return value


def column_names(frame: pd.DataFrame) -> str:
    return ", ".join(frame.columns.drop("line", errors="ignore")[:12])
