"""Whether folders of pictures are classes: parts of a collection, pictures beside masks, and folders beside a table of
labels that was not understood are not, and training on them would give plausible, false numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.data import csv_files, locations

#: Names of folders that hold pictures of all classes, or no photographs.
_NO_CLASSES = re.compile(
    r"(images?|imgs?|pictures?|photos?|jpe?gs?|pngs?|data|raw|originals?|resized|cropped|augmented|thumbnails?|previews?"
    r"|masks?|segmentations?|annotations?|labels?|ground[_ -]?truths?|superpixels?|(train|test|val)[_ -]?[ab]?"
    r"|inputs?|outputs?|targets?)",
    re.IGNORECASE,
)
_SHARD = re.compile(r"(.*(part|shard|chunk|batch|fold|split|images?|imgs?|input|data|set).*?)[_ -]?\d+", re.IGNORECASE)
_NAMED = "name the layout with --set data.kind=class_folders if the folders are the classes all the same"


def check_classes(data: str, folders: list[str]) -> None:
    """Raises `UsageError` where folders are parts of one collection, or pictures and masks, rather than classes."""
    strangers = [folder for folder in folders if _NO_CLASSES.fullmatch(folder)]
    if strangers:
        raise UsageError(f"{data}: the folder {strangers[0]!r} is no class; give one folder per class, or {_NAMED}")
    stems = {match[1].lower() for match in map(_SHARD.fullmatch, folders) if match}
    if len(stems) == 1 and all(map(_SHARD.fullmatch, folders)):
        raise UsageError(
            f"{data}: its folders {', '.join(sorted(folders)[:3])} are parts of one collection, not classes; put the "
            f"table of its labels beside them, or {_NAMED}"
        )


def check_no_table(root: Path) -> None:
    """Raises `UsageError` where a table that speaks of the pictures stands beside class folders: it was not understood,
    and its labels would be passed over."""
    stems = {locations.stem(name) for name in locations.walk(root, [])}
    for path in sorted(root.iterdir()):
        if csv_files.is_left_behind(path.name) or not path.is_file():
            continue
        if path.suffix.lower() in csv_files.SPREADSHEETS:
            raise UsageError(f"{path}: a spreadsheet beside the pictures; save it as CSV, or {_NAMED}")
        is_table = csv_files.is_table_name(path.name) or path.suffix.lower() == ".txt"
        if is_table and _speaks_of(path, stems):
            raise UsageError(
                f"{path}: it names the pictures, but gives no classes that are understood (a column image with "
                f"columns MEL, NV, ... of 0 and 1, or with a column diagnosis); mend it, or {_NAMED}"
            )


def _speaks_of(path: Path, stems: set[str]) -> bool:
    """Whether most values of some column of a table are names of pictures."""
    try:
        frame = csv_files.read_csv(path, [], limit=200)
    except UsageError:
        if csv_files.is_table_name(path.name):
            raise
        return False

    def share(values: pd.Series) -> float:
        names = values.astype(str).map(lambda value: csv_files.without_suffix(value.rpartition("/")[2]))
        return float(names.isin(stems).mean())

    return any(share(frame.iloc[:, i]) > 0.5 for i in range(frame.shape[1] - 1)) if len(frame) else False
