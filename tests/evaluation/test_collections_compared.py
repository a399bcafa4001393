"""`quality`: the numbers are `image_quality`'s, copies are found, and too few pictures give a reason, no number."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lesiongan.config.data import DataConfig
from lesiongan.data import examples_writer
from lesiongan.data.gathered import gathered
from lesiongan.data.pictures import encode_png
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.collections_compared import LEAST, Seen, compared, look
from lesiongan.evaluation.compared_lines import lines, notes
from lesiongan.evaluation.feature_metrics import feature_scale, kernel_inception_distance
from lesiongan.evaluation.image_quality import METRICS, image_quality
from lesiongan.evaluation.judge import Judge

SIZE = 32


def eighths(images: np.ndarray) -> tuple[None, np.ndarray]:
    """Mean colours of 4 x 4 squares of a picture as its features, `[n, 48]`."""
    parts = images.reshape(len(images), 4, SIZE // 4, 4, SIZE // 4, 3).mean((2, 4))
    return None, parts.reshape(len(images), -1) / 255


JUDGE = Judge("mean colours", SIZE, eighths)


def picture(seed: int, shift: int = 0) -> np.ndarray:
    """A skin-coloured square of 32 px with a blot, whose place, colour and texture are its seed's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    blot = np.hypot(x - rng.uniform(10, 22), y - rng.uniform(10, 22)) < rng.uniform(5, 10)
    pixels = np.full((SIZE, SIZE, 3), (200 - shift, 150, 130 + shift)) + rng.integers(-25, 25, (SIZE, SIZE, 1))
    pixels[blot] -= rng.integers(40, 100)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def folder(place, seeds, shift: int = 0, form: str = "png"):
    place.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        Image.fromarray(picture(seed, shift)).save(place / f"p{seed}.{form}")
    return place


def seen(place, **more) -> Seen:
    with gathered(str(place), SIZE, DataConfig(), **more) as pictures:
        return look(pictures, JUDGE, place.name)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return seen(folder(tmp_path_factory.mktemp("real") / "real", range(80)))


def test_numbers_are_those_of_the_features(real, tmp_path):
    made = seen(folder(tmp_path / "made", range(100, 150), shift=30))
    features = [
        eighths(np.stack([picture(seed, shift) for seed in sorted(seeds, key=lambda s: f"p{s}.png")]))[1]
        for seeds, shift in ((range(80), 0), (range(100, 150), 30))
    ]
    scale = feature_scale(features[0])
    found = compared(real, made)["quality"]["all"]
    expected = image_quality(*(f / scale for f in features), seed=0)
    for metric in METRICS:
        for part, other in ((found, expected), (found["floor"], expected["floor"])):
            values = {key: part[metric][key] for key in ("value", "low", "high")}
            assert values == pytest.approx(other[metric], rel=1e-4, abs=1e-5)
            assert part[metric]["wide"] == (values["high"] - values["low"] > abs(values["value"]))
    assert found["kid"]["value"] == pytest.approx(kernel_inception_distance(*(f / scale for f in features)), rel=1e-4)


def test_a_difference_and_chance(real, tmp_path):
    other = compared(real, seen(folder(tmp_path / "other", range(100, 160), shift=40)))["quality"]["all"]
    chance = compared(real, seen(folder(tmp_path / "chance", range(200, 260))))["quality"]["all"]
    assert (other["kid_above_floor"], chance["kid_above_floor"]) == (True, False)
    assert (other["kid"]["wide"], chance["kid"]["wide"]) == (False, True)
    assert chance["images"] == {"real": 80, "made": 60}


def test_copies_are_found_whatever_was_done_to_them(real, tmp_path):
    place = folder(tmp_path / "made", range(300, 330))
    Image.fromarray(picture(7)).save(place / "again.png")
    Image.fromarray(picture(9)[:, ::-1]).save(place / "mirrored.jpg", quality=95)
    found = compared(real, seen(place), listed=4)["copies"]
    assert found["same"] == 2
    pairs = [(pair["made"], pair["real"], pair["same"]) for pair in found["pairs"]]
    assert pairs[:2] == [("again.png", "p7.png", True), ("mirrored.jpg", "p9.png", True)]
    assert found["pairs"][0]["distance"] == 0
    assert [pair["same"] for pair in found["pairs"][2:]] == [False, False]
    rest = [pair["distance"] for pair in found["pairs"][2:]]
    assert rest == sorted(rest)
    scale, made = feature_scale(real.features), picture(int(found["pairs"][2]["made"][1:-4]))
    difference = (real.features - eighths(made[None])[1]) / scale
    assert rest[0] == pytest.approx(np.sqrt((difference**2).mean(1)).min(), rel=1e-4)


def test_classes_of_both_sides_and_too_few_of_one(tmp_path):
    for name, counts in (("real", (60, 50)), ("made", (30, LEAST - 1))):
        for label, count in zip(("NV", "MEL"), counts, strict=True):
            folder(
                tmp_path / name / label,
                range(1000 * len(name) + 100 * len(label), 1000 * len(name) + 100 * len(label) + count),
            )
    folder(tmp_path / "made" / "DF", range(5))
    result = compared(seen(tmp_path / "real"), seen(tmp_path / "made"))
    assert list(result["quality"]) == ["all", "MEL", "NV"]
    assert result["quality"]["NV"]["images"] == {"real": 60, "made": 30}
    assert result["quality"]["MEL"] == {
        "images": {"real": 50, "made": LEAST - 1},
        "reason": f"{LEAST - 1} made pictures, at least {LEAST} are needed",
    }
    alone = compared(seen(tmp_path / "real", classes=False), seen(tmp_path / "made"))
    assert list(alone["quality"]) == ["all"]


def test_one_picture_of_a_lesion_and_no_more_than_asked_for(tmp_path):
    with examples_writer.writing(tmp_path / "examples", (SIZE,), Taxonomy.of(["MEL", "NV"])) as writer:
        for i in range(60):
            row = {"image_id": f"i{i}", "split": "test", "origin": "real", "lesion_id": f"L{max(i, 9)}"}
            writer.add(row, 0, {SIZE: encode_png(picture(i))})
        writer.close({"source": "here", "kind": "here", "phantom": False}, ())
    real = seen(tmp_path / "examples")
    assert real.rows["name"].tolist() == ["i0", *(f"i{i}" for i in range(10, 60))]
    np.testing.assert_allclose(real.features[1], eighths(picture(10)[None])[1][0], atol=1e-6)
    result = compared(real, seen(folder(tmp_path / "made", range(100, 150))), most=48)
    assert result["quality"]["all"]["images"] == {"real": 48, "made": 48}


def test_what_a_person_reads(tmp_path):
    facts, collections = {}, []
    made = folder(tmp_path / "made", range(100, 140), form="jpg")
    for key, place in (("real", folder(tmp_path / "real", range(60))), ("made", made)):
        with gathered(str(place), SIZE, DataConfig()) as pictures:
            collections.append(look(pictures, JUDGE, key))
            facts[key] = {"place": str(place), **pictures.facts()}
    result = facts | {"judge": {"name": JUDGE.name, "size": SIZE, "features": 48}} | compared(*collections)
    result["notes"] = notes(result)
    assert json.loads(json.dumps(result)) == result
    text = "\n".join(lines(result))
    assert "the files are PNG and JPEG: compression is a part of the difference" in text
    kid = result["quality"]["all"]["kid"]
    assert f"KID        {kid['value']:.3g} ({kid['low']:.3g} to {kid['high']:.3g})" in text
    kids = (result["quality"]["all"], result["quality"]["all"]["matched"], result["quality"]["all"]["floor"])
    assert text.split("KID        ")[1].split("MMD")[0].count("~") == sum(part["kid"]["wide"] for part in kids) > 0
    assert "FID: no more pictures than features (48)" in text  # halves of 30
