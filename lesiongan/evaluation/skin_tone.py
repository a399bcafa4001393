"""The skin beside a lesion, and its tone by the individual typology angle (ITA).

ITA = arctan((L* - 50) / b*) in degrees, of CIELAB under D65 (Chardon, Cretois and Hourseau 1991, "Skin colour typology
and suntanning pathways"); groups by Del Bino and Bernerd 2013, "Variations in skin colour and the biological
consequences of ultraviolet radiation exposure": above 55 very light, above 41 light, above 28 intermediate, above 10
tan, above -30 brown, else dark.

The angle is taken of the median colour of skin pixels: the lit pixels of a ring along the picture's border that are
brighter than Otsu's threshold between lesion and skin, without the darkest and brightest twentieth (hair, reflections).

What is known against it: dermatoscopes are not colorimeters. Their light, polarisation and white balance shift L* and
b*, so that groups may differ between cameras more than between people; and ways of finding the skin, and experts and
crowds who judge the same pictures, disagree (Kinyanjui et al. 2020, "Fairness of classifiers across skin tones in
dermatology"; Groh et al. 2022, "Towards transparency in dermatology image datasets with skin tone annotations by
experts, crowds, and an algorithm"). The groups compare pictures of one source with each other; they say nothing certain
of a person. Where b* is below 0, as a blue cast makes it, the published formula jumps from one end of the scale to the
other; here the angle goes on beyond 90 degrees.
"""

from __future__ import annotations

import numpy as np

#: Groups and the angle, in degrees, above which each begins, from light to dark.
GROUPS = {"very light": 55.0, "light": 41.0, "intermediate": 28.0, "tan": 10.0, "brown": -30.0, "dark": -np.inf}
UNKNOWN = "unknown"  # without enough skin in the picture

_LIT = 30  # grey levels; what is darker is outside the field of view
_RING = 0.15  # of the side, along the border
_LEAST = 0.02  # share of the pixels that skin must have
_TRIMMED = 0.05
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
#: Linear sRGB to CIE XYZ, and the white of D65 (IEC 61966-2-1).
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1.0, 1.08883])


def typology_angle(lab: np.ndarray) -> np.ndarray:
    """ITA in degrees, -180 to 180, of colours `[..., 3]` (L*, a*, b*)."""
    return np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))


def group(angle: float) -> str:
    """The group of an angle in degrees; `UNKNOWN` for NaN."""
    return UNKNOWN if np.isnan(angle) else next(name for name, above in GROUPS.items() if angle > above)


def angles(images: np.ndarray) -> np.ndarray:
    """The ITA of the skin in each picture, uint8 `[n, s, s, 3]` -> float `[n]`; NaN where there is too little skin."""
    return np.array([_angle(image) for image in images], np.float64).reshape(len(images))


def skin_colour(image: np.ndarray) -> np.ndarray | None:
    """The median colour of the skin in a picture, uint8 `[s, s, 3]` -> L*, a*, b*; None where there is too little."""
    grey = image @ _LUMA
    lit = grey > _LIT
    ring = np.ones(grey.shape, bool)
    width = max(1, round(_RING * len(grey)))
    ring[width:-width, width:-width] = False
    if not lit.any():
        return None
    skin = ring & lit & (grey >= otsu(grey[lit]))
    if skin.sum() < _LEAST * grey.size:
        return None
    low, high = np.quantile(grey[skin], (_TRIMMED, 1 - _TRIMMED))
    return np.median(to_lab(image[skin & (grey >= low) & (grey <= high)]), axis=0)


def to_lab(colours: np.ndarray) -> np.ndarray:
    """sRGB, uint8 `[..., 3]`, as CIELAB (L* 0 to 100) under D65."""
    values = np.asarray(colours, np.float64) / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    ratios = linear @ _XYZ.T / _WHITE
    curve = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = curve[..., 0], curve[..., 1], curve[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def otsu(grey: np.ndarray) -> float:
    """The level that parts values from 0 to 255 into two groups best (Otsu 1979); the lowest where all are equal."""
    counts = np.bincount(np.clip(np.rint(grey), 0, 255).astype(int).ravel(), minlength=256).astype(np.float64)
    below = counts.cumsum()
    sums = (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    spread = np.nan_to_num(spread)
    return float(spread.argmax() + 1) if spread.any() else float(grey.min())


def _angle(image: np.ndarray) -> float:
    colour = skin_colour(image)
    return np.nan if colour is None else float(typology_angle(colour))
