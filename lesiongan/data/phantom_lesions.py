"""What each diagnosis of ISIC 2019 looks like under the dermatoscope, as a drawing recipe.

A recipe takes the lesion's generator, the plane and the healthy tissue, and adds to the tissue. The structures and how
often they are there follow the usual dermoscopic criteria in spirit only: phantoms test software, they teach nobody
dermoscopy. Colours and structures overlap between the diagnoses on purpose.
"""

from __future__ import annotations

import math

import numpy as np

from lesiongan.data.phantom_drawing import Ink, Plane, bumps, cells, curve, fractal, outline, ramp, scatter, step, tree
from lesiongan.data.phantom_skin import Tissue

_BLUE_GREY = (0.38, 0.39, 0.47)
_WHITE = (0.93, 0.86, 0.83)
_KERATIN = (0.93, 0.85, 0.66)
_CRUST = (0.36, 0.14, 0.08)


def _network(rng, plane: Plane, period: float, hole: float = 0.42) -> np.ndarray:
    """A pigment network in [0, 1]: 1 on the lines, 0 in the middle of the round holes."""
    distance, wall, _ = cells(rng, plane, period)
    holes = np.exp(-((distance / hole) ** 2))
    return 0.65 * (1 - holes) + 0.35 * np.exp(-((wall / math.hypot(0.3, 0.6 * plane.pixel / period)) ** 2))


def _globules(rng, plane: Plane, period: float, share: float = 0.7) -> np.ndarray:
    """Round spots in [0, 1], one in a `share` of the cells, of different sizes."""
    distance, _, own = cells(rng, plane, period, 0.6)
    return step(plane, period * (distance - 0.18 - 0.22 * own), 0.22 * period) * ramp(own, 1 - share, 1.3 - share)


def _dots(rng, plane: Plane, places, sizes, soft: float = 0.02, stretch: float = 1.0) -> np.ndarray:
    ink = Ink(plane)
    for place in places:
        ink.dot(
            place, rng.uniform(*sizes), rng.uniform(0.6, 1), stretch=rng.uniform(1, stretch), angle=rng.uniform(0, 3.2)
        )
    return ink.coverage(plane.size, soft)


def _flakes(rng, plane: Plane, length: float, share: float) -> np.ndarray:
    """Scale: ragged patches in [0, 1] that cover about `share` of the area."""
    field = fractal(rng, plane, length, roughness=0.7)
    threshold = 1.3 - 3.2 * share
    return ramp(field, threshold, threshold + 1.4)


def nevus(rng, plane: Plane, tissue: Tissue) -> None:
    """Round, even brown, one pattern throughout: network, globules, or none."""
    radius = rng.uniform(0.25, 0.62)
    atypical = rng.random() < 0.27
    d = outline(
        rng,
        plane,
        radius,
        elongation=rng.uniform(1, 1.5),
        irregular=rng.uniform(0.11, 0.18) if atypical else rng.uniform(0.02, 0.09),
        rough=rng.uniform(0.01, 0.035),
    )
    body = step(plane, d, rng.uniform(0.07, 0.26))
    depth = np.clip(-d / radius, 0, 1)
    tone = rng.uniform(0.35, 1.3)
    density = 1 + rng.uniform(-0.45, 0.5) * depth + (0.32 if atypical else 0.16) * fractal(rng, plane, 0.6)
    pattern = rng.choice(["network", "globules", "plain", "dermal"], p=[0.45, 0.2, 0.2, 0.15])
    period = rng.uniform(0.07, 0.11)
    if pattern == "network":
        density = density * (
            1 + rng.uniform(0.6, 1.3) * (_network(rng, plane, period) - 0.45) * ramp(fractal(rng, plane, 0.8), -2, 0.5)
        )
    elif pattern == "globules":
        density = density * (0.78 + rng.uniform(0.4, 0.9) * _globules(rng, plane, period))
    elif pattern == "dermal":
        tone *= 0.5
        tissue.blood += body * rng.uniform(0.2, 0.5)
    if atypical:
        density = density + rng.uniform(0.2, 0.8) * ramp(fractal(rng, plane, 0.7), -0.8, 1.8)
    tissue.melanin += body * tone * density
    tissue.blood += body * rng.uniform(0.0, 0.3)
    if rng.random() < 0.08:  # a blue nevus's hue, or the veil of a harmless one
        tissue.cover(body * ramp(depth, 0, 0.5) * rng.uniform(0.2, 0.6), _BLUE_GREY)


def melanoma(rng, plane: Plane, tissue: Tissue) -> None:
    """Asymmetric, ragged, several colours: browns, black, blue-grey veil, white regression; streaks at the edge."""
    radius = rng.uniform(0.32, 0.72)
    early = rng.random() < 0.32  # hard to tell from a nevus
    irregular, rough = (rng.uniform(0.04, 0.1), 0.03) if early else (rng.uniform(0.1, 0.22), rng.uniform(0.025, 0.055))
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.6), irregular=irregular, rough=rough)
    side = rng.uniform(0, 2 * np.pi)
    away = radius * np.array([math.cos(side), math.sin(side)])
    lobe = outline(rng, plane, radius * rng.uniform(0.35, 0.6), irregular=0.15, rough=rough, centre=tuple(0.8 * away))
    if not early:
        d = np.minimum(d, lobe)
    body = step(plane, d, rng.uniform(0.05, 0.18))
    depth = np.clip(-d / radius, 0, 1)
    gradient = (plane.x * away[0] + plane.y * away[1]) / radius**2
    patches = fractal(rng, plane, 0.8, roughness=1.0) + rng.uniform(0.3, 1.0) * gradient
    low = rng.uniform(-0.4, 0.7)
    density = rng.uniform(0.35, 0.85) * (1 + 0.2 * fractal(rng, plane, 0.3))
    density = density + rng.uniform(0.4, 1.3) * (0.5 if early else 1.0) * ramp(patches, low - 1.0, low + 1.6)
    if rng.random() < 0.55:
        where = ramp(fractal(rng, plane, 0.7), -0.9, 0.9)
        density = density * (1 + where * (rng.uniform(0.4, 0.9) * _network(rng, plane, rng.uniform(0.08, 0.14)) - 0.4))
    if rng.random() < (0.12 if early else 0.45):
        ink = Ink(plane)
        for angle in rng.uniform(0, rng.uniform(1.5, 6.3), int(rng.integers(8, 26))) + side - 1.0:
            start = radius * rng.uniform(0.7, 0.95) * np.array([math.cos(angle), math.sin(angle)])
            ink.line(curve(rng, start, angle, rng.uniform(0.1, 0.3), points=5), rng.uniform(0.025, 0.05), taper=0.6)
        tissue.melanin += rng.uniform(0.5, 1.0) * ink.coverage(plane.size, 0.025)
    if rng.random() < (0.2 if early else 0.5):
        spots = scatter(rng, int(rng.integers(5, 22)), 0.5 * radius) + rng.uniform(0.2, 0.6) * away
        tissue.melanin += rng.uniform(0.6, 1.4) * _dots(rng, plane, spots, (0.015, 0.04))
    if rng.random() < (0.15 if early else 0.35):
        tissue.blood += body * rng.uniform(0.2, 0.6) * ramp(-patches, -0.4, 1.8)
    tissue.blood += body * rng.uniform(0.0, 0.25)
    veil = ramp(fractal(rng, plane, 0.8) + 0.6 * gradient, rng.uniform(-0.8, 0.0), 2.2) * ramp(depth, 0.05, 0.35)
    scar = ramp(fractal(rng, plane, 0.6) - 0.8 * gradient, -0.1, 2.0) * ramp(depth, 0.02, 0.2)
    regression = rng.random() < (0.1 if early else 0.4)
    if regression:
        density = density * (1 - 0.75 * scar)
    tissue.melanin += body * density
    if rng.random() < (0.25 if early else 0.5):
        tissue.cover(rng.uniform(0.4, 0.85) * body * veil, _BLUE_GREY)
    if regression:
        tissue.cover(rng.uniform(0.25, 0.55) * body * scar, (0.84, 0.75, 0.76))


def basal_cell_carcinoma(rng, plane: Plane, tissue: Tissue) -> None:
    """Pearly pink, arborising vessels, blue-grey ovoid nests, sometimes an ulcer."""
    radius = rng.uniform(0.28, 0.62)
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.5), irregular=0.12, rough=rng.uniform(0.02, 0.05))
    body = step(plane, d, rng.uniform(0.08, 0.25))
    depth = np.clip(-d / radius, 0, 1)
    tissue.blood += body * rng.uniform(0.08, 0.5) * (1 + 0.35 * fractal(rng, plane, 0.5))
    tissue.cover(body * rng.uniform(0.0, 0.3) * ramp(fractal(rng, plane, 0.6), -0.5, 1.5), _WHITE)
    if rng.random() < 0.4:
        tissue.melanin += body * rng.uniform(0.1, 0.5) * ramp(fractal(rng, plane, 0.5), -0.3, 1.2)
    superficial = rng.random() < 0.22  # little but a pink patch
    vessels = superficial or rng.random() < 0.75
    nests = not superficial and (rng.random() < 0.65 or not vessels)
    if nests:
        heavy = rng.random() < 0.3
        count = int(rng.integers(9, 24)) if heavy else int(rng.integers(3, 11))
        places = scatter(rng, count, radius * 0.85, hollow=rng.choice([0.0, 0.6]))
        grey = _dots(rng, plane, places, (0.03, 0.1) if heavy else (0.02, 0.07), 0.03, stretch=2.0)
        tissue.cover(rng.uniform(0.5, 0.9) * grey, (0.30, 0.31, 0.40) if rng.random() < 0.7 else (0.36, 0.27, 0.26))
    if vessels:
        ink = Ink(plane)
        for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(2, 6))):
            start = radius * rng.uniform(0.5, 1.15) * np.array([math.cos(angle), math.sin(angle)])
            heading = angle + math.pi + rng.normal(0, 0.5)
            tree(rng, ink, start, heading, radius * rng.uniform(0.6, 1.3), rng.uniform(0.012, 0.026))
        tissue.blood += rng.uniform(0.4, 1.0) * (0.5 if superficial else 1) * ink.coverage(plane.size, 0.012)
    if superficial:
        tissue.cover(body * _flakes(rng, plane, 0.25, rng.uniform(0.05, 0.25)) * rng.uniform(0.2, 0.5), _WHITE)
    if rng.random() < (0.1 if superficial else 0.3):
        place = scatter(rng, 1, 0.4 * radius)[0]
        ulcer = outline(rng, plane, radius * rng.uniform(0.15, 0.4), irregular=0.2, rough=0.03, centre=tuple(place))
        tissue.cover(
            0.75 * step(plane, ulcer, 0.09) * ramp(fractal(rng, plane, 0.2), -2.5, 0.5),
            _CRUST if rng.random() < 0.5 else (0.66, 0.18, 0.14),
        )
    if rng.random() < 0.3:
        ink = Ink(plane)
        for place in scatter(rng, int(rng.integers(4, 12)), 0.7 * radius):
            ink.line(curve(rng, place, rng.uniform(0, 3.2), rng.uniform(0.06, 0.16), points=3), 0.014)
        tissue.cover(0.6 * ink.coverage(plane.size) * ramp(depth, 0, 0.1), _WHITE)


def actinic_keratosis(rng, plane: Plane, tissue: Tissue) -> None:
    """Red between pale follicles (strawberry), scale, no clear border; some have a brown pseudonetwork."""
    radius = rng.uniform(0.35, 0.75)
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.5), irregular=0.15, rough=rng.uniform(0.04, 0.09))
    body = step(plane, d, rng.uniform(0.2, 0.45))
    period = rng.uniform(0.085, 0.15)
    distance, wall, own = cells(rng, plane, period, 0.85)
    follicles = step(plane, period * (distance - 0.12 - 0.2 * own), 0.3 * period) * ramp(own, 0.1, 0.8)
    red = rng.uniform(0.25, 0.65)
    tissue.blood += (
        body * red * (0.75 + 0.3 * fractal(rng, plane, 0.6) + rng.uniform(0.2, 0.6) * np.exp(-((wall / 0.4) ** 2)))
    )
    if rng.random() < 0.4:
        brown = body * ramp(fractal(rng, plane, 0.8), -0.8, 0.8) * rng.uniform(0.3, 0.9)
        tissue.melanin += brown * (0.35 + 0.65 * np.exp(-((wall / 0.4) ** 2)))
    clear = rng.uniform(0.15, 0.6) if rng.random() < 0.7 else rng.uniform(0.0, 0.12)
    tissue.cover(body * follicles * clear, (0.93, 0.81, 0.70))
    if rng.random() < 0.65:
        scale = _flakes(rng, plane, rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.42))
        tissue.cover(step(plane, d + 0.2 * radius, 0.3) * scale * rng.uniform(0.3, 0.75), (0.93, 0.88, 0.80))
    if rng.random() < 0.3:
        ink = Ink(plane)
        for place in scatter(rng, int(rng.integers(4, 14)), radius):
            ink.line(curve(rng, place, rng.uniform(0, 6.3), rng.uniform(0.1, 0.3), wander=1.2), 0.014)
        tissue.blood += 0.5 * ink.coverage(plane.size)


def benign_keratosis(rng, plane: Plane, tissue: Tissue) -> None:
    """A stuck-on, sharply bordered, waxy tan or brown plaque: milia, comedo openings, gyri or fingerprint lines."""
    radius = rng.uniform(0.28, 0.68)
    d = outline(
        rng,
        plane,
        radius,
        elongation=rng.uniform(1, 1.7),
        irregular=rng.uniform(0.05, 0.14),
        rough=rng.uniform(0.008, 0.02),
    )
    if rng.random() < 0.3:  # a moth-eaten border
        d = np.maximum(d, 0.06 * (bumps(rng, plane, 0.25) - 1.3) * ramp(d, -0.3 * radius, -0.05 * radius))
    body = step(plane, d, rng.uniform(0.03, 0.1) if rng.random() < 0.72 else rng.uniform(0.1, 0.24))
    depth = np.clip(-d / radius, 0, 1)
    tone = rng.uniform(0.22, 1.0)
    density = 1 + 0.2 * fractal(rng, plane, 0.5) + 0.3 * (step(plane, depth - 0.12, 0.1) - 0.5)
    pattern = rng.choice(["gyri", "fingerprint", "waxy", "lentigo", "lichenoid"], p=[0.28, 0.17, 0.27, 0.18, 0.1])
    if pattern == "gyri":
        field = bumps(rng, plane, rng.uniform(0.13, 0.24)) + 0.3 * fractal(rng, plane, 0.3)
        density = density * (1 + rng.uniform(0.5, 0.9) * (np.exp(-((field / 0.6) ** 2)) - 0.4))
    elif pattern == "fingerprint":
        lines = bumps(rng, plane, rng.uniform(0.075, 0.11), along=rng.uniform(0, np.pi), spread=0.25)
        density = density * (1 + rng.uniform(0.15, 0.3) * lines)
    elif pattern == "lentigo":
        density = density * (1 + rng.uniform(0.4, 1.0) * (_network(rng, plane, rng.uniform(0.07, 0.11)) - 0.45))
    elif pattern == "lichenoid":
        grains = _globules(rng, plane, 0.08, 0.6)
        tissue.cover(body * grains * rng.uniform(0.3, 0.6), (0.42, 0.40, 0.42))
    tissue.melanin += body * tone * density
    tissue.blood += body * rng.uniform(0.0, 0.22)
    tissue.cover(body * rng.uniform(0.0, 0.25), (0.74, 0.60, 0.40))  # keratin's waxy yellow
    if rng.random() < 0.5:
        places = scatter(rng, int(rng.integers(3, 16)), 0.8 * radius)
        milia = _dots(rng, plane, places, (0.02, 0.045), 0.025)
        tissue.cover(body * milia * rng.uniform(0.5, 0.85), (0.96, 0.89, 0.76))
    if rng.random() < 0.45:
        places = scatter(rng, int(rng.integers(3, 14)), 0.8 * radius)
        comedones = _dots(rng, plane, places, (0.02, 0.05), 0.02, stretch=1.6)
        tissue.cover(body * comedones * rng.uniform(0.5, 0.9), (0.25, 0.14, 0.08))


def dermatofibroma(rng, plane: Plane, tissue: Tissue) -> None:
    """A white scar-like patch in the centre, a delicate network around, fading into the skin."""
    radius = rng.uniform(0.3, 0.6)
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.35), irregular=0.06, rough=rng.uniform(0.02, 0.04))
    body = step(plane, d, rng.uniform(0.2, 0.4))
    centre = scatter(rng, 1, 0.2 * radius)[0]
    core = outline(rng, plane, radius * rng.uniform(0.3, 0.6), irregular=0.16, rough=0.05, centre=tuple(centre))
    scar = step(plane, core, rng.uniform(0.1, 0.25))
    lines = _network(rng, plane, rng.uniform(0.065, 0.095))
    plain = rng.random() < 0.25
    strength = 0.15 if plain else 1.0
    tone = rng.uniform(0.25, 0.75)
    pattern = 0.75 + rng.uniform(0.3, 0.7) * lines + 0.18 * fractal(rng, plane, 0.5)
    tissue.melanin += body * tone * pattern * (1 - 0.7 * strength * scar)
    tissue.blood += body * rng.uniform(0.05, 0.4)
    white = scar * (0.8 + 0.2 * fractal(rng, plane, 0.25, roughness=0.4))
    if rng.random() < 0.5:  # a white network rather than a solid patch
        white = white * (0.45 + 0.75 * _network(rng, plane, rng.uniform(0.12, 0.18), 0.5))
    tissue.cover(strength * rng.uniform(0.25, 0.65) * white, (0.92, 0.82, 0.80))


def vascular_lesion(rng, plane: Plane, tissue: Tissue) -> None:
    """Red, purple or blue-black lacunae between paler septa, sharply bordered."""
    radius = rng.uniform(0.14, 0.34) if rng.random() < 0.5 else rng.uniform(0.34, 0.6)
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.4), irregular=rng.uniform(0.05, 0.13), rough=0.02)
    body = step(plane, d, rng.uniform(0.05, 0.14))
    period = max(0.11, radius * rng.uniform(0.3, 0.55))
    distance, wall, own = cells(rng, plane, period, 0.7)
    lacunae = ramp(wall, -0.05, 0.4) * (1.1 - 0.5 * distance)
    tissue.blood += step(plane, d, 0.5) * rng.uniform(0.0, 0.25)
    solid = rng.random() < 0.25
    red = rng.uniform(0.6, 1.7)
    tissue.blood += (
        body * red * (1.0 if solid else 0.4 + 0.6 * lacunae) * (0.85 + 0.3 * own + 0.15 * fractal(rng, plane, 0.3))
    )
    hue = rng.choice(["red", "purple", "black"], p=[0.55, 0.3, 0.15])
    if hue != "red":
        dark = ramp(0.6 * own + 0.3 * fractal(rng, plane, 0.5), 0.0, 0.9) * body * lacunae
        tissue.cover(dark * rng.uniform(0.35, 0.8), (0.30, 0.16, 0.36) if hue == "purple" else (0.13, 0.07, 0.11))
    else:
        tissue.melanin += body * rng.uniform(0.0, 0.35)
    if rng.random() < 0.45:
        veil = ramp(fractal(rng, plane, 0.4), -0.8, 1.8)
        tissue.cover(body * veil * rng.uniform(0.15, 0.45), (0.85, 0.76, 0.86))
    if not solid:
        septa = np.exp(-((wall / 0.2) ** 2)) * ramp(-d, 0, 0.2 * radius)
        tissue.cover(septa * rng.uniform(0.0, 0.35), (0.92, 0.76, 0.78))


def squamous_cell_carcinoma(rng, plane: Plane, tissue: Tissue) -> None:
    """Pink-red with white or yellow keratin, dotted and looped vessels, blood spots; some are pigmented."""
    radius = rng.uniform(0.3, 0.66)
    d = outline(rng, plane, radius, elongation=rng.uniform(1, 1.5), irregular=0.13, rough=rng.uniform(0.03, 0.06))
    body = step(plane, d, rng.uniform(0.1, 0.3))
    tissue.blood += body * rng.uniform(0.2, 0.65) * (1 + 0.35 * fractal(rng, plane, 0.5))
    if rng.random() < 0.35:
        tissue.melanin += body * rng.uniform(0.25, 0.8) * ramp(fractal(rng, plane, 0.6), -0.4, 1.0)
    flat = rng.random() < 0.22  # in situ: a scaly pink patch, like an actinic keratosis
    keratin = not flat and rng.random() < 0.65
    vessels = rng.random() < (0.3 if flat else 0.75)
    if vessels:
        ink = Ink(plane)
        middles = scatter(rng, int(rng.integers(2, 7)), 0.75 * radius)
        looped = rng.random() < 0.4
        for place in np.concatenate([m + rng.normal(0, 0.13 * radius, (int(rng.integers(5, 16)), 2)) for m in middles]):
            if looped:
                ink.line(curve(rng, place, rng.uniform(0, 6.3), 0.14, wander=4.0, points=8), 0.014)
            else:
                ink.dot(place, rng.uniform(0.008, 0.02))
        tissue.blood += rng.uniform(0.6, 1.3) * ink.coverage(plane.size, 0.012)
    if keratin:
        middle = scatter(rng, 1, 0.3 * radius)[0]
        mass = outline(rng, plane, radius * rng.uniform(0.25, 0.6), irregular=0.22, rough=0.06, centre=tuple(middle))
        lumps = ramp(fractal(rng, plane, 0.3, roughness=0.8), -1.8, 1.0)
        colour = _KERATIN if rng.random() < 0.5 else (0.94, 0.90, 0.87)
        tissue.cover(step(plane, mass, 0.14) * lumps * rng.uniform(0.5, 0.9), colour)
    else:
        tissue.cover(body * _flakes(rng, plane, 0.25, rng.uniform(0.1, 0.35)) * rng.uniform(0.3, 0.7), _WHITE)
    if rng.random() < (0.15 if flat else 0.45):
        places = scatter(rng, int(rng.integers(2, 9)), 0.6 * radius)
        tissue.cover(0.85 * _dots(rng, plane, places, (0.015, 0.05), 0.02, stretch=1.8), (0.33, 0.06, 0.07))


#: Per class: the recipe, and how sun-damaged the skin around is (0 to 1).
RECIPES = {
    "MEL": (melanoma, 0.5),
    "NV": (nevus, 0.2),
    "BCC": (basal_cell_carcinoma, 0.6),
    "AK": (actinic_keratosis, 0.8),
    "BKL": (benign_keratosis, 0.5),
    "DF": (dermatofibroma, 0.3),
    "VASC": (vascular_lesion, 0.3),
    "SCC": (squamous_cell_carcinoma, 0.7),
}
