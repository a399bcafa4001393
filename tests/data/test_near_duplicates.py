"""Near-duplicate pictures: what must be found, what must not, and the hash against its definition."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dct

from lesiongan.data import phantoms
from lesiongan.data.image_set import turned
from lesiongan.data.near_duplicates import near_duplicates, perceptual_hashes
from lesiongan.data.pictures import thumbnail


@pytest.fixture(scope="module")
def drawn() -> list[Image.Image]:
    """Phantoms of different lesions."""
    return [Image.fromarray(phantoms.render("NV", seed, 128)) for seed in range(24)]


def recoded(image: Image.Image, quality: int = 40) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_the_hash_is_that_of_the_definition(drawn):
    small = np.stack([thumbnail(image) for image in drawn[:5]])
    for image, value in zip(small, perceptual_hashes(small), strict=True):
        low = dct(dct(image.astype(float), axis=0, norm="ortho"), axis=1, norm="ortho")[:8, :8].ravel()
        bits = low > np.median(low[1:])
        assert f"{int(value):064b}" == "".join("01"[int(bit)] for bit in bits)


@pytest.mark.parametrize("symmetry", range(8))
def test_the_hash_of_a_turned_picture_needs_no_turning(drawn, symmetry):
    small = np.stack([thumbnail(image) for image in drawn])
    direct = perceptual_hashes(np.ascontiguousarray(turned(small, symmetry)))
    differing = np.bitwise_count(direct ^ perceptual_hashes(small, symmetry))
    assert differing.max() <= 2  # rounding may turn the coefficients next to the median


@pytest.mark.parametrize(
    "change",
    [
        recoded,
        lambda image: image.resize((60, 45), Image.Resampling.BICUBIC),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Color(image).enhance(0.3),
        lambda image: recoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        lambda image: recoded(image.transpose(Image.Transpose.ROTATE_90)),
        lambda image: recoded(image.transpose(Image.Transpose.TRANSVERSE)),
    ],
    ids=["re-encoded", "rescaled", "darker", "paler", "mirrored", "turned", "transposed"],
)
def test_copies_are_found_and_different_lesions_are_not(drawn, change):
    images = [*drawn, change(drawn[3]), change(drawn[11])]
    found = near_duplicates(np.stack([thumbnail(image) for image in images]))
    assert [(pair.first, pair.second) for pair in found] == [(3, 24), (11, 25)]
    assert all(0.96 <= pair.correlation <= 1 for pair in found)


def test_pictures_of_one_colour():
    same = np.full((32, 32), 200, np.uint8)
    other = np.full((32, 32), 40, np.uint8)
    assert [(pair.first, pair.second) for pair in near_duplicates(np.stack([same, other, same]))] == [(0, 2)]


def test_none_and_one():
    assert near_duplicates(np.zeros((0, 32, 32), np.uint8)) == []
    assert near_duplicates(np.zeros((1, 32, 32), np.uint8)) == []


@pytest.mark.slow
def test_isic_2019s_own_duplicates(real_data):
    """Of the pairs that are found in a part of ISIC 2019 nearly all are of one lesion by its own metadata."""
    import zipfile

    root = real_data / "isic2019_84px"
    lesions = pd.read_csv(root / "ISIC_2019_Training_Metadata.csv").set_index("image")["lesion_id"]
    with zipfile.ZipFile(root / "ISIC_2019_Training_Input.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:8000]
        images = [thumbnail(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    ids = lesions[[name.split("/")[-1][:-4] for name in names]].to_numpy()
    pairs = near_duplicates(np.stack(images))
    known = [pair for pair in pairs if isinstance(ids[pair.first], str) and isinstance(ids[pair.second], str)]
    assert len(known) >= 15
    assert np.mean([ids[pair.first] == ids[pair.second] for pair in known]) > 0.7


def test_across_two_sets_only_pairs_of_one_with_the_other_are_found(drawn):
    first, second = drawn[:4], [drawn[1], drawn[10], drawn[10], drawn[3]]
    small = np.stack([thumbnail(image) for image in (*first, *second)])
    pairs = near_duplicates(small, across=4)
    assert {(a, b - 4) for a, b, _ in pairs} == {(1, 0), (3, 3)}  # not the two copies within the second set
    everything = {(a, b) for a, b, _ in near_duplicates(small)}
    assert {(a, b) for a, b, _ in pairs} == {(a, b) for a, b in everything if a < 4 <= b}
    assert everything - {(a, b) for a, b, _ in pairs} == {(5, 6)}
