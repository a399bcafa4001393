"""Pictures of a folder, without labels, tables or an Examples artifact: what a CycleGAN on its own learns from."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.config.data import DataConfig
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.image_set import ImageSet
from lesiongan.data.locations import size_and_time, walk
from lesiongan.data.readers import FileReader

#: Pictures of a folder below which nothing can be learned from it.
LEAST = 4
_NAMED = 20  # unusable pictures that are named one by one


def read_folder(
    folder: str | Path, size: int, config: DataConfig | None = None, *, label: int = 0, scratch: Path | None = None
) -> ImageSet:
    """The pictures in a folder and in the folders below it, as squares; those that cannot be used are left out, and
    one line names each.

    Args:
        folder: with pictures of any size and of the formats of `pictures.decode`.
        size: pixels.
        config: `resize` and `exact_resize` count; by default those of `DataConfig()`.
        label: of all images.
        scratch: a folder where an interrupted reading goes on from; by default a temporary one.

    Returns:
        The images in the order of their names; their ids are the paths within the folder.

    Raises:
        UsageError: no such folder, or fewer than four usable pictures in it.
    """
    root = _checked(folder)
    anomalies: list[Anomaly] = []
    names = walk(root, anomalies)
    if not names:
        raise UsageError(f"{folder}: no pictures there; give a folder with JPEG or PNG files")
    config = config or DataConfig()
    options = DecodingOptions((size,), config.resize, config.exact_resize)
    with tempfile.TemporaryDirectory(prefix="lesiongan-", ignore_cleanup_errors=True) as temporary:
        place = Path(scratch or temporary) / "decoding"
        decoded = decode_all([(FileReader(str(root)), names)], options, place, fingerprint(folder))
        images = [np.asarray(Image.open(io.BytesIO(squares[size]))) for squares in decoded.squares() if squares]
    unusable = [(a.what, a.why) for a in anomalies]
    unusable += [(name, fault) for name, fault in zip(names, decoded.faults, strict=True) if fault]
    for name, why in unusable[:_NAMED]:
        say(f"{folder}: {name} is left out: {why}")
    if len(unusable) > _NAMED:
        say(f"{folder}: {len(unusable) - _NAMED:,} more are left out")
    if len(images) < LEAST:
        raise UsageError(f"{folder}: {len(images)} usable pictures, at least {LEAST} are needed; give more")
    small = int(((np.minimum(decoded.widths, decoded.heights) < size) & (decoded.widths > 0)).sum())
    if small:
        say(f"{folder}: {small:,} of {len(images):,} pictures are smaller than {size} px and are enlarged")
    ids = tuple(name for name, fault in zip(names, decoded.faults, strict=True) if not fault)
    return ImageSet(np.stack(images), np.full(len(ids), label, np.int32), ids, ("real",) * len(ids))


def held_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training images, and a random share of the images that is held out of the training."""
    order = np.random.default_rng([seed, 0x5E]).permutation(len(images))
    count = round(share * len(images))
    return images.take(np.sort(order[count:])), images.take(np.sort(order[:count]))


def fingerprint(folder: str | Path) -> str:
    """A hex digest that changes when the pictures do, by their names, sizes and times."""
    root, digest = _checked(folder), hashlib.sha256()
    for name in walk(root, []):
        digest.update(repr((name, *size_and_time(root / name))).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def check_apart(folders: dict[str, str | Path]) -> None:
    """Raises `UsageError` where two of the folders (by what they are called in the message) are one, or one holds
    another."""
    places = [(name, folder, Path(folder).resolve()) for name, folder in folders.items()]
    for index, (name, folder, place) in enumerate(places):
        for earlier, _, earlier_place in places[:index]:
            if place == earlier_place:
                raise UsageError(f"{folder}: {name} is the same folder as {earlier}; give two")
            if place in earlier_place.parents or earlier_place in place.parents:
                raise UsageError(f"{folder}: {name} and {earlier} lie one within the other; give folders apart")


def _checked(folder: str | Path) -> Path:
    path = Path(folder)
    if not path.is_dir():
        problem = "that is a file" if path.exists() else "there is no such folder"
        raise UsageError(f"{folder}: {problem}; give a folder of pictures")
    return path
