"""Labelled or loose pictures for a model that is trained already: read straight from a source, nothing is kept."""

from __future__ import annotations

import collections
import io
import itertools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.shown import unbroken
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, locations, pictures
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.image_set import ImageSet
from lesiongan.data.sources import PHANTOMS, open_source
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
        resize = examples.read_info(data).get("resize", "squash")
        if resize != config.resize:
            raise UsageError(
                f"{data}: its pictures became squares by {resize}, those that the model learned from by "
                f"{config.resize}; give the source itself, or examples made as the model's were"
            )
        images = examples.load(data, size, split or "test")
        lesions, left_out = examples.lesion_ids(data, images.ids), {}
    else:
        if split:
            raise UsageError(f"{data}: --split {split} needs an Examples artifact; of other data all images are used")
        source = open_source(data, config, seed)
        known, rows = source.taxonomy, source.rows[source.rows["location"] != ""].reset_index(drop=True)
        options = DecodingOptions((size,), config.resize, config.exact_resize)
        with tempfile.TemporaryDirectory(prefix="lesiongan-", ignore_cleanup_errors=True) as scratch:
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
    """Pictures of files and of folders: uint8 `[n, size, size, 3]`, a name of its own for each, and a line for each
    file that cannot be used."""
    files, unread = listed(paths)
    images, used, faults = squares(files, size, config)
    return images, distinct_names(used), [*unread, *faults]


def listed(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files themselves, and in place of a folder all pictures in it and in the folders below it; and a line for
    each file in them that looks like a picture and is not read."""
    files: list[Path] = []
    faults: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            anomalies: list[Anomaly] = []
            files += [path / name for name in locations.walk(path, anomalies)]
            faults += [f"{path / anomaly.what}: {anomaly.why}" for anomaly in anomalies]
        else:
            files.append(path)
    return list(dict.fromkeys(files)), faults  # one that is named twice is one picture


def distinct_names(files: Sequence[Path], reserved: Iterable[str] = ()) -> list[str]:
    """A name for each file, no two alike: its own without suffix; where others have the same, with as many folders
    before it as tell them apart, and at last with its suffix or a number. None is a reserved one."""
    names = [unbroken(path.stem) or "picture" for path in files]
    for depth in range(2, 2 + max((len(path.parts) for path in files), default=0)):
        counts = collections.Counter(name.casefold() for name in names)
        if max(counts.values(), default=1) == 1:
            break
        names = [
            unbroken("_".join([*path.parts[-depth:-1], path.stem]).lstrip("/")) if counts[name.casefold()] > 1 else name
            for name, path in zip(names, files, strict=True)
        ]
    taken = {name.casefold() for name in reserved}
    distinct = []
    for name, path in zip(names, files, strict=True):
        options = itertools.chain(
            [name, f"{name}_{path.suffix[1:]}"], (f"{name}-{number}" for number in itertools.count(2))
        )
        distinct.append(next(option for option in options if option.casefold() not in taken))
        taken.add(distinct[-1].casefold())
    return distinct


def squares(files: Sequence[Path], size: int, config: DataConfig) -> tuple[np.ndarray, list[Path], list[str]]:
    """Pictures as uint8 `[n, size, size, 3]`, their files, and a line for each file that cannot be used."""

    def square(data: bytes) -> np.ndarray:
        return pictures.decode(data, (size,), config.resize, config.exact_resize).squares[size]

    images, used, faults = opened(files, square)
    return np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8), used, faults


def opened(
    files: Sequence[Path], decode: Callable[[bytes], np.ndarray]
) -> tuple[list[np.ndarray], list[Path], list[str]]:
    """Pictures as `decode` makes them of a file's bytes, their files, and a line for each file that cannot be used."""
    images, used, faults = [], [], []
    for path in files:
        try:
            images.append(decode(path.read_bytes()))
        except OSError as error:
            faults.append(f"{path}: {error.strerror}")
        except pictures.Unusable as unusable:
            faults.append(f"{path}: {unusable}")
        else:
            used.append(path)
    return images, used, faults


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))
