"""The same structure in two pictures, found again when one was blurred, moved, turned, recoloured, compressed.

A picture is brought to what such changes leave alone: brightness without its slow changes inside the lit field of view,
in which every spatial frequency has the same strength (so that blur, contrast and sharpening do not count) between
about 1 / 16 and 1 / 4 of a cycle per pixel of a 32-pixel thumbnail. Two such pictures are compared by normalised
cross-correlation of the first one's middle, wherever in the other it fits best (up to 4 of 32 pixels away), in the
eight symmetries of the square.

Candidates are found by the strengths of the frequencies, which do not change when a picture moves, and not when it is
turned by half.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

from lesiongan.data.image_set import turned
from lesiongan.data.pictures import THUMBNAIL

_LIT = 30  # grey levels; what is darker is outside the dermatoscope's field of view
_MARGIN = 2  # pixels along that field's edge which are not compared
_SLOW = 2.0  # pixels, the standard deviation of the blur that is taken away
_BAND = 2.0, 6.0  # cycles per picture: what lies below the first and above the second fades out
_REACH = 4  # pixels that a copy may have moved
_MIDDLE = THUMBNAIL - 2 * _REACH
_FREQUENCIES = 8  # of each direction, for candidates
_QUARTER_TURNS = (0, 1, 4, 5)  # symmetries that half a turn (both lower bits) does not join
_CANDIDATES = 16  # of each of them; twice as many are compared
_ROWS_AT_A_TIME = 512
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)

_Y, _X = np.meshgrid(np.fft.fftfreq(THUMBNAIL), np.fft.rfftfreq(THUMBNAIL), indexing="ij")
_RADIUS = np.hypot(_Y, _X) * THUMBNAIL  # cycles per picture
_RING = np.rint(_RADIUS).astype(int)
_PROFILE = (1.0 - np.exp(-((_RADIUS / _BAND[0]) ** 2))) * np.exp(-((_RADIUS / _BAND[1]) ** 2))
_WINDOW = np.outer(*[np.hanning(THUMBNAIL + 2)[1:-1]] * 2).astype(np.float32)


class Fits(NamedTuple):
    """How well pictures fit others.

    Attributes:
        places: of the best one, int64 `[n]`.
        distances: of it, 1 less the correlation, float32 `[n]`, 0 to 2.
        ratios: that distance over the median one of the other candidates, float32 `[n]`: near 0 for a copy, near 1
            where many fit alike, as plain pictures do.
    """

    places: np.ndarray
    distances: np.ndarray
    ratios: np.ndarray


class Structures:
    """Pictures among which others are looked for: thumbnails uint8 `[m, 32, 32]`."""

    def __init__(self, thumbnails: np.ndarray):
        self._pictures = equalised(thumbnails)
        self._strengths = _strengths(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)

    def fits(
        self, thumbnails: np.ndarray, groups: np.ndarray | None = None, own_groups: np.ndarray | None = None
    ) -> Fits:
        """The best fit of each of `[n, 32, 32]`.

        Args:
            groups, own_groups: int `[n]` of the thumbnails and `[m]` of the pictures here: those of one group are not
                compared. -1 is no group.
        """
        results = [
            self._fits(
                equalised(thumbnails[begin : begin + _ROWS_AT_A_TIME]),
                None if groups is None else groups[begin : begin + _ROWS_AT_A_TIME],
                own_groups,
            )
            for begin in range(0, len(thumbnails), _ROWS_AT_A_TIME)
        ]
        if not results or not len(self):
            n = len(thumbnails)
            return Fits(np.zeros(n, np.int64), np.full(n, np.inf, np.float32), np.full(n, np.inf, np.float32))
        return Fits(*(np.concatenate(parts) for parts in zip(*results, strict=True)))

    def _fits(self, pictures: np.ndarray, groups: np.ndarray | None, own_groups: np.ndarray | None) -> Fits:
        places, symmetries = self._candidates(pictures, groups, own_groups)
        rows = np.arange(len(pictures))
        every = np.stack([np.ascontiguousarray(turned(pictures, symmetry)) for symmetry in range(8)])
        distances = np.empty(places.shape, np.float32)
        for k in range(places.shape[1]):
            there = np.fft.rfft2(self._pictures[places[:, k]]), _energy(self._pictures[places[:, k]])
            both = (_correlation(every[symmetries[:, k] ^ half, rows], *there) for half in (0, 3))
            distances[:, k] = 1.0 - np.maximum(*both)
        if groups is not None and own_groups is not None:
            distances[_of_one_group(groups[:, None], own_groups[places])] = np.inf
        best = distances.argmin(1)
        found, nearest = places[rows, best], distances[rows, best]
        others = np.where((places == found[:, None]) | np.isinf(distances), np.nan, distances)
        # with fewer than two others nothing says what is usual
        known = np.isfinite(others).sum(1) > 1
        others[~known] = np.inf
        usual = np.nanmedian(others, axis=1)
        ratios = np.where(np.isinf(nearest), np.inf, np.where(known, nearest / np.maximum(usual, 1e-6), nearest))
        return Fits(found, nearest, ratios.astype(np.float32))

    def _candidates(
        self, pictures: np.ndarray, groups: np.ndarray | None, own_groups: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places and symmetries, int `[n, c]` each, of the candidates."""
        count = min(_CANDIDATES, len(self))
        places, likeness = [], []
        for symmetry in _QUARTER_TURNS:
            alike = _strengths(turned(pictures, symmetry)) @ self._strengths.T
            if groups is not None and own_groups is not None:
                alike[_of_one_group(groups[:, None], own_groups)] = -np.inf
            few = np.argpartition(-alike, count - 1, axis=1)[:, :count]
            places.append(few)
            likeness.append(np.take_along_axis(alike, few, 1))
        symmetries = np.repeat(np.array(_QUARTER_TURNS), count)[None].repeat(len(pictures), 0)
        best = np.argsort(-np.concatenate(likeness, 1), axis=1, kind="stable")[:, : 2 * count]
        return np.take_along_axis(np.concatenate(places, 1), best, 1), np.take_along_axis(symmetries, best, 1)


def equalised(thumbnails: np.ndarray) -> np.ndarray:
    """uint8 `[n, 32, 32]` -> float32 `[n, 32, 32]`, each of length 1: what blur, colour and contrast leave alone."""
    result = np.empty(thumbnails.shape, np.float32)
    for begin in range(0, len(thumbnails), _ROWS_AT_A_TIME):
        rows = slice(begin, begin + _ROWS_AT_A_TIME)
        spectrum = np.fft.rfft2(_details(thumbnails[rows]))
        power = np.abs(spectrum) ** 2
        strength = np.stack([power[:, ring == _RING].mean(1) for ring in range(_RING.max() + 1)], 1) ** 0.5
        strength += 1e-3 * strength.max(1, keepdims=True) + 1e-6
        equal = np.fft.irfft2(spectrum / strength[:, _RING] * _PROFILE, (THUMBNAIL, THUMBNAIL))
        result[rows] = equal / (np.sqrt((equal * equal).sum((1, 2), keepdims=True)) + 1e-6)
    return result


def _details(thumbnails: np.ndarray) -> np.ndarray:
    """Brightness less its own blur, within the lit field of view."""
    grey = thumbnails.astype(np.float32)
    field = grey > _LIT
    weight = gaussian_filter(field.astype(np.float32), (0, _SLOW, _SLOW))
    blur = gaussian_filter(grey * field, (0, _SLOW, _SLOW)) / np.maximum(weight, 1e-3)
    return (grey - blur) * binary_erosion(field, _CROSS, iterations=_MARGIN, border_value=1)


def _strengths(pictures: np.ndarray) -> np.ndarray:
    """Square roots of the frequencies' strengths, float32 `[n, 153]`, each row of length 1."""
    strengths = np.sqrt(np.abs(np.fft.rfft2(pictures * _WINDOW)), dtype=np.float32)
    right = strengths[:, :, : _FREQUENCIES + 1]
    both = np.concatenate([right[:, : _FREQUENCIES + 1], right[:, -_FREQUENCIES:]], 1)
    flat = both.reshape(len(pictures), np.prod(both.shape[1:]))
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def _energy(pictures: np.ndarray) -> np.ndarray:
    """The sum of squares under the middle's window at each place, `[n, 9, 9]`."""
    sums = np.pad(pictures * pictures, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
    rows = sums[:, _MIDDLE:] - sums[:, :-_MIDDLE]
    return rows[:, :, _MIDDLE:] - rows[:, :, :-_MIDDLE]


def _correlation(pictures: np.ndarray, spectra: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """The highest correlation `[n]` of each picture's middle with the picture of the spectrum beside it.

    The peak lies between pixels: a parabola through its neighbours says how high.
    """
    middle = np.zeros_like(pictures)
    inner = slice(_REACH, _REACH + _MIDDLE)
    middle[:, :_MIDDLE, :_MIDDLE] = pictures[:, inner, inner]
    places = 2 * _REACH + 1
    sums = np.fft.irfft2(spectra * np.conj(np.fft.rfft2(middle)), (THUMBNAIL, THUMBNAIL))[:, :places, :places]
    length = (middle * middle).sum((1, 2))[:, None, None]
    values = sums / np.sqrt(np.maximum(energy * length, 1e-9))
    rows, flat = np.arange(len(values)), values.reshape(len(values), -1)
    y, x = np.divmod(flat.argmax(1), places)
    peak = values[rows, y, x]
    for dy, dx in ((1, 0), (0, 1)):
        inside = (y >= dy) & (y + dy < places) & (x >= dx) & (x + dx < places)
        before = values[rows, np.maximum(y - dy, 0), np.maximum(x - dx, 0)]
        after = values[rows, np.minimum(y + dy, places - 1), np.minimum(x + dx, places - 1)]
        bend = 2 * values[rows, y, x] - before - after
        peak = peak + np.where(inside & (bend > 0), (after - before) ** 2 / (8 * np.maximum(bend, 1e-6)), 0.0)
    return np.minimum(peak, 1.0)


def _of_one_group(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first == second) & (first >= 0)
