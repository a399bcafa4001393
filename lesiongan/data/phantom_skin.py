"""Skin around and above a phantom lesion, and what the camera adds: light, hairs, ruler, gel, vignette."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from lesiongan.data.phantom_drawing import Ink, Plane, bumps, curve, fractal, ramp, step

# Optical densities per unit of pigment, red, green and blue: melanin takes blue most, haemoglobin green.
_MELANIN = np.array([0.66, 1.0, 1.34])
_BLOOD = np.array([0.16, 1.0, 0.74])
_BLOODLESS = np.array([0.97, 0.86, 0.80])  # the reflectance of skin without either
_GRAIN = 192  # the grid of the finest skin texture


@dataclasses.dataclass
class Tissue:
    """What absorbs light, pixel by pixel, and what lies over it.

    Attributes:
        melanin, blood: optical densities `[size, size]`; about 0 to 2.5.
        covers: (opacity `[size, size]`, red, green, blue in [0, 1]), the topmost last.
    """

    melanin: np.ndarray
    blood: np.ndarray
    covers: list = dataclasses.field(default_factory=list)

    def cover(self, opacity, colour) -> None:
        self.covers.append((opacity, colour))

    def colour(self) -> np.ndarray:
        """The light that comes back: `[size, size, 3]` in [0, 1]."""
        picture = np.exp(
            -(np.maximum(self.melanin, 0)[..., None] * _MELANIN + np.maximum(self.blood, 0)[..., None] * _BLOOD)
        )
        picture *= _BLOODLESS
        for opacity, colour in self.covers:
            picture += np.clip(opacity, 0, 1)[..., None] * (np.asarray(colour) - picture)
        return picture


def healthy(rng, plane: Plane, sun: float) -> Tissue:
    """Skin of a random tone with mottling, furrows and freckles; `sun` (0 to 1) is how sun-damaged it is."""
    tone = 0.04 + 0.2 * rng.random() if rng.random() < 0.78 else rng.uniform(0.25, 0.75)
    flush = rng.choice([rng.uniform(0.08, 0.2), rng.uniform(0.2, 0.4)], p=[0.65, 0.35])
    clouds = fractal(rng, plane, 1.3)
    furrows = bumps(rng, plane, rng.uniform(0.05, 0.08), along=rng.uniform(0, np.pi), spread=0.7)
    melanin = tone * (1 + 0.10 * clouds) + 0.012 * furrows
    blood = flush * (1 + (0.14 + 0.12 * sun) * fractal(rng, plane, 0.8, roughness=0.8)) + 0.008 * furrows
    freckles = fractal(rng, plane, 0.4, roughness=0.9)
    amount = rng.uniform(0.0, 0.1) + sun * rng.uniform(0.0, 0.22)
    melanin = melanin + amount * ramp(freckles, rng.uniform(0.7, 1.5), 3.2)
    return Tissue(melanin, np.broadcast_to(blood, melanin.shape).copy())


def _hairs(rng, picture: np.ndarray) -> None:
    ink = Ink()
    kind = rng.choice(["long", "fine", "stubble"], p=[0.5, 0.25, 0.25])
    main = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, 15 if kind != "stubble" else 40))):
        angle = main + rng.normal(0, 0.45)
        start = rng.uniform(-1.1, 1.1, 2)
        length = rng.uniform(0.1, 0.2) if kind == "stubble" else rng.uniform(0.5, 1.6)
        width = rng.uniform(0.012, 0.02) if kind != "fine" else 0.007
        ink.line(curve(rng, start, angle, length, wander=0.5), width, rng.uniform(0.6, 1.0), taper=0.5)
    shade = rng.uniform(0.08, 0.22)
    colour = np.array([1.1, 0.85, 0.75]) * (shade if kind != "fine" or rng.random() < 0.5 else 0.85)
    cover = 0.9 * ink.coverage(len(picture))[..., None]
    picture += cover * (colour - picture)


def _ruler(rng, picture: np.ndarray) -> None:
    """Ticks along one side; no figures, since a phantom has no true scale."""
    ink = Ink()
    turn = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.12)
    along, inward = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    gap, edge = rng.uniform(0.06, 0.1), inward * rng.uniform(0.8, 0.92)
    for number in range(int(rng.integers(8, 26))):
        foot = edge + along * (number * gap - rng.uniform(0.69, 0.71))
        ink.line([foot, foot - inward * (0.1 if number % 5 == 0 else 0.055)], 0.012)
    cover = 0.85 * ink.coverage(len(picture))[..., None]
    picture += cover * (0.12 - picture)


def _gel(rng, picture: np.ndarray) -> None:
    """Bubbles of the immersion gel: a bright rim and a faint shadow."""
    rims, shadows = Ink(), Ink()
    turn = np.linspace(0, 2 * np.pi, 40)
    for _ in range(int(rng.integers(1, 5))):
        centre, radius = rng.uniform(-1, 1, 2), rng.uniform(0.04, 0.2)
        circle = centre + radius * np.stack([np.cos(turn), 0.9 * np.sin(turn)], 1)
        shadows.line(circle + 0.012, 0.02)
        rims.line(circle[: int(rng.integers(20, 40))], 0.016, rng.uniform(0.5, 1.0))
    picture *= 1 - 0.25 * shadows.coverage(len(picture))[..., None]
    picture += 0.45 * rims.coverage(len(picture))[..., None] * (1 - picture)


def _glints(rng, picture: np.ndarray, centre) -> None:
    ink = Ink()
    for _ in range(int(rng.integers(5, 30))):
        place = np.asarray(centre) + rng.normal(0, 0.3, 2)
        ink.line(curve(rng, place, rng.uniform(0, 6.3), rng.uniform(0.01, 0.06), points=3), 0.01, rng.uniform(0.4, 1))
    picture += 0.7 * ink.coverage(len(picture))[..., None] * (1 - picture)


def photograph(rng, tissue: Tissue, device, centre) -> np.ndarray:
    """The tissue as one photograph shows it.

    Args:
        rng: this view's own generator.
        tissue: skin and lesion.
        device: gains of red, green and blue that the camera gave all of the lesion's photographs.
        centre: the lesion's centre in the picture, image units.

    Returns:
        `[size, size, 3]` in [0, 1].
    """
    picture = tissue.colour()
    size = len(picture)
    grain = rng.standard_normal((_GRAIN, _GRAIN), dtype=np.float32)
    resampling = Image.Resampling.BOX if size <= _GRAIN else Image.Resampling.BICUBIC
    grain = np.asarray(Image.fromarray(grain).resize((size, size), resampling), dtype=float)
    picture *= (1 + rng.uniform(0.01, 0.045) * grain)[..., None]

    flat = Plane(size)
    tilt, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.09)
    light = rng.uniform(0.86, 1.05) * (1 + slope * (flat.x * np.cos(tilt) + flat.y * np.sin(tilt)))
    distance = np.hypot(flat.x - rng.normal(0, 0.05), flat.y - rng.normal(0, 0.05))
    light = light * (1 - rng.uniform(0.0, 0.12) * distance**2)
    picture *= light[..., None] * np.asarray(device) * rng.normal(1, 0.012, 3)

    # Each kind of accident has its own stream: whether one happens must not change the others.
    streams = rng.spawn(6)
    if streams[0].random() < 0.07:
        _gel(streams[0], picture)
    if streams[1].random() < 0.22:
        _glints(streams[1], picture, centre)
    if streams[2].random() < 0.35:
        _hairs(streams[2], picture)
    if streams[3].random() < 0.1:
        _ruler(streams[3], picture)
    if streams[4].random() < 0.18:
        hole = step(flat, distance - streams[4].uniform(0.98, 1.2), streams[4].uniform(0.03, 0.12))
        picture *= (0.05 + 0.95 * hole)[..., None]
    contrast = streams[5].uniform(0.92, 1.12)
    return np.clip(0.6 + contrast * (picture - 0.6), 0, 1)
