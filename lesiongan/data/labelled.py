"""Labelled or loose pictures for a model that is trained already: read straight from a source, nothing is kept."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, pictures
from lesiongan.data.csv_files import PICTURE_SUFFIXES
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.image_set import ImageSet
from lesiongan.data.sources import PHANTOMS, open_source, source_fingerprint
from lesiongan.data.taxonomy import Taxonomy


def labelled(
    data: str, size: int, taxonomy: Taxonomy, config: DataConfig, *, split: str = "", seed: int = 0
) -> tuple[ImageSet, list[str], dict[str, int]]:
    """The labelled images of an Examples artifact (one split) or of a source (all of them).

    Args:
        data: an Examples artifact, or a source as for `ingest`.
        size: pixels.
        taxonomy: the classes of the model; images of others are left out.
        split: of an Examples artifact, `test` by default; a source has none.

    Returns:
        The images with labels in `taxonomy`, their lesion ids ("" where unknown), and what was left out: why -> how
        many.

    Raises:
        UsageError: no such data, or no image of the model's classes in it.
    """
    if data != PHANTOMS and (Path(data) / examples.INFO).is_file():
        known = examples.taxonomy(data)
        images = examples.load(data, size, split or "test")
        lesions, left_out = examples.lesion_ids(data, images.ids), {}
    else:
        if split:
            raise UsageError(f"{data}: --split {split} needs an Examples artifact; of other data all images are used")
        source = open_source(data, config, seed)
        known, rows = source.taxonomy, source.rows[source.rows["location"] != ""].reset_index(drop=True)
        options = DecodingOptions((size,), config.resize, config.exact_resize)
        with tempfile.TemporaryDirectory(prefix="lesiongan-") as scratch:
            key = source_fingerprint(data, config, seed)
            parts = [(source.reader, rows["location"].tolist())]
            decoded = decode_all(parts, options, Path(scratch) / "decoding", key)
            usable = np.array([not fault for fault in decoded.faults], bool)
            pixels = [_pixels(squares[size]) for squares in decoded.squares() if squares]
        rows = rows[usable]
        images = ImageSet(
            np.stack(pixels) if pixels else np.zeros((0, size, size, 3), np.uint8),
            rows["label"].to_numpy(np.int32),
            tuple(rows["image_id"]),
            (source.origin,) * len(rows),
        )
        lesions = rows["lesion_id"].tolist()
        left_out = {"unusable files": int((~usable).sum()), "anomalies": len(source.anomalies)}
    is_known = np.array([name in taxonomy.classes for name in known.classes])[images.labels]
    left_out["images of classes that the model does not know"] = int((~is_known).sum())
    images, lesions = images.take(is_known), [lesion for lesion, used in zip(lesions, is_known, strict=True) if used]
    if not len(images):
        raise UsageError(f"{data}: no usable image of the model's classes {', '.join(taxonomy.classes)} there")
    labels = np.array([taxonomy.index(known.classes[label]) for label in images.labels], np.int32)
    images = ImageSet(images.images, labels, images.ids, images.origins)
    return images, lesions, {why: count for why, count in left_out.items() if count}


def loose(paths: Sequence[str], size: int, config: DataConfig) -> tuple[np.ndarray, list[str], list[str]]:
    """Pictures of files and of folders: uint8 `[n, size, size, 3]`, their names, and a line for each unusable one."""
    images, files, faults = squares(listed(paths), size, config)
    return images, [path.stem for path in files], faults


def listed(paths: Sequence[str]) -> list[Path]:
    """The files themselves, and in place of a folder all pictures in it and in the folders below it."""
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
        else:
            files.append(path)
    return files


def squares(files: Sequence[Path], size: int, config: DataConfig) -> tuple[np.ndarray, list[Path], list[str]]:
    """Pictures as uint8 `[n, size, size, 3]`, their files, and a line for each file that cannot be used."""
    images, used, faults = [], [], []
    for path in files:
        try:
            picture = pictures.decode(path.read_bytes(), (size,), config.resize, config.exact_resize)
        except OSError as error:
            faults.append(f"{path}: {error.strerror}")
        except pictures.Unusable as unusable:
            faults.append(f"{path}: {unusable}")
        else:
            images.append(picture.squares[size])
            used.append(path)
    return np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8), used, faults


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))
