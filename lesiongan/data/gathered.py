"""Pictures of any collection for a judge, in order, with their names: a folder, a source with classes, Examples."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, locations
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.generated_folder import SHEET, is_generated
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.data.readers import FileReader, Reader
from lesiongan.data.sources import KINDS, open_source

_BATCH = 256
#: Suffix -> the format that is named where two collections differ in it.
_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "png": "PNG", "webp": "WebP", "bmp": "BMP"}


@dataclasses.dataclass(frozen=True)
class Gathered:
    """A collection whose pictures can be read once, batch by batch.

    Attributes:
        rows: one row per picture that can be used, of each lesion one: `name` (the file, or an image id of Examples),
            `class` ("" where the collection has none), `side` (the shorter one in pixels before it became a square).
        origin: `real`, `phantom` or `generated`, as far as the collection says.
        left_out: why -> how many pictures.
        batches: uint8 `[n, size, size, 3]` each, in the rows' order.
    """

    rows: pd.DataFrame
    origin: str
    left_out: dict[str, int]
    batches: Iterator[np.ndarray]

    def facts(self) -> dict:
        """What a reader of numbers about it has to know: `images`, `side` (shortest, longest), `median_side`, `formats`
        of its files, `origin`, `left_out`."""
        sides = self.rows["side"]
        suffixes = {Path(name).suffix.lower().removeprefix(".") for name in self.rows["name"]} & set(_FORMATS)
        return {
            "images": len(self.rows),
            "side": [int(sides.min()), int(sides.max())],
            "median_side": int(sides.median()),
            "formats": sorted({_FORMATS[suffix] for suffix in suffixes}),
            "origin": self.origin,
            "left_out": self.left_out,
        }


@contextmanager
def gathered(place: str, size: int, config: DataConfig, *, split: str = "", classes: bool = True) -> Iterator[Gathered]:
    """Opens a collection.

    Args:
        place: an Examples artifact, a source as for `ingest`, or any folder of pictures.
        size: pixels.
        config: how pictures become squares.
        split: of Examples; by default `train` of generated ones, else `test`.
        classes: whether a folder's tables and the names of its folders are read.

    Raises:
        UsageError: no such collection, none of its pictures can be used, or a split of what has none.
    """
    path = Path(place)
    if (path / examples.INFO).is_file():
        yield _of_examples(path, size, config, split)
        return
    if split:
        raise UsageError(f"{place}: --split {split} needs Examples; of other collections all pictures count")
    reader, rows, origin, left_out = _listed(place, config, classes)
    options = DecodingOptions((size,), config.resize, config.exact_resize)
    with tempfile.TemporaryDirectory(prefix="lesiongan-", ignore_cleanup_errors=True) as scratch:
        decoded = decode_all([(reader, rows["location"].tolist())], options, Path(scratch) / "decoding", place)
        usable = np.array([not fault for fault in decoded.faults], bool)
        rows = rows.assign(side=np.minimum(decoded.widths, decoded.heights))[usable].reset_index(drop=True)
        if unusable := int((~usable).sum()):
            left_out["unusable files"] = unusable
        squares = (square[size] for square in decoded.squares() if square)
        yield _one_per_lesion(place, rows, origin, left_out, (_pixels(square) for square in squares))


def _listed(place: str, config: DataConfig, classes: bool) -> tuple[Reader, pd.DataFrame, str, dict[str, int]]:
    """The reader, `name`, `class`, `lesion_id` and `location` of each picture, their origin, and what is left out."""
    path, anomalies = Path(place), list[Anomaly]()
    if not path.is_dir() or (classes and any(kind.matches(place) for kind in KINDS)):
        source = open_source(place, config, 0)
        rows = source.rows[source.rows["location"] != ""].reset_index(drop=True)
        labels = np.array(source.taxonomy.classes, object)[rows["label"].to_numpy(int)]
        rows = rows.assign(**{"name": rows["location"], "class": labels})
        unread = sum(anomaly.why != "the class has no rows" for anomaly in source.anomalies)
        return source.reader, rows, source.origin, {"rows and files that are not used, see `lesiongan data`": unread}
    origin = "generated" if is_generated(path) else "real"
    names = [name for name in locations.walk(path, anomalies) if origin == "real" or name != SHEET]
    if not names:
        raise UsageError(f"{place}: no pictures there; give a folder with JPEG or PNG files")
    rows = pd.DataFrame({"name": names, "location": names, "class": "", "lesion_id": ""})
    return FileReader(str(path)), rows, origin, {"files that are not read": len(anomalies)}


def _of_examples(path: Path, size: int, config: DataConfig, split: str) -> Gathered:
    info, table = examples.read_info(path), examples.read_table(path)
    made = info.get("kind") == "generated"
    split = split or ("train" if made else "test")
    if not made and info.get("resize", "squash") != config.resize:
        raise UsageError(
            f"{path}: its pictures became squares by {info.get('resize', 'squash')}, those of the judge by "
            f"{config.resize}; give the source itself, or examples made the same way"
        )
    stored = min((s for s in info["sizes"] if s >= size), default=max(info["sizes"]))
    examples.check_request(path, info, stored, [split], None)
    table = table[table["split"] == split].reset_index(drop=True)
    rows = table.assign(**{"name": table["image_id"], "class": table["label"], "side": stored})
    images = (image for batch in examples.batches(path, stored, split) for image in batch.images)
    origin = "generated" if made else "phantom" if info.get("phantom") else "real"
    return _one_per_lesion(f"{path}, split {split}", rows, origin, {}, images)


def _one_per_lesion(
    place: str, rows: pd.DataFrame, origin: str, left_out: dict[str, int], images: Iterator[np.ndarray]
) -> Gathered:
    """Intervals count pictures as independent, which several of one lesion are not."""
    names = rows["name"].tolist()
    kept = first_of_each_lesion(names, dict(zip(names, rows["lesion_id"], strict=True)))
    if not len(kept):
        raise UsageError(f"{place}: no usable picture there; give a folder of pictures")
    left_out = left_out | {"further pictures of a lesion": len(rows) - len(kept)}
    wanted = np.isin(np.arange(len(rows)), kept)
    chosen = (image for image, keep in zip(images, wanted, strict=True) if keep)
    rows = rows.iloc[kept][["name", "class", "side"]].reset_index(drop=True)
    return Gathered(rows, origin, {why: count for why, count in left_out.items() if count}, _batched(chosen))


def _batched(images: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))
