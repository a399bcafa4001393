"""What the Evaluator measures of each set of generated images, per class: the judge's word, distances to real images,
and the same of what there was before the generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lesiongan.data import examples, pictures
from lesiongan.data.image_set import ImageSet
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.data.near_duplicates import near_duplicates
from lesiongan.evaluation.feature_metrics import bounded_discrepancy, feature_scale
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.serving import saved_models
from lesiongan.training.failure_signals import diversity, movement

_LEAST = 24  # images of each set below which nothing is measured
_JUDGED = 500  # generated images per class that are judged; with more, the real ones would still set the interval


def rows(real: Path, sets: Sequence[Path], classifier: saved_models.Served, test: ImageSet, seed: int) -> list[dict]:
    """One row per generated set and class.

    Each set has one image per lesion, the first one, and one per lesion that an image was translated from: the
    intervals count images as independent. All features have one scale, since that of a classifier of our own means
    nothing.

    Args:
        real: Examples of the real images.
        sets: Examples of generated images, a folder per generator.
        classifier: the judge.
        test: the real test images in its size.
        seed: of the draws.

    Returns:
        Rows of `generator`, `class`, `images`, `agreement` (the share that the judge calls the class), `probability`
        (of the class, mean), `quality` (`image_quality` against real test images, with real validation images as the
        floor: the judge has learned its training images, which lie apart from all others in its features; None where
        there are too few), `diversity` (of the pictures, over that of real ones), `copies` (see `_Copies.among`), and
        `before`: what there was before the generator, as `what` it is, its `images`, `agreement`, `mmd` (None where
        there are too few), and `moved`, by how much a pixel was changed from there (0 to 2; None where the generator
        made images from noise).
    """
    return _Measuring(real, sets, classifier, test, seed).rows()


class _Before(NamedTuple):
    """Images that there were before the generator; `moved` as in `rows`."""

    what: str
    images: np.ndarray
    moved: float | None


class _Floor(NamedTuple):
    """What the judge sees in held-out real images, and how many of them count as copies."""

    features: np.ndarray
    copies: dict


class _Measuring:
    """Arguments as of `rows`."""

    def __init__(self, real: Path, sets: Sequence[Path], classifier: saved_models.Served, test: ImageSet, seed: int):
        self.real, self.sets, self.classifier, self.seed = real, sets, classifier, seed
        table = examples.read_table(real)
        self.lesions = dict(zip(table["image_id"], table["lesion_id"], strict=True))
        self.classes = classifier.taxonomy.classes
        self.test = test.take(first_of_each_lesion(test.ids, self.lesions))
        self.features = classifier.predict(self.test.images)[1]
        self.scale = feature_scale(self.features)
        self.floors: dict[int, _Floor] = {}
        self._copies: _Copies | None = None

    @property
    def copies(self) -> _Copies:
        """Thumbnails of all training images, made when the first generated set asks for them."""
        if self._copies is None:
            self._copies = _Copies(self.real, self.classifier.size, self.lesions)
        return self._copies

    def rows(self) -> list[dict]:
        found = []
        for path in self.sets:
            images, table = examples.load(path, self.classifier.size, "train"), examples.read_table(path)
            sources = _sources(table)
            images = images.take(first_of_each_lesion(images.ids, self.lesions, sources))
            for label in np.unique(images.labels):
                part = images.of_class(label)
                part = part.take(np.arange(min(_JUDGED, len(part))))
                found.append({"generator": path.name, **self._row(part, int(label), sources)})
        return found

    def _row(self, part: ImageSet, label: int, sources: Mapping[str, str]) -> dict:
        probabilities, generated = self.classifier.predict(part.images)
        real = self.features[self.test.labels == label]
        floor = self._floor(label)
        quality = None
        if _measurable(real, generated, floor.features):
            sets = (features / self.scale for features in (real, generated))
            quality = image_quality(*sets, floor=floor.features / self.scale, seed=self.seed) | {"normalised": True}
        shown = diversity(self.test.of_class(label).images)
        return {
            "class": self.classes[label],
            "images": len(part),
            "agreement": float((probabilities.argmax(1) == label).mean()),
            "probability": float(probabilities[:, label].mean()),
            "quality": quality,
            "diversity": diversity(part.images) / shown if shown else None,
            "copies": self.copies.among(part, sources) | {"held_out": floor.copies},
            "before": self._compared(self._before(part, label, sources), label),
        }

    def _floor(self, label: int) -> _Floor:
        """Of real validation images of a class, at most as many as are judged of a generated set."""
        if label not in self.floors:
            size, name = self.classifier.size, self.classes[label]
            held = examples.load(self.real, size, "validation", classes=[name])
            held = held.take(first_of_each_lesion(held.ids, self.lesions))
            held = held.take(np.random.default_rng(self.seed).permutation(len(held))[:_JUDGED])
            self.floors[label] = _Floor(self.classifier.predict(held.images)[1], self.copies.among(held, {}))
        return self.floors[label]

    def _before(self, part: ImageSet, label: int, sources: Mapping[str, str]) -> _Before:
        wanted = [sources.get(image, "") for image in part.ids]
        if not all(wanted):
            others = self.test.take(self.test.labels != label)
            order = np.random.default_rng([self.seed, label]).permutation(len(others))[:_JUDGED]
            return _Before("real images of the other classes", others.images[order], None)
        if wanted[0] in self.lesions:
            table = examples.read_table(self.real).set_index("image_id")
            names = sorted(set(table.loc[wanted, "label"]))
            given = examples.load(self.real, self.classifier.size, "train", classes=names)
            what = f"the {' and '.join(names)} that they were made of"
        else:
            place = next(path for path in self.sets if set(wanted) <= set(examples.read_table(path)["image_id"]))
            given = examples.load(place, self.classifier.size, "train", classes=[self.classes[label]])
            what = f"the images of {place.name} that they were made of"
        at = {image: i for i, image in enumerate(given.ids)}
        images = given.images[[at[image] for image in wanted]]
        return _Before(what, images, movement(images, part.images))

    def _compared(self, before: _Before, label: int) -> dict:
        if not len(before.images):
            return {"what": before.what, "images": 0, "agreement": None, "mmd": None, "moved": before.moved}
        probabilities, features = self.classifier.predict(before.images)
        real, mmd = self.features[self.test.labels == label], None
        if _measurable(real, features):
            mmd = bounded_discrepancy(real / self.scale, features / self.scale)
        return {
            "what": before.what,
            "images": len(before.images),
            "agreement": float((probabilities.argmax(1) == label).mean()),
            "mmd": mmd,
            "moved": before.moved,
        }


class _Copies:
    """Finds the pictures that are nearly a training image.

    Args:
        real: Examples of the real images.
        size: of theirs, in pixels.
        lesions: image id -> lesion id.
    """

    def __init__(self, real: Path, size: int, lesions: Mapping[str, str]):
        self.lesions = lesions
        self.ids: list[str] = []
        parts = [pictures.thumbnails(np.empty((0, size, size, 3), np.uint8))]
        for batch in examples.batches(real, size, "train"):  # as pictures they may be gigabytes
            self.ids += batch.ids
            parts.append(pictures.thumbnails(batch.images))
        self.thumbnails = np.concatenate(parts)

    def among(self, images: ImageSet, sources: Mapping[str, str]) -> dict:
        """How many of the `images` are nearly a training image of another lesion than their own or their source's, and
        the first `pairs` of such a picture and what it is nearly."""
        both = np.concatenate([self.thumbnails, pictures.thumbnails(images.images)])
        found: dict[str, str] = {}
        for first, second, _ in near_duplicates(both, across=len(self.ids)):
            image = images.ids[second - len(self.ids)]
            if not self._of_one_lesion(sources.get(image) or image, self.ids[first]):
                found.setdefault(image, self.ids[first])
        return {"images": len(images), "found": len(found), "pairs": dict(list(found.items())[:10])}

    def _of_one_lesion(self, one: str, other: str) -> bool:
        lesion = self.lesions.get(one)
        return one == other or (bool(lesion) and lesion == self.lesions.get(other))


def _measurable(*sets: np.ndarray) -> bool:
    """Whether sets of features `[n, d]` are large enough, and finite."""
    return min(map(len, sets)) >= _LEAST and all(np.isfinite(features).all() for features in sets)


def _sources(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["image_id"], table["source_id"], strict=True)) if "source_id" in table else {}
