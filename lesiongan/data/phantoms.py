"""Phantoms: drawn, dermoscopy-like pictures of the eight ISIC 2019 classes, the data set that comes with the project.

They let everything run without a download and are as imbalanced as ISIC 2019. No phantom shows a patient, and none is
medical evidence: ids begin with `PHANTOM_`, and every copy of them names `phantom` as its origin.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lesiongan.base.errors import UsageError
from lesiongan.data.phantom_drawing import Plane
from lesiongan.data.phantom_lesions import RECIPES
from lesiongan.data.phantom_skin import healthy, photograph

#: Images per class in the ISIC 2019 training set.
ISIC_2019_COUNTS = {
    "MEL": 4522,
    "NV": 12875,
    "BCC": 3323,
    "AK": 867,
    "BKL": 2624,
    "DF": 239,
    "VASC": 253,
    "SCC": 628,
}

_MIN_LESIONS = 10  # per class, from 200 images on
_IMAGES_PER_LESION = 1.26  # with a fifth of the lesions photographed two or three times

_SITES = (
    "anterior torso",
    "head/neck",
    "lateral torso",
    "lower extremity",
    "oral/genital",
    "palms/soles",
    "posterior torso",
    "upper extremity",
)
# Age (mean, standard deviation, years), share of men, weights of the sites in the order above: round figures.
_PATIENTS = {
    "MEL": (62, 15, 0.58, (14, 18, 1, 20, 1, 3, 27, 16)),
    "NV": (46, 16, 0.50, (27, 6, 1, 24, 1, 2, 27, 12)),
    "BCC": (67, 13, 0.60, (18, 36, 1, 10, 0, 0, 23, 12)),
    "AK": (68, 11, 0.62, (6, 68, 0, 7, 0, 0, 5, 14)),
    "BKL": (65, 13, 0.54, (20, 32, 1, 15, 0, 0, 22, 10)),
    "DF": (52, 13, 0.42, (8, 2, 0, 65, 0, 0, 5, 20)),
    "VASC": (51, 20, 0.48, (32, 16, 1, 20, 1, 1, 16, 13)),
    "SCC": (71, 11, 0.62, (10, 38, 0, 20, 0, 1, 8, 23)),
}


def _generator(abbreviation: str, *numbers: int) -> np.random.Generator:
    """A stream of random numbers of its own for (class, numbers); PCG64 gives the same on every machine."""
    key = [int.from_bytes(abbreviation.encode(), "big"), *numbers]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def render(abbreviation: str, seed: int, size: int, view_seed: int = 0) -> np.ndarray:
    """Draws one phantom.

    The same arguments give the same bytes (with the same versions of NumPy and Pillow, on any machine); another `size`
    gives the same picture at another resolution.

    Args:
        abbreviation: one of the eight classes, for example `MEL`.
        seed: which lesion of that class, on which skin; 0 or more.
        size: pixels per side; meant for 32 to 256.
        view_seed: which photograph of that lesion: how it lies, light, hairs and the like; 0 or more.

    Returns:
        uint8 `[size, size, 3]`, RGB.

    Raises:
        UsageError: for another class, or a size below 8.
    """
    if abbreviation not in RECIPES:
        raise UsageError(f"there is no phantom of class {abbreviation!r}; there are: {', '.join(RECIPES)}")
    if size < 8:
        raise UsageError(f"a phantom needs a size of at least 8 pixels, got {size}")
    recipe, sun = RECIPES[abbreviation]
    seed, view_seed = int(seed), int(view_seed)
    view = _generator(abbreviation, seed, 1, view_seed)
    shift = tuple(np.clip(view.normal(0, 0.08, 2), -0.2, 0.2))
    plane = Plane(size, angle=view.uniform(0, 2 * np.pi), zoom=view.uniform(0.88, 1.18), shift=shift)
    skin = _generator(abbreviation, seed, 2)
    # Pale lilac to warm: the hues that dermatoscopes and cameras give the same skin.
    warmth, tint = skin.normal(0, 0.05), skin.normal(0, 0.025)
    device = (1 + warmth, 1 - 0.2 * warmth + tint, 1 - warmth - tint)
    tissue = healthy(skin, plane, float(np.clip(sun + skin.normal(0, 0.3), 0, 1)))
    recipe(_generator(abbreviation, seed, 3), plane, tissue)
    picture = photograph(view, tissue, device, shift)
    return np.rint(picture * 255).astype(np.uint8)


def class_counts(count: int) -> dict[str, int]:
    """How many of `count` images each class gets: as in ISIC 2019, but 10 at least from 200 images on."""
    floor = min(_MIN_LESIONS, count // 20)
    counts, free, left = {}, dict(ISIC_2019_COUNTS), count
    while True:  # the classes that would fall below the floor get it; the others share the rest
        total = sum(free.values())
        low = [c for c, weight in free.items() if left * weight < floor * total]
        if not low:
            break
        for c in low:
            counts[c] = floor
            left -= floor
            del free[c]
    exact = {c: left * weight / total for c, weight in free.items()}
    counts |= {c: int(share) for c, share in exact.items()}
    remainder = count - sum(counts.values())
    for c in sorted(exact, key=lambda c: int(exact[c]) - exact[c])[:remainder]:
        counts[c] += 1
    return {c: counts[c] for c in ISIC_2019_COUNTS}


def _images_of_lesions(rng: np.random.Generator, images: int) -> np.ndarray:
    """How many images each lesion of a class has: 1 to 3, in all `images`."""
    lesions = min(images, max(_MIN_LESIONS, round(images / _IMAGES_PER_LESION)))
    extra = images - lesions
    triples = round(0.23 * extra)
    sizes = np.ones(lesions, dtype=int)
    sizes[:triples] += 2
    sizes[triples : extra - triples] += 1
    return rng.permutation(sizes)


def table(count: int, seed: int) -> pd.DataFrame:
    """A made-up collection of phantoms: one row per image, shuffled.

    Args:
        count: images, at least 1.
        seed: another seed gives other lesions of other patients; 0 or more.

    Returns:
        Columns image_id (`PHANTOM_0000000`), label (abbreviation), lesion_id (`PH_0000000`), age_approx (years in steps
        of 5), sex, anatom_site_general (ISIC's values; in all three a few are missing, as in ISIC), and lesion_seed and
        view_seed, which `render` takes. About a fifth of the lesions have two or three images.

    Raises:
        UsageError: for a count below 1.
    """
    if count < 1:
        raise UsageError(f"a collection of phantoms needs at least 1 image, got {count}")
    rng = _generator("table", int(seed))
    rows = []
    lesion = 0
    for label, images in class_counts(count).items():
        age, spread, men, sites = _PATIENTS[label]
        weights = np.array(sites) / sum(sites)
        for views in _images_of_lesions(rng, images):
            years = float(np.clip(5 * round(rng.normal(age, spread) / 5), 5, 85))
            sex = "male" if rng.random() < men else "female"
            site = str(rng.choice(_SITES, p=weights))
            missing = rng.random(3) < 0.015
            lesion_seed = int(rng.integers(2**31))
            for _ in range(views):
                rows.append(
                    {
                        "label": label,
                        "lesion_id": f"PH_{lesion:07d}",
                        "age_approx": np.nan if missing[0] else years,
                        "sex": None if missing[1] else sex,
                        "anatom_site_general": None if missing[2] else site,
                        "lesion_seed": lesion_seed,
                        "view_seed": int(rng.integers(2**31)),
                    }
                )
            lesion += 1
    frame = pd.DataFrame([rows[i] for i in rng.permutation(len(rows))])
    frame.insert(0, "image_id", [f"PHANTOM_{i:07d}" for i in range(len(frame))])
    return frame
