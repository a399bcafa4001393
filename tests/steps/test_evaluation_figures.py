"""Figures 7 and 8 and the distances, from small Examples whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from small_examples import examples

from lesiongan.data.examples import load
from lesiongan.data.generated import Generated, write as write_generated
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.steps import evaluation_figures

CLASSES = Taxonomy.of(("MEL", "NV", "DF"))
SIZE = 32
MODEL = {"name": "made", "digest": "d", "taxonomy": CLASSES.to_dict()}


class MeanColour:
    """A judge by hand: its features are the mean of each colour, in shares of the range."""

    taxonomy, size = CLASSES, SIZE

    def predict(self, images):
        return None, images.mean((1, 2)) / 255


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return examples(tmp_path_factory.mktemp("figures") / "real", CLASSES, {"train": [3, 12, 2], "test": [1, 1, 1]})


def translated(root, real, alpha: float, shade: int, count: int):
    """The first nevi, all of one shade."""
    nevi = load(real, SIZE, "train", classes=["NV"]).take(np.arange(count))
    images = np.full_like(nevi.images, shade)
    generated = Generated(images, np.zeros(count, np.int32), np.zeros(count, np.int64), nevi.ids)
    write_generated(root / f"alpha-{alpha:g}", generated, MODEL, [SIZE], alpha)
    return root / f"alpha-{alpha:g}", nevi


def test_figure_8_pairs_each_nevus_with_its_melanomas(real, tmp_path):
    first, nevi = translated(tmp_path, real, 0.125, 0, 10)
    second, _ = translated(tmp_path, real, 1.0, 255, 9)
    scale = np.array([0.1, 0.2, 0.4])
    evaluation_figures.write(real, [second, first], MeanColour(), scale, tmp_path / "out", 0.95)
    assert not (tmp_path / "out" / "figure7.png").exists()
    found = json.loads((tmp_path / "out" / "distances.json").read_text())
    assert found["images"] == 9  # those that both have
    for row, shade in zip(found["rows"], (0, 255), strict=True):
        moved = (shade - nevi.images[:9].mean((1, 2))) / 255 / scale
        assert row["features"]["value"] == pytest.approx(np.sqrt((moved**2).mean(1)).mean(), rel=1e-5)
        pixels = np.sqrt((((nevi.images[:9] - float(shade)) / 255) ** 2).mean((1, 2, 3)))
        assert row["pixels"]["value"] == pytest.approx(pixels.mean(), rel=1e-5)
    assert [row["alpha"] for row in found["rows"]] == [0.125, 1.0]
    figure = np.asarray(Image.open(tmp_path / "out" / "figure8.png"))
    # A row a nevus (8 are shown), a column for it and for each alpha: cells of 96 pixels and gaps of 3.
    assert figure.shape == (20 + 8 * 99, 3 + 3 * 99, 3)
    for k in range(8):
        y, x = 20 + k * 99, 3
        enlarged = np.asarray(Image.fromarray(nevi.images[k]).resize((96, 96), Image.NEAREST))
        np.testing.assert_array_equal(figure[y : y + 96, x : x + 96], enlarged)
        assert (figure[y : y + 96, x + 99 : x + 195] == 0).all()
        assert (figure[y : y + 96, x + 198 : x + 294] == 255).all()


def test_figure_7_has_columns_per_class_that_fill_its_width(real, tmp_path):
    """Images from noise are grey, refined ones white; only MEL and DF were refined."""
    labels = np.repeat([0, 1, 2], 3).astype(np.int32)
    noise = Generated(np.full((9, SIZE, SIZE, 3), 90, np.uint8), labels, np.arange(9), ("",) * 9)
    write_generated(tmp_path / "acgan", noise, MODEL, [SIZE], "")
    paths = [tmp_path / "acgan"]
    for name, label in (("MEL", 0), ("DF", 2)):
        images = np.full((3, SIZE, SIZE, 3), 255, np.uint8)
        sources = tuple(f"acgan_{i:07d}" for i in range(3 * label, 3 * label + 3))
        refined = Generated(images, np.full(3, label, np.int32), np.zeros(3, np.int64), sources)
        write_generated(tmp_path / f"refined-{name}", refined, MODEL, [SIZE], "")
        paths.insert(0, tmp_path / f"refined-{name}")
    evaluation_figures.write(real, paths, MeanColour(), np.ones(3), tmp_path / "out", 0.95)
    assert not (tmp_path / "out" / "figure8.png").exists()
    figure = np.asarray(Image.open(tmp_path / "out" / "figure7.png"))
    assert figure.shape[0] == 20 + 6 * 99  # two rows of each kind
    left = figure.shape[1] - 6 * 99  # two columns of each class
    middle = figure[20 + 48 :: 99, left + 48 :: 99][:6, :6]
    assert (middle[2] == 90).all()
    assert (middle[3, ::2] == 90).all()  # the third picture
    assert (middle[3, 1::2] == 245).all()
    assert (middle[4, [0, 1, 4, 5]] == 255).all()
    assert (middle[4:, 2:4] == 245).all()  # nothing was made of this class


def test_figure_7_of_one_class_shows_no_other(real, tmp_path):
    noise = Generated(np.full((20, SIZE, SIZE, 3), 90, np.uint8), np.full(20, 1, np.int32), np.arange(20), ("",) * 20)
    write_generated(tmp_path / "acgan", noise, MODEL, [SIZE], "")
    evaluation_figures.write(real, [tmp_path / "acgan"], MeanColour(), np.ones(3), tmp_path / "out", 0.95)
    figure = np.asarray(Image.open(tmp_path / "out" / "figure7.png"))
    assert figure.shape[0] == 20 + 4 * 99
    middle = figure[20 + 48 :: 99, figure.shape[1] - 8 * 99 + 48 :: 99][:4, :8]
    assert (middle[2:] == 90).all()


def test_without_generated_images_there_is_nothing(real, tmp_path):
    evaluation_figures.write(real, [], MeanColour(), np.ones(3), tmp_path / "out", 0.95)
    assert not (tmp_path / "out").exists()
