"""Images in memory with random access: what every training reads."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A set of square images.

    Attributes:
        images: uint8 `[n, size, size, 3]`, RGB, 0 to 255.
        labels: int32 `[n]`, indices into the taxonomy.
        ids: the image ids, n strings.
        origins: n strings: `real`, `phantom`, or the name of the generator that made the image.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    origins: tuple[str, ...]

    def __post_init__(self):
        n = len(self.images)
        if not (len(self.labels) == len(self.ids) == len(self.origins) == n):
            raise ValueError(
                f"images, labels, ids and origins must be equally many, got {n}, {len(self.labels)}, "
                f"{len(self.ids)}, {len(self.origins)}"
            )
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 [n, size, size, 3], got {self.images.dtype} {self.images.shape}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        return self.images.shape[1]

    def take(self, indices) -> ImageSet:
        """The images at `indices` (an integer array, or a boolean mask), in that order."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        indices = indices.astype(np.int64)
        return ImageSet(
            self.images[indices],
            self.labels[indices],
            tuple(self.ids[i] for i in indices),
            tuple(self.origins[i] for i in indices),
        )

    def of_class(self, label: int) -> ImageSet:
        return self.take(self.labels == label)

    @staticmethod
    def join(sets) -> ImageSet:
        sets = list(sets)
        return ImageSet(
            np.concatenate([s.images for s in sets]),
            np.concatenate([s.labels for s in sets]),
            sum((s.ids for s in sets), ()),
            sum((s.origins for s in sets), ()),
        )


def spread_over(count: int, n: int) -> np.ndarray:
    """At most `count` of the places 0 to n - 1, evenly apart, the same in every run."""
    return np.unique(np.linspace(0, n - 1, min(count, n)).astype(int))


def to_unit(images):
    """uint8 0 to 255 -> float32 [-1, 1] (mean 0.5, std 0.5), as the paper scales; NumPy in, NumPy out."""
    return images.astype(np.float32) / 127.5 - 1.0


def to_uint8(images):
    """Float [-1, 1] -> uint8 0 to 255, rounded and clipped; NumPy in, NumPy out."""
    return np.clip(np.rint((np.asarray(images) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def turned(images: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the eight symmetries of the square, of images `[n, s, s, ...]`: bit 0 of `symmetry` mirrors left-right,
    bit 1 up-down, bit 2 transposes (last)."""
    if symmetry & 1:
        images = images[:, :, ::-1]
    if symmetry & 2:
        images = images[:, ::-1]
    return images.swapaxes(1, 2) if symmetry & 4 else images
