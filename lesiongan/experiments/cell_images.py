"""The training images of a grid's cell: real ones, with generated ones or copies added or in their place."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.base.errors import LesionganError
from lesiongan.data import examples, pictures
from lesiongan.data.image_set import ImageSet
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.experiments import selection
from lesiongan.experiments.amounts import nested_order, spread
from lesiongan.experiments.cells import Cell


class CellImages:
    """Puts the cells' training sets together; each generated set is read once.

    Args:
        real: the real training images.
        artifacts: folders of generated sets.
        taxonomy: the classes.
        distribution: of a cell's amount over its classes, see `amounts.spread`.
        seed: of the order in which real images are copied.
        look: what the classifier says of images, for cells whose images are chosen.
    """

    def __init__(
        self,
        real: ImageSet,
        artifacts: Sequence[Path],
        taxonomy: Taxonomy,
        distribution: str = "equal",
        seed: int = 0,
        look: selection.Look | None = None,
    ):
        self.real, self.taxonomy, self.distribution, self.seed, self.look = real, taxonomy, distribution, seed, look
        self.where = {path.parent.name: path.parent for a in artifacts for path in Path(a).glob("*/examples.json")}
        self.sets: dict[str, ImageSet] = {}
        self._orders: dict[tuple[str, int, str], np.ndarray] = {}
        self._of_real: dict[int, np.ndarray] = {}

    def of(self, cell: Cell) -> tuple[ImageSet, int]:
        """The cell's images, real ones first, and how many of them are real (copies of real ones among them).

        The added images are the first ones of each class, by the cell's rule of selection if it has one, so that
        amounts are nested.

        Raises:
            LesionganError: a generated set is missing or too small.
        """
        real = self.real
        if cell.control == "synthetic_only":
            covered = [self.taxonomy.index(c) for c in cell.classes]
            real = real.take(~np.isin(real.labels, covered))
        added = self.added(cell)
        images = ImageSet.join([real, *added]) if added else real
        if cell.control == "oversampling":
            real = images
        return (downsampled_and_restored(images, cell.resolution) if cell.resolution else images), len(real)

    def added(self, cell: Cell) -> list[ImageSet]:
        """The images that are added to the real ones, one set per class."""
        labels = [self.taxonomy.index(c) for c in cell.classes]
        counts = np.bincount(self.real.labels, minlength=len(self.taxonomy))[labels]
        numbers = spread(cell.amount, counts, self.distribution) if cell.amount else []
        take = self._copies if cell.control == "oversampling" else self._generated
        return [take(cell, label, number) for label, number in zip(labels, numbers, strict=False) if number]

    def _generated(self, cell: Cell, label: int, number: int) -> ImageSet:
        most = 0
        for name in cell.generators:
            images = self._set(name)
            here = np.flatnonzero(images.labels == label)
            if len(here) >= number:
                chosen = self._order(name, label, cell.selection) if cell.selection else np.arange(number)
                return images.take(here[chosen[:number]])
            most = max(most, len(here))
        raise LesionganError(
            f"{cell.name}: {number:,} images of {self.taxonomy.classes[label]} asked for, {most:,} generated"
        )

    def _order(self, name: str, label: int, rule: str) -> np.ndarray:
        """The order of a set's images of a class by a rule, computed once."""
        if self.look is None:
            raise LesionganError(f"images of {name} cannot be chosen by {rule} without a classifier")
        if (name, label, rule) not in self._orders:
            probabilities, features = self.look(self._set(name).of_class(label).images)
            if label not in self._of_real:
                self._of_real[label] = self.look(self.real.of_class(label).images)[1]
            for each in selection.RULES:
                order = selection.order(each, probabilities[:, label], features, self._of_real[label])
                self._orders[name, label, each] = order
        return self._orders[name, label, rule]

    def _copies(self, cell: Cell, label: int, number: int) -> ImageSet:
        """Real images again and again, in one shuffled order for a seed."""
        here = sorted(np.flatnonzero(self.real.labels == label), key=lambda i: self.real.ids[i])
        if not here:
            raise LesionganError(f"{cell.name}: there is no real image of {self.taxonomy.classes[label]} to copy")
        order = np.asarray(here)[nested_order(len(here), self.seed)]
        return self.real.take(np.resize(order, number))

    def _set(self, name: str) -> ImageSet:
        if name not in self.where:
            known = ", ".join(sorted(self.where)) or "none"
            raise LesionganError(f"no generated images named {name!r}; there are: {known}")
        if name not in self.sets:
            self.sets[name] = examples.load(self.where[name], self.real.size, "train")
        return self.sets[name]


def digest(images: ImageSet) -> str:
    """A hex digest of a set's images, labels and ids."""
    hasher = hashlib.sha256(repr((images.images.shape, images.ids)).encode())
    for array in (images.labels, images.images):
        hasher.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return hasher.hexdigest()


def downsampled_and_restored(images: ImageSet, resolution: int) -> ImageSet:
    """Every image downsampled to `resolution` pixels and enlarged again, by antialiased bicubic interpolation."""
    result = np.empty_like(images.images)
    for i, array in enumerate(images.images):
        small = pictures.square(Image.fromarray(array), resolution, "squash")
        result[i] = np.asarray(pictures.square(small, images.size, "squash"))
    return dataclasses.replace(images, images=result)


def evaluation_sets(directory: Path, size: int) -> Mapping[str, ImageSet]:
    """What cells are evaluated on: "" (the usual test set), `validation`, and each further test set that has images."""
    names = {"": "test", "validation": "validation"} | {
        name: name for name in examples.read_info(directory).get("further_tests", ())
    }
    sets = {name: examples.load(directory, size, split) for name, split in names.items()}
    return {name: images for name, images in sets.items() if len(images) or not name}
