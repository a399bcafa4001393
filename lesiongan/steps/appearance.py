"""The Evaluator's look at what is beside the lesions: artefacts and skin tones of generated and of real pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet, spread_over
from lesiongan.data.lesions import first_of_each_lesion, source_of
from lesiongan.evaluation import skin_tone
from lesiongan.evaluation.artefacts import STATISTICS, artefacts

RESULT = "appearance.json"
REAL = "real"
_MOST = 400  # images per class and set
_LEAST = 24
_APART = 0.3  # standard deviations of real images by which a mean has to differ to be said


def rows(real: Path, sets: Sequence[Path], size: int, confidence: float) -> list[dict]:
    """A row per class and set: real training images, those of each source (the beginning of the lesion id), and each
    generator's; one image per lesion.

    Args:
        real: Examples of the real images.
        sets: Examples of generated images, a folder per generator.
        size: pixels in which all are looked at.
        confidence: of the intervals.

    Returns:
        Rows of `class`, `set` (`real`, `real, HAM`, or the generator), `images`, `statistics` (name of
        `artefacts.STATISTICS` -> `value`, `low`, `high`: the mean and Student's interval; None where there is none),
        `tones` (group of `skin_tone` -> images), and, of generators, `differs`: the statistics whose mean lies more
        than 0.3 standard deviations from the class's real images, with an interval of the difference without 0 after
        Bonferroni's correction, each with `difference`.
    """
    return _Looks(real, size, confidence).rows(sets)


def tones(images: np.ndarray) -> list[str]:
    """The group of `skin_tone` of each picture, uint8 `[n, s, s, 3]`."""
    return [skin_tone.group(float(angle)) for angle in skin_tone.angles(images)]


class _Looks:
    """Arguments as of `rows`."""

    def __init__(self, real: Path, size: int, confidence: float):
        self.real, self.size, self.confidence = real, size, confidence
        table = examples.read_table(real)
        self.lesions = dict(zip(table["image_id"], table["lesion_id"], strict=True))
        self.classes = examples.taxonomy(real).classes

    def rows(self, sets: Sequence[Path]) -> list[dict]:
        made = {path.name: self._made(path) for path in sets}
        pairs = [(name, int(label)) for name, images in made.items() for label in np.unique(images.labels)]
        level = 1 - (1 - self.confidence) / max(1, len(pairs) * len(STATISTICS))
        found = []
        for label in sorted({label for _, label in pairs}):
            name = self.classes[label]
            own = examples.load(self.real, self.size, "train", classes=[name])
            own = _some(own.take(first_of_each_lesion(own.ids, self.lesions)))
            measured = artefacts(own.images)
            found.append(self._row(name, REAL, own, measured))
            found += self._by_source(name, own, measured)
            for generator, images in made.items():
                part = _some(images.of_class(label))
                if len(part):
                    values = artefacts(part.images)
                    row = self._row(name, generator, part, values)
                    found.append(row | {"differs": _differing(values, measured, level)})
        return found

    def _made(self, path: Path) -> ImageSet:
        images, table = examples.load(path, self.size, "train"), examples.read_table(path)
        sources = dict(zip(table["image_id"], table["source_id"], strict=True)) if "source_id" in table else {}
        return images.take(first_of_each_lesion(images.ids, self.lesions, sources))

    def _by_source(self, name: str, images: ImageSet, measured: Mapping[str, np.ndarray]) -> list[dict]:
        sources = np.array([source_of(self.lesions[i]) for i in images.ids])
        known = [str(source) for source in np.unique(sources) if source and (sources == source).sum() >= _LEAST]
        if len(known) < 2:
            return []
        return [
            self._row(
                name,
                f"{REAL}, {source}",
                images.take(sources == source),
                {key: values[sources == source] for key, values in measured.items()},
            )
            for source in known
        ]

    def _row(self, name: str, origin: str, images: ImageSet, measured: Mapping[str, np.ndarray]) -> dict[str, Any]:
        groups = tones(images.images)
        return {
            "class": name,
            "set": origin,
            "images": len(images),
            "statistics": {key: self._mean(values) for key, values in measured.items()},
            "tones": {group: groups.count(group) for group in (*skin_tone.GROUPS, skin_tone.UNKNOWN)},
        }

    def _mean(self, values: np.ndarray) -> dict[str, float] | None:
        values = values[np.isfinite(values)]
        if len(values) < _LEAST:
            return None
        half = stats.t.ppf(0.5 + self.confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        return {"value": values.mean(), "low": values.mean() - half, "high": values.mean() + half}


def _differing(made: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray], level: float) -> dict[str, float | None]:
    """Statistic -> difference of the means in standard deviations of the real images, of those that differ."""
    found: dict[str, float | None] = {}
    for name in STATISTICS:
        first, second = (values[name][np.isfinite(values[name])] for values in (made, real))
        if min(len(first), len(second)) < _LEAST:
            continue
        difference = first.mean() - second.mean()
        spread = second.std(ddof=1)
        if not difference or abs(difference) <= _APART * spread:
            continue
        if first.std() + spread == 0:  # all alike on both sides, and not the same
            found[name] = None
        elif stats.ttest_ind(first, second, equal_var=False).pvalue < 1 - level:
            found[name] = float(difference / spread) if spread else None
    return found


def _some(images: ImageSet) -> ImageSet:
    return images.take(spread_over(_MOST, len(images)))
