"""Brushes for phantoms: noise, cells, outlines and ink, each the same picture at any size.

Positions are in units where the image spans [-1, 1] both ways. Random numbers are drawn independently of the
number of pixels. Arithmetic is float64, so that the rounding to uint8 at the end hides differences between machines.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

_INK_SIZE = 512  # the canvas of `Ink` before it is averaged down; 8 subpixels per pixel at 64
_CELL_TABLE = 32  # random cells repeat after so many periods, wider than any image


class Plane:
    """The lesion's own coordinates at every pixel: the camera turns, moves and magnifies the lesion.

    Attributes:
        size: pixels per side.
        x, y: `[size, size]`, each pixel centre's place in lesion units.
        pixel: the width of a pixel in lesion units.
    """

    def __init__(self, size: int, *, angle: float = 0.0, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)):
        """Args: size in pixels; angle in radians; zoom above 1 magnifies; shift of the lesion's centre."""
        self.size = size
        self.pixel = 2.0 / size / zoom
        cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
        self.axis = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
        self.matrix = np.array([[cosine, sine], [-sine, cosine]])
        self.offset = -self.matrix @ np.asarray(shift)
        right, down = self.axis[None, :], self.axis[:, None]
        self.x = self.matrix[0, 0] * right + self.matrix[0, 1] * down + self.offset[0]
        self.y = self.matrix[1, 0] * right + self.matrix[1, 1] * down + self.offset[1]

    def to_image(self, points) -> np.ndarray:
        """Lesion units `[n, 2]` -> image units `[n, 2]` in [-1, 1]."""
        return (np.asarray(points, dtype=float).reshape(-1, 2) - self.offset) @ np.linalg.inv(self.matrix).T


def _waves(rng, plane: Plane, lengths, amplitudes, directions=None) -> np.ndarray:
    """A sum of plane waves as two matrix products; a wave shorter than a few pixels fades as an area average would."""
    count = len(lengths)
    turn = rng.uniform(0, 2 * np.pi, count) if directions is None else directions
    phase = rng.uniform(0, 2 * np.pi, count)
    number = 2 * np.pi / lengths
    vectors = number[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    weights = amplitudes / np.sqrt(np.sum(amplitudes**2) / 2) * np.exp(-((number * plane.pixel) ** 2) / 24)
    along, shifted = vectors @ plane.matrix, phase + vectors @ plane.offset
    across = plane.axis[:, None] * along[:, 0]
    down = plane.axis[:, None] * along[:, 1] + shifted
    return (np.cos(down) * weights) @ np.cos(across).T - (np.sin(down) * weights) @ np.sin(across).T


def fractal(rng, plane: Plane, length: float, *, roughness: float = 1.25, count: int = 64) -> np.ndarray:
    """Cloudy noise `[size, size]`, mean about 0, standard deviation about 1, details from `length` down to a 16th."""
    lengths = length * 16.0 ** -rng.uniform(0, 1, count)
    return _waves(rng, plane, lengths, (lengths / length) ** roughness)


def bumps(rng, plane: Plane, length: float, *, along: float | None = None, spread: float = 0.3) -> np.ndarray:
    """Noise of one wavelength, mean 0, standard deviation 1: blobs and gyri; with `along` (radians) parallel ridges."""
    lengths = length * rng.uniform(0.85, 1.2, 40)
    directions = None if along is None else along + np.pi / 2 + rng.normal(0, spread, 40)
    return _waves(rng, plane, lengths, np.ones(40), directions)


def cells(
    rng, plane: Plane, period: float, jitter: float = 0.75, warp: float = 0.13
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells around jittered grid points (Worley 1996), their walls bent by `warp` periods.

    Returns: three `[size, size]` arrays: the distance to the cell's point and the distance to the cell's wall (0 on
    it), both in periods, and a random number in [0, 1) that is the cell's own.
    """
    table = _CELL_TABLE
    points = 0.5 + jitter * (rng.random((2, table * table)) - 0.5)
    own = rng.random(table * table)
    x = plane.x / period + warp * bumps(rng, plane, 2.2 * period)
    y = plane.y / period + warp * bumps(rng, plane, 2.2 * period)
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    x, y = x - column, y - row
    first = np.full(x.shape, np.inf)
    second = np.full(x.shape, np.inf)
    nearest = np.zeros(x.shape, np.int64)
    for i in (-1, 0, 1):
        above = (row + i) % table * table
        for j in (-1, 0, 1):
            index = above + (column + j) % table
            distance = (x - j - points[0][index]) ** 2 + (y - i - points[1][index]) ** 2
            closer = distance < first
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
            nearest[closer] = index[closer]
    first, second = np.sqrt(first), np.sqrt(second)
    return first, second - first, own[nearest]


def step(plane: Plane, value, width: float) -> np.ndarray:
    """1 where `value` is well below 0, 0 well above, a smooth edge `width` (at least a pixel) wide between."""
    t = np.clip(0.5 - value / math.hypot(width, plane.pixel), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def ramp(value, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def outline(
    rng,
    plane: Plane,
    radius: float,
    *,
    elongation: float = 1.0,
    irregular: float = 0.08,
    rough: float = 0.02,
    centre: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """How far each pixel is outside a closed curve, in lesion units, negative inside.

    Args:
        radius: the mean radius.
        elongation: length over width.
        irregular: how lobed: relative deviation of the radius, in 2 to 8 lobes.
        rough: how ragged: deviation of the border by fine noise, in lesion units.
        centre: the curve's centre.
    """
    lobes = np.arange(2, 9)
    heights = irregular * rng.normal(0, 1, len(lobes)) * (2.0 / lobes) ** 1.1
    phases = rng.uniform(0, 2 * np.pi, len(lobes))
    stretch = math.sqrt(elongation)
    x, y = (plane.x - centre[0]) / stretch, (plane.y - centre[1]) * stretch
    grid = np.linspace(-np.pi, np.pi, 361)
    radii = radius * (1 + np.sum(heights * np.cos(grid[:, None] * lobes + phases), 1))
    distance = np.hypot(x, y) - np.interp(np.arctan2(y, x), grid, np.maximum(radii, 0.3 * radius))
    return distance + rough * fractal(rng, plane, 0.35, roughness=1.0)


def scatter(rng, count: int, radius: float, *, hollow: float = 0.0) -> np.ndarray:
    """Points `[count, 2]` spread evenly over a disc, or over its outer ring from `hollow` (0 to 1) on."""
    distance = radius * np.sqrt(rng.uniform(hollow**2, 1, count))
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)


class Ink:
    """A canvas for lines and dots; it has a fixed fine grid, so that they look alike at every size."""

    def __init__(self, plane: Plane | None = None):
        """Without a plane, positions are in image units."""
        self._plane = plane
        self._scale = _INK_SIZE / 2.0
        self._zoom = 1.0 if plane is None else 2.0 / plane.size / plane.pixel
        self._image = Image.new("L", (_INK_SIZE, _INK_SIZE))
        self._draw = ImageDraw.Draw(self._image)

    def _at(self, points) -> np.ndarray:
        if self._plane is not None:
            points = self._plane.to_image(points)
        return (np.asarray(points, dtype=float) + 1.0) * self._scale

    def line(self, points, width: float, value: float = 1.0, *, taper: float = 1.0) -> None:
        """A line through points `[n, 2]`; its width, in lesion units, goes to `taper` times as much at the end."""
        places = self._at(points)
        ink = round(255 * value)
        widths = width * self._zoom * self._scale * np.linspace(1.0, taper, len(places) - 1)
        for start, end, wide in zip(places[:-1], places[1:], widths, strict=True):
            self._draw.line([*start, *end], fill=ink, width=max(1, round(wide)))

    def dot(self, point, radius: float, value: float = 1.0, *, stretch: float = 1.0, angle: float = 0.0) -> None:
        """An ellipse, `stretch` times as long as wide, its long side at `angle`."""
        turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        long, short = radius * math.sqrt(stretch) * np.cos(turn), radius / math.sqrt(stretch) * np.sin(turn)
        rim = np.stack(
            [
                point[0] + long * math.cos(angle) - short * math.sin(angle),
                point[1] + long * math.sin(angle) + short * math.cos(angle),
            ],
            1,
        )
        self._draw.polygon([tuple(place) for place in self._at(rim)], fill=round(255 * value))

    def coverage(self, size: int, soft: float = 0.0) -> np.ndarray:
        """How much of each pixel is inked, `[size, size]` in [0, 1]; `soft` blurs by about so many image units."""
        image = self._image
        if soft:
            # A detour over a coarse grid is a blur that no size changes.
            coarse = max(24, min(256, round(2.0 / soft)))
            image = image.resize((coarse, coarse), Image.Resampling.BILINEAR)
        if size > image.width:
            resampling = Image.Resampling.BICUBIC
        else:
            resampling = Image.Resampling.BOX if not soft else Image.Resampling.BILINEAR
        return np.asarray(image.resize((size, size), resampling), dtype=float) / 255.0


def curve(rng, start, angle: float, length: float, *, wander: float = 0.5, points: int = 10) -> np.ndarray:
    """A wandering line `[points, 2]` from `start`, at first in direction `angle`; `wander` in radians, over all."""
    bend = np.cumsum(rng.normal(0, wander / math.sqrt(points), points - 1))
    steps = length / (points - 1) * np.stack([np.cos(angle + bend), np.sin(angle + bend)], 1)
    return np.concatenate([[start], np.asarray(start) + np.cumsum(steps, 0)])


def tree(rng, ink: Ink, start, angle: float, length: float, width: float, *, branches: int = 3) -> None:
    """A vessel that branches like a tree, drawn tapering."""
    trunk = curve(rng, start, angle, length, wander=0.7)
    ink.line(trunk, width, taper=0.5)
    for _ in range(branches):
        place = int(rng.integers(2, len(trunk) - 1))
        side = angle + rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)
        tree(rng, ink, trunk[place], side, length * rng.uniform(0.35, 0.6), width * 0.65, branches=branches - 2)
