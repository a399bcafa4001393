"""Tables of text read defensively, whatever a spreadsheet or a download did to them, and the rows that are not used."""

from __future__ import annotations

import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.base.shown import is_plain, unbroken

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp"),
    *(".png", ".apng", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif"),
)
#: Of files that are asked for their first bytes too: much else is called so.
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
TABLE_SUFFIXES = (".csv", ".tab", ".tsv")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers", ".parquet")
_IMAGE_COLUMNS = ("image", "image_id", "isic_id", "image_name", "filename", "file", "img_id", "bcn_filename", "id")
_SEPARATORS = ",;\t|"
#: Words for "there is none" as people and programs write them, in lower case.
_MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "n.a.", "nan", "<na>", "none", "null", "nil", "nat", "unknown", "unk", "missing"}
    | {"-", "--", "?", ".", "not available", "not applicable", "not known", "undefined", "(null)", "#null!"}
)
#: Words for 1 and 0.
_YES_NO = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "x": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}
_APPLE_DOUBLE = b"\x00\x05\x16\x07"  # what macOS keeps beside a file on other file systems


class Anomaly(NamedTuple):
    """A row or file that is not used."""

    what: str
    where: str
    why: str


def is_text(name: str) -> bool:
    """Whether a file's name is neither broken UTF-8 nor holds control characters or line breaks."""
    return is_plain(name)


def is_missing(value: str) -> bool:
    """Whether a field says that there is no value: blank, `NA`, `nan`, `None`, `unknown`, `-`, in any case."""
    return " ".join(value.split()).casefold() in _MISSING


def as_numbers(column: pd.Series) -> np.ndarray:
    """Numbers with a decimal point or comma, and words for yes and no; NaN for anything else."""
    words = column.str.lower().map(_YES_NO)
    return pd.to_numeric(column.str.replace(",", "."), errors="coerce").fillna(words).to_numpy(float)


def stated(column: pd.Series) -> pd.Series:
    """Values with "" for each word that says that nothing is known."""
    return column.where(~column.map(is_missing), "")


def is_one_hot(column: pd.Series) -> bool:
    """Whether most of a column's values are 0 or 1: a few bad ones are the rows' fault, not the column's."""
    values = column[column != ""]
    return len(values) > 0 and float(np.isin(as_numbers(values), (0, 1)).mean()) > 0.5


def read_csv(path: Path, anomalies: list[Anomaly], limit: int | None = None) -> pd.DataFrame:
    """A table as text, stripped and each cell on one line (a blank for control characters and line breaks), with a
    column `line` (its line in the file); of a limited number of rows if asked for.

    Understood are a byte-order mark, any line ends; commas, semicolons, tabs, bars and R's spaces; Excel's line
    `sep=;`, blank lines and lines of `#` before the header; columns of row names or numbers as pandas and R write them,
    with or without a name; and a table of two columns without a header. A line with more or fewer fields than the
    header is an anomaly.

    Raises:
        UsageError: no text, no table, or a column name stands twice.
    """
    lines = _text(path).splitlines(keepends=True)
    skipped, separator = _before_the_header(lines)
    lines = lines[skipped:]
    header_line = next(iter(lines), "")
    if not separator:
        separator = max(_SEPARATORS, key=header_line.count)
    if separator not in header_line and _is_spaced(lines):
        separator = " "
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator)
    records: list[list[str]] = []
    numbers: list[int] = []
    try:
        header = [unbroken(name).strip() for name in next(reader, [])]
        for fields in reader:
            if any(field.strip() for field in fields):
                records.append([unbroken(field).strip() for field in fields])
                numbers.append(skipped + reader.line_num)
                if len(records) == limit:
                    break
    except csv.Error as error:
        raise UsageError(f"{path}: not a CSV file ({error}, line {skipped + reader.line_num})") from None
    if _has_no_header(header, records):
        records, numbers = [header, *records], [skipped + 1, *numbers]
        header = ["image", "label"]
    if records and all(len(fields) == len(header) + 1 for fields in records):
        header = ["", *header]  # R's write.table gives row names no name
    for fields, number in zip(records, numbers, strict=True):
        if len(fields) != len(header):
            why = f"the line has {len(fields)} fields, the header {len(header)}"
            anomalies.append(Anomaly(fields[0], f"{path.name} line {number}", why))
    rows = [[*fields, number] for fields, number in zip(records, numbers, strict=True) if len(fields) == len(header)]
    frame = pd.DataFrame(rows, columns=[*header, "line"])
    if image_column(frame) is None and header[:1] == [""] and _are_names(frame.iloc[:, 0]):
        frame.columns = pd.Index(["image", *frame.columns[1:]])  # a table whose index are the images
    frame = _without_row_names(frame)
    if not frame.columns.is_unique:
        raise UsageError(f"{path}: a column name stands twice ({column_names(frame)}); name each column once")
    return frame


def as_csv(table: pd.DataFrame, **form: Any) -> str:
    """A table as text with each cell on one line: pandas writes a carriage return as it is, and reads it as a row's
    end."""
    plain = table.map(lambda value: unbroken(value) if isinstance(value, str) else value)
    return plain.rename(columns=lambda name: unbroken(str(name))).to_csv(index=False, lineterminator="\n", **form)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UsageError(f"{path}: an Excel file or archive, not text; save the sheet as CSV")
    text = raw.decode("latin-1")  # any bytes are; the last of the guesses
    for encoding in ("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if "\0" in text:
        raise UsageError(f"{path}: not a CSV file (it holds bytes that are no text); save it as CSV again")
    return text


def _before_the_header(lines: Sequence[str]) -> tuple[int, str]:
    """How many lines stand before the header, and the separator that one of them names ("" for none)."""
    separator = ""
    for number, line in enumerate(lines):
        named = re.fullmatch(r"\W?sep=(.)\W*", line.strip("\r\n"), re.IGNORECASE)
        if named and named[1] in _SEPARATORS:
            separator = named[1]
        elif line.strip(' \r\n\t"') and not line.lstrip().startswith("#"):
            return number, separator
    return len(lines), separator


def _is_spaced(lines: Sequence[str]) -> bool:
    """Whether spaces separate the columns, as R's write.table has it: more than one, and as many in each row, or one
    fewer in the header."""
    lengths = [len(fields) for fields in csv.reader(itertools.islice(filter(str.strip, lines), 21), delimiter=" ")]
    return len(lengths) > 1 and lengths[0] > 1 and len(set(lengths[1:])) == 1 and lengths[1] - lengths[0] in (0, 1)


def _has_no_header(header: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether a table of two columns begins with its first row, as ISIC 2016's: the first field is an id like those
    below it, and not the name of a column."""
    if len(header) != 2 or not records or header[0].lower() in _IMAGE_COLUMNS:
        return False

    def form(value: str) -> str:
        return re.sub(r"\d+", "0", without_suffix(value))

    return bool(re.search(r"\d", header[0])) and all(
        form(fields[0]) == form(header[0]) for fields in itertools.islice(records, 20) if fields
    )


def _are_names(values: pd.Series) -> bool:
    """Whether row names are more than numbers of the rows."""
    return values.is_unique and not values.str.fullmatch(r"\d*").all()


def _without_row_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Without columns that have no name (or pandas' `Unnamed: 0`, R's `X`, `...1`) and hold nothing, or a number or
    name of the row."""

    def is_left_out(position: int) -> bool:
        name, values = str(frame.columns[position]), frame.iloc[:, position]
        unnamed = not name or bool(re.fullmatch(r"Unnamed: \d+(_level_\d+)?|index|level_0|\.\.\.\d+|X", name))
        if not unnamed:
            return False
        counted = {str(start + i) for start in (0, 1) for i in range(len(frame))}
        return (not name and ((values == "").all() or values.is_unique)) or set(values) <= counted

    keep = [not is_left_out(position) for position in range(frame.shape[1])]
    return frame.loc[:, np.array(keep, bool)]


def image_column(frame: pd.DataFrame) -> str | None:
    """The column that names the images, whatever the case of its name."""
    by_name = {name.lower(): name for name in reversed(frame.columns)}
    return next((by_name[name] for name in _IMAGE_COLUMNS if name in by_name), None)


def tables_in(folder: Path) -> list[Path]:
    """The tables right in a folder, without what systems leave beside them. A text file is one where it begins as
    one."""
    return sorted(
        path
        for path in folder.iterdir()
        if (is_table_name(path.name) or path.suffix.lower() == ".txt")
        and not is_left_behind(path.name)
        and path.is_file()
        and not _is_apple_double(path)
        and (is_table_name(path.name) or _begins_as_a_table(path))
    )


def is_table_name(name: str) -> bool:
    """Whether a file is called as a table is; Dataverse gives HAM10000's no suffix."""
    return name.lower().endswith(TABLE_SUFFIXES) or name == "HAM10000_metadata"


def is_left_behind(name: str) -> bool:
    """Whether a file or folder is what a system, an editor or an unfinished download leaves, by its name: hidden ones
    (`._x`, `.ipynb_checkpoints`), `__MACOSX`, `Thumbs.db`, `desktop.ini`, `~$x`, `.part`, `.crdownload`."""
    return (
        name.startswith((".", "~$"))
        or name.lower() in ("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information")
        or name.lower().endswith((".part", ".crdownload", ".download", ".partial", ".tmp"))
    )


def _begins_as_a_table(path: Path) -> bool:
    try:
        return image_column(read_csv(path, [], limit=1)) is not None
    except (UsageError, OSError):
        return False


def _is_apple_double(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _APPLE_DOUBLE


def without_suffix(value: str) -> str:
    """A picture's name without .jpg and the like."""
    for suffix in (*PICTURE_SUFFIXES, *DICOM_SUFFIXES):
        if value.lower().endswith(suffix):
            return value[: -len(suffix)]
    return value


def relative_path(value: str) -> str:
    """An id as a relative path without suffix; "" where it is empty, absolute or climbs out."""
    value = without_suffix(unicodedata.normalize("NFC", value))
    parts = value.split("/")
    if "\\" in value or ":" in value or not is_text(value) or any(part in ("", ".", "..") for part in parts):
        return ""
    return value


def column_names(frame: pd.DataFrame) -> str:
    return ", ".join(frame.columns.drop("line", errors="ignore")[:12])
