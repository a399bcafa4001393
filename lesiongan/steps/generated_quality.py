"""What the Evaluator measures of each set of generated images, per class: the judge's word, distances to real images,
and the same of what there was before the generator.

A classifier that helped to train a generator is no judge of its images: features of a network that no training uses
take its place, where there is one, and nobody says what class they show.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from lesiongan.evaluation.judge import Judge
from lesiongan.serving import saved_models
from lesiongan.training.failure_signals import diversity, movement

_LEAST = 24  # images of each set below which nothing is measured
_JUDGED = 500  # generated images per class that are judged; with more, the real ones would still set the interval


#: Of a row, in place of a judge's name: the run's own classifier.
CLASSIFIER = "classifier"

#: uint8 `[n, s, s, 3]` -> class probabilities `[n, k]` (or None) and features `[n, f]`.
Look = Callable[[np.ndarray], tuple[np.ndarray | None, np.ndarray]]


def rows(
    real: Path,
    sets: Sequence[Path],
    classifier: saved_models.Served,
    test: ImageSet,
    seed: int,
    *,
    guided: Collection[Path] = (),
    outsider: Judge | None = None,
) -> list[dict]:
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
        guided: those of the sets that the classifier helped to make.
        outsider: who judges these, a network that no training uses; None: nobody.

    Returns:
        Rows of `generator`, `class`, `images`, `judge` (`classifier`, the outsider's name, or None), `agreement` (the
        share that the judge calls the class), `probability` (of the class, mean), both None where the judge knows no
        classes, `quality` (`image_quality` against real test images, with real validation images as the floor: the
        judge has learned its training images, which lie apart from all others in its features; None where there are
        too few), `diversity` (of the pictures, over that of real ones), `copies` (see `_Copies.among`), and `before`:
        what there was before the generator, as `what` it is, its `images`, `agreement`, `mmd` (None where there are too
        few), and `moved`, by how much a pixel was changed from there (0 to 2; None where the generator made images from
        noise).
    """
    return _Measuring(real, sets, classifier, test, seed, guided, outsider).rows()


class _Before(NamedTuple):
    """Images that there were before the generator; `moved` as in `rows`."""

    what: str
    images: np.ndarray
    moved: float | None


class _View:
    """Real test images as a judge sees them, and others beside them.

    Args:
        judge: its name.
        look: what it sees.
        images: the test images, uint8 `[n, s, s, 3]`.
    """

    def __init__(self, judge: str, look: Look, images: np.ndarray):
        self.judge, self.look = judge, look
        self.features = look(images)[1]
        self.scale = feature_scale(self.features)
        self.floors: dict[int, np.ndarray] = {}  # label -> features of real validation images


class _Measuring:
    """Arguments as of `rows`."""

    def __init__(
        self,
        real: Path,
        sets: Sequence[Path],
        classifier: saved_models.Served,
        test: ImageSet,
        seed: int,
        guided: Collection[Path],
        outsider: Judge | None,
    ):
        self.real, self.sets, self.classifier, self.seed = real, sets, classifier, seed
        self.guided, self.outsider = guided, outsider
        table = examples.read_table(real)
        self.lesions = dict(zip(table["image_id"], table["lesion_id"], strict=True))
        self.classes = classifier.taxonomy.classes
        self.test = test.take(first_of_each_lesion(test.ids, self.lesions))
        self.views: dict[str, _View] = {}
        self.held: dict[int, tuple[ImageSet, dict]] = {}  # label -> validation images, and how many count as copies
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
            view = self._view(path)
            for label in np.unique(images.labels):
                part = images.of_class(label)
                part = part.take(np.arange(min(_JUDGED, len(part))))
                found.append({"generator": path.name, **self._row(part, int(label), sources, view)})
        return found

    def _view(self, path: Path) -> _View | None:
        """How a set is judged; None where nobody may."""
        outsider = self.outsider
        if path not in self.guided:
            return self._view_of(CLASSIFIER, self.classifier.predict)
        if outsider is None:
            return None
        return self._view_of(outsider.name, lambda images: (None, outsider.features(images)))

    def _view_of(self, judge: str, look: Look) -> _View:
        if judge not in self.views:
            self.views[judge] = _View(judge, look, self.test.images)
        return self.views[judge]

    def _row(self, part: ImageSet, label: int, sources: Mapping[str, str], view: _View | None) -> dict:
        held, held_copies = self._held_out(label)
        before = self._before(part, label, sources)
        shown = diversity(self.test.of_class(label).images)
        seen = {"agreement": None, "probability": None, "quality": None}
        return {
            "class": self.classes[label],
            "images": len(part),
            "judge": view and view.judge,
            **(seen if view is None else self._seen(part.images, label, held, view)),
            "diversity": diversity(part.images) / shown if shown else None,
            "copies": self.copies.among(part, sources) | {"held_out": held_copies},
            "before": self._compared(before, label, view),
        }

    def _seen(self, images: np.ndarray, label: int, held: ImageSet, view: _View) -> dict:
        """What a judge says of generated images, and how near they are to real ones in its features."""
        probabilities, generated = view.look(images)
        if label not in view.floors:
            view.floors[label] = view.look(held.images)[1]
        real, floor, quality = view.features[self.test.labels == label], view.floors[label], None
        if _measurable(real, generated, floor):
            sets = (features / view.scale for features in (real, generated))
            quality = image_quality(*sets, floor=floor / view.scale, seed=self.seed) | {"normalised": True}
        return {
            "agreement": _agreement(probabilities, label),
            "probability": None if probabilities is None else float(probabilities[:, label].mean()),
            "quality": quality,
        }

    def _held_out(self, label: int) -> tuple[ImageSet, dict]:
        """Real validation images of a class, at most as many as are judged of a generated set, and how many of them
        count as copies."""
        if label not in self.held:
            size, name = self.classifier.size, self.classes[label]
            held = examples.load(self.real, size, "validation", classes=[name])
            held = held.take(first_of_each_lesion(held.ids, self.lesions))
            held = held.take(np.random.default_rng(self.seed).permutation(len(held))[:_JUDGED])
            self.held[label] = held, self.copies.among(held, {})
        return self.held[label]

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

    def _compared(self, before: _Before, label: int, view: _View | None) -> dict:
        agreement = mmd = None
        if view is not None and len(before.images):
            probabilities, features = view.look(before.images)
            real, agreement = view.features[self.test.labels == label], _agreement(probabilities, label)
            if _measurable(real, features):
                mmd = bounded_discrepancy(real / view.scale, features / view.scale)
        return {
            "what": before.what,
            "images": len(before.images),
            "agreement": agreement,
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


def _agreement(probabilities: np.ndarray | None, label: int) -> float | None:
    """The share that is called the class; None where the judge knows no classes."""
    return None if probabilities is None else float((probabilities.argmax(1) == label).mean())


def _measurable(*sets: np.ndarray) -> bool:
    """Whether sets of features `[n, d]` are large enough, and finite."""
    return min(map(len, sets)) >= _LEAST and all(np.isfinite(features).all() for features in sets)


def _sources(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["image_id"], table["source_id"], strict=True)) if "source_id" in table else {}
