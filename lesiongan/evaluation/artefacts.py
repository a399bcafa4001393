"""What is in a dermoscopy picture beside skin and lesion, as plain statistics of its pixels.

All are of uint8 `[n, s, s, 3]`; grey is ITU-R BT.601's luma, 0 to 255.

- `frame`: the share of pixels that are dark (30 or less) and joined to the picture's border by such pixels: the black
  beyond a dermatoscope's round field of view. 0 to 1.
- `vignette`: how much darker the outermost tenth of the lit field of view is than the ring before the last third of its
  radius, as a share of the latter. 0 where the light is even.
- `lines`: the share of lit pixels on thin dark lines (hair, and the ticks of rulers): where a closing along one of four
  directions (s / 8 pixels) is 20 levels or more above the picture, and along another one it is not (a line, not a dot).
  After the black-hat transform of hair removal (Lee et al. 1997, "DullRazor"). 0 to 1.
- `ruler`: how regular the lines along a border are (an eighth of the side deep, of the four borders the one with most):
  the least of the correlations of their marks with themselves moved by one, two and three periods, at the best period
  of 3 pixels to a fifth of the side; without those at the edge of a black frame. Near 0 for marks at random, 1 for the
  ticks of a scale, 0 where there are hardly any. Scales whose ticks are finer than 3 pixels, most of them at 64 px, are
  not seen.
- `border`: how far the outermost line of pixels stands out: the mean change of grey from it to the next line, over that
  from the second to the third and from the third to the fourth. About 1 in photographs; networks that see zeros beyond
  the border may draw another line there, which gives their pictures away.
- `blocks`: the mean change of grey across the lines that quarter the picture, over that across the other lines of its
  middle three quarters. About 1 in photographs; pictures of a network that doubles its maps may keep the blocks of the
  first one, 4 x 4 in the ACGANs here.
- `grain`: the mean change of grey from a lit pixel to the four beside it, less what remains after a median of 3 x 3, in
  grey levels: noise, chequers, and lines of a single pixel.
- `lightness`, `red`, `yellow`: L*, a* and b* of the skin (`skin_tone.skin_colour`): the camera's colours, as far as
  sources and classes do not differ by people. NaN where no skin is seen.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lesiongan.evaluation.skin_tone import skin_colour

STATISTICS = ("frame", "vignette", "lines", "ruler", "border", "blocks", "grain", "lightness", "red", "yellow")

_DARK = 30
_CONTRAST = 20  # grey levels of a line
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ROWS_AT_A_TIME = 128
_FEW_MARKS = 0.02  # standard deviation along a border below which there are hardly any


def artefacts(images: np.ndarray) -> dict[str, np.ndarray]:
    """Statistic of `STATISTICS` -> float `[n]`."""
    parts = [_artefacts(images[begin : begin + _ROWS_AT_A_TIME]) for begin in range(0, len(images), _ROWS_AT_A_TIME)]
    return {name: np.concatenate([np.zeros(0), *(part[name] for part in parts)]) for name in STATISTICS}


def _artefacts(images: np.ndarray) -> dict[str, np.ndarray]:
    grey = images.astype(np.float32) @ _LUMA
    marks = _lines(grey)
    lit = grey > _DARK
    colours = [skin_colour(image) for image in images]
    skin = np.array([np.full(3, np.nan) if colour is None else colour for colour in colours])
    return {
        "frame": np.array([_frame(picture) for picture in ~lit]),
        "vignette": np.array([_vignette(*pair) for pair in zip(grey, lit, strict=True)]),
        "lines": (marks & lit).sum((1, 2)) / np.maximum(lit.sum((1, 2)), 1),
        "ruler": np.array([_ruler(picture) for picture in marks & ~_beside_frame(~lit)]),
        "border": _border(grey),
        "blocks": _blocks(grey),
        "grain": _grain(grey, lit),
        "lightness": skin[:, 0],
        "red": skin[:, 1],
        "yellow": skin[:, 2],
    }


def _frame(dark: np.ndarray) -> float:
    labels, _ = ndimage.label(dark)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return float(np.isin(labels, border[border > 0]).mean())


def _beside_frame(dark: np.ndarray) -> np.ndarray:
    """Broad dark parts and what is within two pixels of them, bool `[n, s, s]`; ticks are thin."""
    square = np.ones((1, 3, 3), bool)
    return ndimage.binary_dilation(ndimage.binary_opening(dark, square), square, iterations=3)


def _vignette(grey: np.ndarray, lit: np.ndarray) -> float:
    side = len(grey)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(y, x)
    if not lit.any():
        return 0.0
    # of the lit field, so that a black frame is no vignette
    reach = np.quantile(radius[lit], 0.98)
    outer, inner = (
        lit & (radius > 0.9 * reach) & (radius <= reach),
        lit & (radius > 0.6 * reach) & (radius < 0.7 * reach),
    )
    if not outer.any() or not inner.any():
        return 0.0
    # medians: hair and rulers do not count
    return float(1.0 - np.median(grey[outer]) / np.median(grey[inner]))


def _lines(grey: np.ndarray) -> np.ndarray:
    """Pixels on thin dark lines, bool `[n, s, s]`."""
    length = max(3, grey.shape[1] // 8) | 1
    eye = np.eye(length, dtype=bool)
    shapes = (np.ones((1, length), bool), np.ones((length, 1), bool), eye, eye[:, ::-1])
    closed = np.stack([ndimage.grey_closing(grey, footprint=shape[None]) - grey for shape in shapes])
    return (closed.max(0) >= _CONTRAST) & (closed.min(0) < _CONTRAST)


def _ruler(marks: np.ndarray) -> float:
    side = len(marks)
    deep = max(2, side // 8)
    bands = (marks[:deep], marks[-deep:], marks[:, :deep].T, marks[:, -deep:].T)
    return max(_periodic(band.mean(0), side) for band in bands)


def _border(grey: np.ndarray) -> np.ndarray:
    sides = [grey, grey[:, ::-1], grey.swapaxes(1, 2), grey.swapaxes(1, 2)[:, ::-1]]
    steps = sum(np.abs(np.diff(side[:, :4, 4:-4], axis=1)).mean(2) for side in sides)  # `[n, 3]`
    return steps[:, 0] / np.maximum(steps[:, 1:].mean(1), 0.1)


def _blocks(grey: np.ndarray) -> np.ndarray:
    side = grey.shape[1]
    changes = sum(np.abs(np.diff(grey, axis=axis)).mean(3 - axis) for axis in (1, 2))  # `[n, s - 1]`
    middle = np.arange(side // 8, side - 1 - side // 8)
    quarters = np.arange(1, 4) * side // 4 - 1
    others = changes[:, np.setdiff1d(middle, quarters)]
    return changes[:, quarters].mean(1) / np.maximum(others.mean(1), 0.1)


def _grain(grey: np.ndarray, lit: np.ndarray) -> np.ndarray:
    smooth = ndimage.median_filter(grey, (1, 3, 3))
    fine = sum(_steps(grey, axis) - _steps(smooth, axis) for axis in (1, 2))
    used = lit[:, :-1, :-1]
    return (fine * used).sum((1, 2)) / np.maximum(2 * used.sum((1, 2)), 1)


def _steps(grey: np.ndarray, axis: int) -> np.ndarray:
    """Changes of grey along an axis, `[n, s - 1, s - 1]`."""
    return np.abs(np.diff(grey, axis=axis))[:, : grey.shape[1] - 1, : grey.shape[2] - 1]


def _periodic(profile: np.ndarray, side: int) -> float:
    if profile.std() < _FEW_MARKS:
        return 0.0
    marks, best = profile - profile.mean(), 0.0
    for period in range(3, side // 5 + 1):
        pairs = [(marks[: -times * period], marks[times * period :]) for times in (1, 2, 3)]
        lengths = [np.sqrt((first @ first) * (second @ second)) for first, second in pairs]
        best = max(best, min(first @ second / max(n, 1e-12) for (first, second), n in zip(pairs, lengths, strict=True)))
    return float(best)
