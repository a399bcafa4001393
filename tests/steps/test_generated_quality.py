"""Generators with a planted fault are refused, and good ones are blessed."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_examples import blob, examples

from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data.examples import load
from lesiongan.data.generated import Generated, guides_of, write as write_generated
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.blessing import generator_verdicts
from lesiongan.evaluation.judge import Judge as Outsider
from lesiongan.steps import generated_quality

CLASSES = Taxonomy.of(("MEL", "NV", "BCC"))
SIZE, COUNT = 32, 60
MELANOMA, NEVUS = 0, 1


class Judge:
    """Tells classes by their colour; sees colour, contrast and how rough a picture is."""

    taxonomy, size = CLASSES, SIZE

    def predict(self, images):
        colour = images.mean((1, 2)) / 255
        values = images.astype(np.float64) / 255
        rough = np.abs(np.diff(values, axis=2)).mean((1, 2, 3))
        probabilities = np.exp(20 * colour)
        features = np.concatenate([colour, values.std((1, 2)), rough[:, None]], 1)
        # a melanoma is red, a nevus green, BCC blue
        return probabilities / probabilities.sum(1, keepdims=True), features


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    counts = dict.fromkeys(("train", "validation", "test"), (COUNT, COUNT, COUNT))
    return examples(tmp_path_factory.mktemp("generated_quality") / "real", CLASSES, counts)


def row_of(
    real: Path,
    folder: Path,
    images,
    sources: tuple[str, ...] = ("",) * COUNT,
    *,
    guided_by: str = "",
    outsider: Outsider | None = None,
) -> dict:
    """What is measured of melanomas by a generator of the folder's name; the judge's digest is `judge`."""
    model = {"name": folder.name, "digest": "d", "taxonomy": CLASSES.to_dict(), "guided_by": guided_by}
    made = Generated(np.stack(list(images)), np.zeros(COUNT, np.int32), np.arange(COUNT), sources)
    write_generated(folder, made, model, [SIZE], 1.0 if sources[0] else "")
    guided = [folder] if "judge" in guides_of(folder) else []
    test = load(real, SIZE, "test")
    (row,) = generated_quality.rows(real, [folder], Judge(), test, 0, guided=guided, outsider=outsider)
    return row


def verdict(row: dict, **limits) -> dict:
    return generator_verdicts([row], dataclasses.replace(EvaluationConfig(), **limits))[row["generator"]]


def melanomas(first: int = 50_000):
    """Melanomas that nobody has seen."""
    return [blob(MELANOMA, first + i) for i in range(COUNT)]


def test_a_generator_of_new_melanomas_is_blessed(real, tmp_path):
    row = row_of(real, tmp_path / "good", melanomas())
    found = verdict(row)
    assert found["blessed"], found["reason"]
    assert row["before"]["what"] == "real images of the other classes"
    assert found["measured"]["agreement"] == 1.0
    assert found["measured"]["agreement_before"] == 0.0
    assert 0.8 < found["measured"]["diversity"] < 1.25
    assert found["measured"]["copies"] == 0.0
    assert found["measured"]["mmd"] < found["measured"]["mmd_before"]


def test_what_the_judge_helped_to_make_is_not_judged_by_it(real, tmp_path):
    plain = row_of(real, tmp_path / "other", melanomas(), guided_by="another")
    assert plain["judge"] == "classifier"
    row = row_of(real, tmp_path / "good", melanomas(), guided_by="judge")
    assert [row[key] for key in ("judge", "agreement", "probability", "quality")] == [None] * 4
    assert [row["before"][key] for key in ("agreement", "mmd")] == [None] * 2
    for key in ("images", "diversity", "copies"):  # are none of the judge's
        assert row[key] == plain[key]
    found = verdict(row)
    assert not found["blessed"]
    assert "the classifier helped to train it (guidance) and is no judge of it" in found["reason"]
    assert "evaluation.audit=features" in found["reason"]
    assert "cannot be said" in verdict(row, beat_before=False, max_kid=0.1)["reason"]
    assert "evaluation.min_agreement" in verdict(row, beat_before=False, min_agreement=0.1)["reason"]
    assert verdict(row, beat_before=False)["blessed"]


def test_an_outsider_judges_how_near_guided_images_are(real, tmp_path):
    outsider = Outsider("imagenet", SIZE, lambda images: (None, Judge().predict(images)[1]))
    plain = row_of(real, tmp_path / "plain", melanomas())
    row = row_of(real, tmp_path / "good", melanomas(), guided_by="judge", outsider=outsider)
    assert row["judge"] == "imagenet"
    assert row["agreement"] is None
    assert row["quality"]["kid"]["value"] == pytest.approx(plain["quality"]["kid"]["value"], rel=1e-3)
    assert row["before"]["mmd"] == pytest.approx(plain["before"]["mmd"], rel=1e-3)
    found = verdict(row)
    assert found["blessed"], found["reason"]
    assert "in the features of EfficientNet-Lite2" in found["reason"]
    assert "evaluation.min_agreement" in verdict(row, min_agreement=0.1)["reason"]
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    refused = verdict(row_of(real, tmp_path / "noise", noise, guided_by="judge", outsider=outsider))
    assert "no nearer to real images than real images of the other classes" in refused["reason"]


def test_who_guided_a_generator_is_known_of_what_was_made_of_its_images(tmp_path):
    zeros = np.zeros(2, np.int32)
    made = Generated(np.zeros((2, SIZE, SIZE, 3), np.uint8), zeros, np.arange(2), ("a", "b"))
    model = {"name": "refined-MEL", "digest": "d", "taxonomy": CLASSES.to_dict()}
    write_generated(tmp_path / "plain", made, model, [SIZE], "")
    assert guides_of(tmp_path / "plain") == set()
    assert "guided_by" not in (tmp_path / "plain" / "examples.csv").read_text()
    write_generated(tmp_path / "refined", made, model | {"guided_by": "one"}, [SIZE], "", {"two", "one"})
    assert guides_of(tmp_path / "refined") == {"one", "two"}


def test_one_picture_again_and_again_is_a_collapse(real, tmp_path):
    rng = np.random.default_rng(0)
    same = [np.clip(blob(MELANOMA, 1) + rng.integers(-2, 3, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)] * COUNT
    found = verdict(row_of(real, tmp_path / "collapsed", same))
    assert not found["blessed"]
    assert "evaluation.min_diversity" in found["reason"]


def test_noise_is_refused(real, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    found = verdict(row_of(real, tmp_path / "noise", noise))
    assert not found["blessed"]
    assert "no nearer to real images than real images of the other classes" in found["reason"]


def _jpeg(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(
    "change",
    [np.asarray, np.fliplr, np.rot90, _jpeg, lambda picture: np.clip(picture * 0.8 + 30, 0, 255).astype(np.uint8)],
    ids=["as they are", "mirrored", "turned", "as JPEG", "recoloured"],
)
def test_training_images_handed_out_again_are_found(real, tmp_path, change):
    seen = load(real, SIZE, "train", classes=["MEL"])
    row = row_of(real, tmp_path / "copies", map(change, seen.images))
    assert row["copies"]["found"] >= 0.95 * COUNT
    assert row["copies"]["held_out"]["found"] == 0
    assert set(row["copies"]["pairs"].values()) <= set(seen.ids)
    found = verdict(row)
    assert not found["blessed"]
    assert "nearly a training image" in found["reason"]
    assert verdict(row, max_copies=1.0)["blessed"]


def test_a_cyclegan_is_compared_with_the_nevi_it_was_given(real, tmp_path):
    nevi = load(real, SIZE, "train", classes=["NV"])
    # the nevus's own structure in a melanoma's colour: like its source, and no copy
    changed = nevi.images.astype(int) + np.array([80, -80, 0])
    row = row_of(real, tmp_path / "good", np.clip(changed, 0, 255).astype(np.uint8), nevi.ids)
    assert row["before"]["what"] == "the NV that they were made of"
    expected = np.abs(row_images(changed) - nevi.images.astype(float)).mean() / 127.5
    assert row["before"]["moved"] == pytest.approx(expected, rel=1e-5)
    assert row["before"]["agreement"] == 0.0
    found = verdict(row)
    assert found["blessed"], found["reason"]


def row_images(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255)


def test_a_cyclegan_that_does_nothing_is_named(real, tmp_path):
    nevi = load(real, SIZE, "train", classes=["NV"])
    found = verdict(row_of(real, tmp_path / "identity", nevi.images, nevi.ids))
    assert not found["blessed"]
    assert "hands on its input as it is" in found["reason"]


def test_a_cyclegan_that_leads_away_from_melanomas_is_refused(real, tmp_path):
    nevi = load(real, SIZE, "train", classes=["NV"])
    green = np.clip(nevi.images.astype(int) + np.array([-80, 50, -80]), 0, 255).astype(np.uint8)
    found = verdict(row_of(real, tmp_path / "away", green, nevi.ids))
    assert not found["blessed"]
    assert "no nearer to real images than the NV that they were made of" in found["reason"]
    assert "no oftener called the intended class" in found["reason"]


def test_refined_images_are_compared_with_those_that_were_refined(real, tmp_path):
    model = {"name": "acgan", "digest": "d", "taxonomy": CLASSES.to_dict()}
    rough = np.stack([np.clip(picture.astype(int) - 40, 0, 255).astype(np.uint8) for picture in melanomas()])
    zeros = np.zeros(COUNT, np.int32)
    write_generated(tmp_path / "acgan", Generated(rough, zeros, np.arange(COUNT), ("",) * COUNT), model, [SIZE], "")
    sampled = load(tmp_path / "acgan", SIZE, "train")
    refined = Generated(np.stack(melanomas()), zeros, np.arange(COUNT), sampled.ids)
    write_generated(tmp_path / "refined-MEL", refined, {**model, "name": "refined-MEL"}, [SIZE], "")
    sets = [tmp_path / "acgan", tmp_path / "refined-MEL"]
    _, row = generated_quality.rows(real, sets, Judge(), load(real, SIZE, "test"), 0)
    assert row["before"]["what"] == "the images of acgan that they were made of"
    assert row["before"]["mmd"] > row["quality"]["mmd"]["value"]
    assert row["before"]["moved"] == pytest.approx(40 / 127.5, rel=0.05)


def test_too_few_images_are_no_reason_to_bless(real, tmp_path):
    row = row_of(real, tmp_path / "good", melanomas())
    few = {**row, "quality": None, "before": {**row["before"], "mmd": None}}
    assert "cannot be said with so few images" in verdict(few)["reason"]
    assert verdict(few, beat_before=False)["blessed"]


def test_limits_of_agreement_and_kid_hold(real, tmp_path):
    row = row_of(real, tmp_path / "good", melanomas()) | {"agreement": 0.6}
    assert "below 0.7 (evaluation.min_agreement)" in verdict(row, min_agreement=0.7)["reason"]
    assert verdict(row, min_agreement=0.5)["blessed"]
    kid = row["quality"]["kid"]["value"] = 0.2
    assert "evaluation.max_kid" in verdict(row, max_kid=kid / 2, beat_before=False)["reason"]
    assert verdict(row, max_kid=kid * 2, beat_before=False)["blessed"]
