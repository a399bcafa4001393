"""The training sets of a grid's cells, image by image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from lesiongan.base.errors import LesionganError
from lesiongan.data import examples_writer
from lesiongan.data.image_set import ImageSet
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.experiments.cell_images import CellImages, digest, downsampled_and_restored
from lesiongan.experiments.cells import BASELINE, Cell

TAXONOMY = Taxonomy.of(("A", "B", "C"))


def image_set(labels, prefix: str, size: int = 16) -> ImageSet:
    rng = np.random.default_rng(len(labels))
    images = rng.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8)
    ids = tuple(f"{prefix}{i}" for i in range(len(labels)))
    return ImageSet(images, np.array(labels, np.int32), ids, (prefix,) * len(labels))


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """7 real images of A, 3 of B, 2 of C; a generator with 6 of A and 6 of B, one of B alone and one of C alone."""
    folder = tmp_path_factory.mktemp("generated")
    for name, labels in (("both", [0, 1] * 6), ("refined-B", [1] * 5), ("refined-C", [2] * 5)):
        made = image_set(labels, f"{name}_")
        examples_writer.write_generated(
            folder / name, made.images, made.labels, made.ids, made.origins, TAXONOMY, sizes=[16]
        )
    return CellImages(image_set([0] * 7 + [1] * 3 + [2] * 2, "real"), [folder], TAXONOMY)


def cell(amount: int, *generators: str, classes=("A", "B"), **more) -> Cell:
    return Cell("x", "acgan", generators, amount=amount, classes=classes, **more)


def test_the_baseline_is_the_real_images(cells):
    images, real = cells.of(BASELINE)
    assert (images.ids, real) == (cells.real.ids, 12)


def test_added_images_are_the_first_of_each_class_so_that_amounts_are_nested(cells):
    images, real = cells.of(cell(5, "both"))
    assert real == 12
    assert images.ids[:12] == cells.real.ids
    # A is every even number of the generator's images, B every odd one; the first class gets one more
    assert images.ids[12:] == ("both_0", "both_2", "both_4", "both_1", "both_3")
    assert set(cells.of(cell(8, "both"))[0].ids) > set(images.ids)


def test_each_class_comes_from_the_generator_that_has_it(cells):
    images, _ = cells.of(cell(4, "refined-B", "refined-C", classes=("B", "C")))
    assert images.ids[12:] == ("refined-B_0", "refined-B_1", "refined-C_0", "refined-C_1")


def test_of_a_set_with_more_classes_only_the_cells_are_taken(cells):
    images, _ = cells.of(cell(3, "both", classes=("B",)))
    assert images.labels[12:].tolist() == [1, 1, 1]


def test_too_few_images_are_one_clear_line(cells):
    with pytest.raises(LesionganError, match="7 images of A asked for, 6 generated"):
        cells.of(cell(13, "both"))
    with pytest.raises(LesionganError, match="no generated images named 'none'; there are: both, refined-B"):
        cells.of(cell(2, "none"))


def test_oversampling_copies_real_images_as_evenly_as_it_can(cells):
    images, real = cells.of(cell(7, control="oversampling", classes=("B",)))
    copies = images.ids[12:]
    assert real == len(images) == 19  # copies are real images
    assert sorted(copies.count(i) for i in ("real7", "real8", "real9")) == [2, 2, 3]
    for i, image_id in enumerate(copies):
        assert (images.images[12 + i] == cells.real.images[cells.real.ids.index(image_id)]).all()
    assert cells.of(cell(4, control="oversampling", classes=("B",)))[0].ids == images.ids[:16]


def test_synthetic_only_leaves_the_real_images_of_its_classes_out(cells):
    images, real = cells.of(cell(4, "both", control="synthetic_only"))
    assert real == 2
    assert images.ids[:2] == ("real10", "real11")
    assert set(images.origins[2:]) == {"both_"}
    none = dataclasses.replace(cell(4, "both", control="synthetic_only"), classes=("A", "B"))
    assert cells.of(none)[0].ids == images.ids


def test_levelling_gives_to_the_rarest_first(cells):
    levelling = CellImages(cells.real, [next(iter(cells.where.values())).parent], TAXONOMY, "levelling")
    images, _ = levelling.of(cell(3, "refined-B", "refined-C", classes=("B", "C")))
    assert np.bincount(images.labels).tolist() == [7, 4, 4]


def test_through_a_lower_resolution_is_pillows_bicubic_down_and_up():
    images = image_set([0, 1], "x", size=24)
    lower = downsampled_and_restored(images, 8)
    for before, after in zip(images.images, lower.images, strict=True):
        expected = Image.fromarray(before).resize((8, 8), Image.Resampling.BICUBIC)
        assert (after == np.asarray(expected.resize((24, 24), Image.Resampling.BICUBIC))).all()
    assert lower.ids == images.ids


def test_a_cell_at_a_resolution_passes_all_its_images_through_it(cells):
    at_8, _ = cells.of(cell(2, "both", resolution=8))
    plain, _ = cells.of(cell(2, "both"))
    assert (at_8.images == downsampled_and_restored(plain, 8).images).all()


def test_a_digest_changes_with_every_pixel_label_and_id():
    images = image_set([0, 1], "x")
    pixels = images.images.copy()
    pixels[1, 3, 4, 2] ^= 1
    changed = [
        dataclasses.replace(images, images=pixels),
        dataclasses.replace(images, labels=np.array([1, 1], np.int32)),
        dataclasses.replace(images, ids=("x0", "y1")),
        images.take([1, 0]),
        images.take([0]),
        images.take([]),
    ]
    assert len({digest(images), *map(digest, changed)}) == 1 + len(changed)
    assert digest(images) == digest(image_set([0, 1], "x"))
