"""The search for suspected copies over Examples: what Generators withhold by, and the Evaluator reports.

Which pictures are suspected, and at what rate of false alarms, says `evaluation.copies`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.errors import LesionganError
from lesiongan.base.files import write_json
from lesiongan.base.progress import say
from lesiongan.data import examples, pictures
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.image_set import ImageSet
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.evaluation.copies import Limits, Nearest, Pictures, Training, limits, suspected

_SHOWN = 10

#: uint8 `[n, s, s, 3]` -> features `[n, f]`.
Look = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found among some pictures.

    Attributes:
        flagged: bool `[n]`.
        copied: of each flagged picture the id of the training image that it resembles; "" for the others.
        nearest: the distances, by way.
    """

    flagged: np.ndarray
    copied: tuple[str, ...]
    nearest: Mapping[str, Nearest]


class CopyAudit:
    """Training images and the limits that held-out ones give.

    Args:
        real: Examples of the real images.
        size: of theirs, in pixels, that is read.
        rate: of false alarms.
        with_validation: the generators learned from the validation images too; then test images are held out.
        look: features of a network that no training here used, if there is one.

    Attributes:
        train, held_out: as the audit sees them. Held-out ones are one per lesion; their groups keep them from images of
            their own lesion, which a split by images has in training.
        train_ids, held_out_ids: their ids.
        limits: see `evaluation.copies`.
    """

    def __init__(self, real: Path, size: int, rate: float, *, with_validation: bool = False, look: Look | None = None):
        self.real, self.size, self.look = real, size, look
        table = examples.read_table(real)
        self.lesions = dict(zip(table["image_id"], table["lesion_id"], strict=True))
        self._groups = _numbered([self.lesions[i] or i for i in table["image_id"]], table["image_id"])
        self.train, self.train_ids = self._seen(("train", "validation") if with_validation else ("train",))
        self.held_out, self.held_out_ids = self.one_per_lesion("test" if with_validation else "validation")
        self._training = Training(self.train)
        self.limits: Limits = limits(self._training.nearest(self.held_out), rate)
        if all(value < 0 for value in self.limits.values.values()):
            say(f"{len(self.held_out):,} held-out lesions are too few to tell copies at {rate:.1%} false alarms")

    def among(self, images: ImageSet, sources: Mapping[str, str], features: np.ndarray | None = None) -> Found:
        """Looks for copies of other lesions' training images than those that pictures were made of.

        Args:
            sources: id of a picture -> id of the image that it was made of, "" for none.
        """
        groups = [self._groups.get(sources.get(i) or i, -1) for i in images.ids]
        return self.held_to(Pictures(pictures.thumbnails(images.images), features, np.array(groups, np.int64)))

    def held_to(self, seen: Pictures) -> Found:
        """The same of pictures that have been looked at."""
        nearest = self._training.nearest(seen)
        flagged, places = suspected(nearest, self.limits)
        names = tuple(self.train_ids[p] if f else "" for f, p in zip(flagged, places, strict=True))
        return Found(flagged, names, nearest)

    def one_per_lesion(self, split: str) -> tuple[Pictures, list[str]]:
        """A split's images, the first of each lesion, and their ids."""
        seen, ids = self._seen((split,))
        first = first_of_each_lesion(ids, self.lesions)
        return taken(seen, first), [ids[i] for i in first]

    def gallery(self, images: ImageSet, found: Found, path: Path) -> None:
        """The first suspected pictures above the training images that they resemble, as PNG; nothing where there are
        none."""
        places = np.flatnonzero(found.flagged)[:_SHOWN]
        if not len(places):
            return
        wanted = {found.copied[i] for i in places}
        originals: dict[str, np.ndarray] = {}
        for split in ("train", "validation"):
            for batch in examples.batches(self.real, self.size, split):
                originals |= {i: batch.images[k] for k, i in enumerate(batch.ids) if i in wanted}
        rows = [list(images.images[places]), [originals[found.copied[i]] for i in places]]
        save_sheet(contact_sheet(rows, ("generated", "training image"), cell=96), path)

    def _seen(self, splits: Sequence[str]) -> tuple[Pictures, list[str]]:
        """Images batch by batch: as pictures they may be gigabytes."""
        ids: list[str] = []
        small = [pictures.thumbnails(np.empty((0, self.size, self.size, 3), np.uint8))]
        features = []
        for split in splits:
            for batch in examples.batches(self.real, self.size, split):
                ids += batch.ids
                small.append(pictures.thumbnails(batch.images))
                if self.look is not None:
                    features.append(self.look(batch.images))
        seen = np.concatenate(features) if features else None
        return Pictures(np.concatenate(small), seen, np.array([self._groups[i] for i in ids], np.int64)), ids


def taken(seen: Pictures, places: np.ndarray) -> Pictures:
    """Some of the pictures."""
    features = None if seen.features is None else seen.features[places]
    return Pictures(seen.thumbnails[places], features, None if seen.groups is None else seen.groups[places])


def withhold(
    audit: CopyAudit, images: ImageSet, sources: Mapping[str, str], needed: Mapping[int, int], output: Path
) -> np.ndarray:
    """Which pictures may be handed on, bool `[n]`; says, and writes beside `output`, which may not.

    Args:
        needed: label -> how many must be left.
        output: the folder that the pictures will be written to; beside it stand `<name>.withheld.json` and, where
            something was withheld, `<name>.withheld.png`.

    Raises:
        LesionganError: too few are left.
    """
    found = audit.among(images, sources)
    count, name = int(found.flagged.sum()), output.name
    pairs = {images.ids[i]: found.copied[i] for i in np.flatnonzero(found.flagged)}
    audit.gallery(images, found, withheld_file(output).with_suffix(".png"))
    facts = {"images": len(images), "withheld": count, "rate": audit.limits.rate, "held_out": audit.limits.held_out}
    write_json(withheld_file(output), {**facts, "pairs": dict(list(pairs.items())[:_SHOWN])})
    if count:
        say(f"{name}: {count:,} of {len(images):,} images are suspected copies of training images and are withheld")
    for label, number in needed.items():
        left = int((images.labels[~found.flagged] == label).sum())
        if left < number:
            raise LesionganError(
                f"{name}: {count:,} of {len(images):,} images are suspected copies of training images, which leaves "
                f"{left:,} where {number:,} are needed: train the generator on more images or for less long, lower the "
                f"experiment's amounts, or hand copies on with --set grid.withhold_copies=false"
            )
    return ~found.flagged


def withheld_file(folder: Path) -> Path:
    """Where it stands what a generator's pictures had withheld."""
    return folder.with_name(f"{folder.name}.withheld.json")


def with_spare(number: int) -> int:
    """How many pictures to make so that `number` are left where a few are withheld."""
    return number + number // 20 + 8 if number else 0


def _numbered(lesions: Sequence[str], ids: pd.Series) -> dict[str, int]:
    """Image id -> the number of its lesion."""
    return dict(zip(ids, pd.factorize(np.array(lesions, object))[0].tolist(), strict=True))
