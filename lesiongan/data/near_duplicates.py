"""Pictures that are nearly the same: copies, re-encoded, rescaled, recoloured, mirrored or turned.

Two stages. A perceptual hash (64 signs of a picture's lowest frequencies, Zauner 2010, "pHash") finds candidates among
all pairs in seconds. Hashes alone do not tell dermoscopy images apart: most show something round and dark in the middle
of a bright disc (in ISIC 2019 a distance of at most 10 bits joins 60,000 pairs of different lesions). So a candidate
counts only if its fine structure is the same too: the correlation of the two pictures without their slow changes of
brightness, inside the lit field of view.

The limits were chosen by looking at pairs in ISIC 2019: of the 23 pairs above 0.96 that its lesion ids do not join
every one is the same photograph, many with other colours; below 0.95 pairs of different lesions begin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import binary_erosion, gaussian_filter

from lesiongan.data.image_set import turned

_FREQUENCIES = 8  # the lowest of each direction; 64 bits
_MAX_BITS = 10  # by which candidates' hashes may differ
_MIN_CORRELATION = 0.96
_LIT = 30  # grey levels; what is darker is outside the dermatoscope's field of view
_MARGIN = 3  # pixels of a thumbnail along that field's edge which are not compared
_SLOW = 2.0  # pixels, the standard deviation of the blur that is taken away
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)  # a pixel and its four neighbours
_BLOCK = 512


class Pair(NamedTuple):
    """Two positions with nearly the same picture, the first below the second, and the correlation in [0.96, 1]."""

    first: int
    second: int
    correlation: float


def perceptual_hashes(thumbnails: np.ndarray, symmetry: int = 0) -> np.ndarray:
    """The 64-bit hash of each thumbnail as `turned` turns it: uint8 `[n, 32, 32]` -> uint64 `[n]`.

    A bit is set where one of the 8 x 8 lowest coefficients of the cosine transform is above their median (without the
    mean brightness).
    """
    coefficients = dctn(thumbnails.astype(np.float32), axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    signs = (-1.0) ** np.arange(_FREQUENCIES)  # mirroring turns the sign of the odd frequencies
    if symmetry & 1:
        coefficients = coefficients * signs
    if symmetry & 2:
        coefficients = coefficients * signs[:, None]
    if symmetry & 4:
        coefficients = coefficients.transpose(0, 2, 1)
    flat = coefficients.reshape(len(coefficients), -1)
    bits = flat > np.median(flat[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def near_duplicates(thumbnails: np.ndarray, across: int | None = None) -> list[Pair]:
    """All pairs of nearly the same picture among thumbnails uint8 `[n, 32, 32]`, in order of their positions.

    Time grows with n^2, memory with n: 25,000 pictures take about 20 s on one core.

    Args:
        across: only pairs of one of the first `across` pictures with one of the others.
    """
    if len(thumbnails) < 2:
        return []
    best: dict[tuple[int, int], float] = {}
    details, lit = _details(thumbnails)
    hashes = perceptual_hashes(thumbnails)
    for symmetry in range(8):
        for first, second in _candidates(hashes, perceptual_hashes(thumbnails, symmetry), across):
            both = lit[first] & turned(lit[second], symmetry)
            x, y = details[first] * both, turned(details[second], symmetry) * both
            norms = np.sqrt((x * x).sum((1, 2)) * (y * y).sum((1, 2)))
            correlation = (x * y).sum((1, 2)) / np.maximum(norms, 1e-6)
            for i in np.flatnonzero(correlation >= _MIN_CORRELATION):
                key = int(first[i]), int(second[i])
                best[key] = max(best.get(key, 0.0), min(1.0, float(correlation[i])))
    # A picture without any structure (one colour) has nothing that a correlation could find.
    best |= dict.fromkeys(_identical(thumbnails, across), 1.0)
    return [Pair(*pair, correlation) for pair, correlation in sorted(best.items())]


def _details(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each picture less its own blur, float32 `[n, s, s]`, and where it is lit, bool `[n, s, s]`."""
    details, lit = np.empty(thumbnails.shape, np.float32), np.empty(thumbnails.shape, bool)
    for begin in range(0, len(thumbnails), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        grey = thumbnails[block].astype(np.float32)
        field = grey > _LIT
        weight = gaussian_filter(field.astype(np.float32), (0, _SLOW, _SLOW))
        blur = gaussian_filter(grey * field, (0, _SLOW, _SLOW)) / np.maximum(weight, 1e-3)
        details[block] = grey - blur
        lit[block] = binary_erosion(field, _CROSS, iterations=_MARGIN, border_value=1)
    return details, lit


def _candidates(hashes: np.ndarray, others: np.ndarray, across: int | None):
    """Blocks of positions (first, second), first < second, whose hashes differ in few bits."""
    end = len(hashes) if across is None else across
    for begin in range(0, end, _BLOCK):
        rows, beyond = hashes[begin : min(begin + _BLOCK, end), None], begin + 1 if across is None else across
        first, second = np.nonzero(np.bitwise_count(rows ^ others[None, beyond:]) <= _MAX_BITS)
        first, second = first + begin, second + beyond
        after = second > first
        first, second = first[after], second[after]
        for i in range(0, len(first), _BLOCK):
            yield first[i : i + _BLOCK], second[i : i + _BLOCK]


def _identical(thumbnails: np.ndarray, across: int | None):
    """Each picture with the first one that has the same thumbnail to the last bit."""
    seen: dict[bytes, int] = {}
    for position, image in enumerate(thumbnails):
        key = image.tobytes()
        first = seen.setdefault(key, position) if across is None or position < across else seen.get(key, position)
        if first != position and (across is None or position >= across):
            yield first, position
