"""Images made elsewhere (by a diffusion model, by a colleague) as a source of a grid's cells.

A folder of pictures with a ground-truth CSV, or one folder per class. Only the classes of the real data count, and all
pictures are for training.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import csv_files, examples, locations, pictures
from lesiongan.data.near_duplicates import near_duplicates
from lesiongan.data.pictures import THUMBNAIL
from lesiongan.data.sources import PHANTOMS, ClassFolders, Source, open_source
from lesiongan.data.splits import SPLITS
from lesiongan.data.taxonomy import Taxonomy


def open_synthetic(path: str, config: DataConfig, taxonomy: Taxonomy, needed: Mapping[str, int]) -> Source:
    """Reads the tables of a folder of images made elsewhere; no picture is opened.

    Args:
        path: the folder, or its CSV.
        config: its options for diagnoses and for missing images hold here too.
        taxonomy: the classes of the real data.
        needed: class -> images that the largest cell takes; others are not used.

    Returns:
        The source with the rows of the needed classes whose picture is present; labels are those of `taxonomy`.

    Raises:
        UsageError: it is no source, or has too few images of a class.
    """
    if path == PHANTOMS:
        raise UsageError(f"option 'grid.synthetic': give a folder of pictures, not the word {PHANTOMS}")
    config = dataclasses.replace(config, kind="", further_tests=(), by_source=())
    source = ClassFolders().open(path, config, 0) if _is_one_class(path) else open_source(path, config, 0)
    rows = source.rows[source.rows["location"] != ""]
    names = np.array(source.taxonomy.classes, object)[rows["label"]]
    rows = rows[np.isin(names.astype(str), list(needed))].reset_index(drop=True)
    rows["label"] = [taxonomy.index(source.taxonomy.classes[label]) for label in rows["label"]]
    check_enough(path, {c: int((rows["label"] == taxonomy.index(c)).sum()) for c in needed}, needed)
    return dataclasses.replace(source, taxonomy=taxonomy, rows=rows)


def check_enough(path: str, counts: Mapping[str, int], needed: Mapping[str, int]) -> None:
    """Raises `UsageError` where a class has fewer images than the largest cell takes."""
    for name, number in needed.items():
        if counts[name] < number:
            raise UsageError(
                f"{path}: {counts[name]:,} usable images of {name}, but the largest cell takes {number:,}; "
                f"add images or lower the experiment's amounts"
            )


def held_out_thumbnails(directory: Path) -> tuple[np.ndarray, list[str], int]:
    """What a synthetic picture must not be a copy of: every real image that is not for training.

    Returns:
        Thumbnails uint8 `[n, 32, 32]`, what each is called (`validation image ISIC_...`), and the size in pixels of the
        squares that they were made from; thumbnails to compare with them must be made from that size too.
    """
    info = examples.read_info(directory)
    size = min((s for s in info["sizes"] if s >= THUMBNAIL), default=max(info["sizes"]))
    thumbnails, names = [_stacked([])], []
    for split in (*SPLITS[1:], *info.get("further_tests", ())):
        images = examples.load(directory, size, split)
        thumbnails.append(pictures.thumbnails(images.images))
        names += [f"{split.replace('_', ' ')} image {image_id}" for image_id in images.ids]
    return np.concatenate(thumbnails), names, size


def thumbnails_of(squares) -> np.ndarray:
    """Thumbnails uint8 `[n, 32, 32]` of encoded squares."""
    return _stacked([pictures.thumbnail(Image.open(io.BytesIO(square))) for square in squares])


def copies(held_out: np.ndarray, synthetic: np.ndarray) -> dict[int, int]:
    """Position of each synthetic picture that is nearly a held-out one -> the position of that one."""
    pairs = near_duplicates(np.concatenate([held_out, synthetic]), across=len(held_out))
    best: dict[int, tuple[float, int]] = {}
    for first, second, correlation in pairs:
        position = second - len(held_out)
        best[position] = max(best.get(position, (0.0, 0)), (correlation, first))
    return {position: first for position, (_, first) in sorted(best.items())}


def _is_one_class(path: str) -> bool:
    """Whether there is one folder of pictures and no table: a class alone, which is no source for training on."""
    if not Path(path).is_dir() or csv_files.tables_in(Path(path)):
        return False
    return len({name.split("/")[0] for name in locations.walk(Path(path), []) if "/" in name}) == 1


def _stacked(thumbnails: list[np.ndarray]) -> np.ndarray:
    return np.stack(thumbnails) if thumbnails else np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8)
