"""Which images a classifier has learned from, so that nobody measures it on those without being told.

Beside the model lie digests of 8 bytes of each training image's id and pixels; neither can be read back from them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lesiongan.base.files import write_arrays
from lesiongan.data.image_set import ImageSet
from lesiongan.serving.model_artifact import SEEN


def note(folder: Path, images: ImageSet) -> None:
    """Writes the digests beside a model."""
    write_arrays(folder / SEEN, ids=_of_ids(images), pixels=_of_pixels(images))


def seen(folder: Path, images: ImageSet) -> tuple[int, int]:
    """How many of the images a model has learned from: by their pixels (at the model's size), and by their id alone,
    where the file may be another form of the same picture. (0, 0) of a model that has no note."""
    if not (folder / SEEN).is_file():
        return 0, 0
    with np.load(folder / SEEN) as known:
        by_pixels = np.isin(_of_pixels(images), known["pixels"])
        by_id = np.isin(_of_ids(images), known["ids"]) & ~by_pixels
    return int(by_pixels.sum()), int(by_id.sum())


def warning(by_pixels: int, by_id: int, of: int) -> str:
    """A line about what `seen` found among `of` images; empty where that is nothing."""
    if not by_pixels + by_id:
        return ""
    named = f", {by_id:,} of them by their names alone" if by_id else ""
    return (
        f"{by_pixels + by_id:,} of {of:,} images are among those that the model learned from{named}: "
        "on them it does better than on new ones"
    )


def _of_ids(images: ImageSet) -> np.ndarray:
    return _digests(image_id.encode() for image_id in images.ids)


def _of_pixels(images: ImageSet) -> np.ndarray:
    return _digests(np.ascontiguousarray(image).tobytes() for image in images.images)


def _digests(contents) -> np.ndarray:
    return np.array(
        [int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") for content in contents], np.uint64
    )
