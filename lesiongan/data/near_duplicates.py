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

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lesiongan.data.image_set import turned

_FREQUENCIES = 8  # the lowest of each direction; 64 bits
_MAX_BITS = 10  # by which candidates' hashes may differ
_MIN_CORRELATION = 0.96
_LIT = 30  # grey levels; what is darker is outside the dermatoscope's field of view
_MARGIN = 3  # pixels of a thumbnail along that field's edge which are not compared
_SLOW = 2.0  # pixels, the standard deviation of the blur that is taken away
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)  # a pixel and its four neighbours
_BLOCK = 512
_CANDIDATES = 1 << 22  # pairs of hashes compared at a time
_MOST_PAIRS = 16
#: Positions (first, second), int64 `[n]` each.
Positions = tuple[np.ndarray, np.ndarray]


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
    """Pairs of nearly the same picture among thumbnails uint8 `[n, 32, 32]`, in order of their positions.

    All of them, as long as no picture has dozens of copies behind it: of those that a picture begins 16 are looked for,
    and beyond them those alone that join what is not yet joined. Time grows with n^2, memory with n: 25,000 pictures
    take about 20 s on one core.

    Args:
        across: only pairs of one of the first `across` pictures with one of the others.
    """
    if len(thumbnails) < 2:
        return []
    groups = _Groups(len(thumbnails))
    # A picture without any structure (one colour) has nothing that a correlation could find.
    identical = np.array(list(_identical(thumbnails, across)), np.int64).reshape(-1, 2)
    groups.join(identical[:, 0], identical[:, 1])
    best: dict[tuple[int, int], float] = {}
    details, lit = _details(thumbnails)
    hashes = perceptual_hashes(thumbnails)
    for symmetry in range(8):
        groups.looked[:] = 0
        for first, second in groups.chosen(_candidates(hashes, perceptual_hashes(thumbnails, symmetry), across)):
            both = lit[first] & turned(lit[second], symmetry)
            x, y = details[first] * both, turned(details[second], symmetry) * both
            norms = np.sqrt((x * x).sum((1, 2)) * (y * y).sum((1, 2)))
            correlation = (x * y).sum((1, 2)) / np.maximum(norms, 1e-6)
            found = np.flatnonzero(correlation >= _MIN_CORRELATION)
            for i in found:
                key = int(first[i]), int(second[i])
                best[key] = max(best.get(key, 0.0), min(1.0, float(correlation[i])))
            groups.join(first[found], second[found])
    best |= dict.fromkeys(((first, second) for first, second in identical.tolist()), 1.0)
    return [Pair(*pair, correlation) for pair, correlation in sorted(best.items())]


class _Groups:
    """Which pictures are joined by pairs, and how many joined ones each was compared with. Of thousands of copies of
    one picture all pairs would be millions; what joins them, and a few more of each, is enough."""

    def __init__(self, n: int):
        self.labels, self.looked = np.arange(n), np.zeros(n, np.int64)

    def chosen(self, candidates: Iterable[Positions]) -> Iterator[Positions]:
        """Those of the candidates that are to be compared, in small blocks; what they join is to be told in between."""
        for first, second in candidates:
            wanted = self._worth_a_look(first, second)
            first, second = first[wanted], second[wanted]
            apart = self.labels[first] != self.labels[second]
            for part in (np.flatnonzero(~apart), np.flatnonzero(apart)):
                for begin in range(0, len(part), _BLOCK):
                    block = part[begin : begin + _BLOCK]
                    if apart[block[0]]:  # some may have been joined since
                        block = block[self._worth_a_look(first[block], second[block])]
                    yield first[block], second[block]

    def _worth_a_look(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Which of some candidates, sorted by the first, are to be compared; joined ones are counted."""
        joined = self.labels[first] == self.labels[second]
        before = np.cumsum(joined) - joined  # how many joined ones stand before each
        begins = np.maximum.accumulate(np.where(np.diff(first, prepend=-1) != 0, before, 0))
        again = joined & (self.looked[first] + before - begins < _MOST_PAIRS)
        np.add.at(self.looked, first[again], 1)
        return ~joined | again

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        apart = self.labels[first] != self.labels[second]
        if not apart.any():
            return
        ends = self.labels[first][apart], self.labels[second][apart]
        graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(len(self.labels),) * 2)
        self.labels = connected_components(graph, directed=False)[1][self.labels]


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


def _candidates(hashes: np.ndarray, others: np.ndarray, across: int | None) -> Iterator[Positions]:
    """Blocks of positions (first, second), first < second, whose hashes differ in few bits."""
    end = len(hashes) if across is None else across
    block = min(_BLOCK, max(1, _CANDIDATES // len(hashes)))
    for begin in range(0, end, block):
        rows, beyond = hashes[begin : min(begin + block, end), None], begin + 1 if across is None else across
        first, second = np.nonzero(np.bitwise_count(rows ^ others[None, beyond:]) <= _MAX_BITS)
        first, second = first + begin, second + beyond
        after = second > first
        yield first[after], second[after]


def _identical(thumbnails: np.ndarray, across: int | None):
    """Each picture with the first one that has the same thumbnail to the last bit."""
    seen: dict[bytes, int] = {}
    for position, image in enumerate(thumbnails):
        key = image.tobytes()
        first = seen.setdefault(key, position) if across is None or position < across else seen.get(key, position)
        if first != position and (across is None or position >= across):
            yield first, position
