"""The audit of what generators remember, and what Generators withhold, from small Examples with planted copies."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_examples import blob, examples

from lesiongan.base.errors import LesionganError
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.data.examples import load, read_table
from lesiongan.data.generated import Generated, write as write_generated
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.blessing import generator_verdicts
from lesiongan.evaluation.judge import Judge
from lesiongan.steps import memorisation, sample_images, translate_images
from lesiongan.steps.step import Task

CLASSES = Taxonomy.of(("MEL", "NV"))
SIZE, COUNT = 32, 60
CONFIG = EvaluationConfig(false_alarms=0.02, audit="pictures")


def _means(images: np.ndarray) -> np.ndarray:
    """The features of a judge by hand: means of the picture's 4 x 4 cells."""
    return images.reshape(len(images), 4, 8, 4, 8, 3).mean((2, 4)).reshape(len(images), -1) / 255


JUDGE = Judge("cells", SIZE, lambda images: (None, _means(images)))


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    counts = {"train": (COUNT, COUNT), "validation": (2 * COUNT, 2 * COUNT), "test": (COUNT, COUNT)}
    return examples(tmp_path_factory.mktemp("memorisation") / "real", CLASSES, counts)


def made(folder: Path, images, sources=None) -> Path:
    sources = ("",) * len(images) if sources is None else tuple(sources)
    model = {"name": folder.name, "digest": "d", "taxonomy": CLASSES.to_dict()}
    zeros = np.zeros(len(images), np.int32)
    write_generated(folder, Generated(np.stack(list(images)), zeros, zeros.astype(int), sources), model, [SIZE], "")
    return folder


def new(count: int = COUNT) -> list[np.ndarray]:
    return [blob(0, 50_000 + i) for i in range(count)]


def test_a_generator_that_hands_out_training_images_is_found_and_a_good_one_is_not(real, tmp_path):
    seen = load(real, SIZE, "train", classes=["MEL"])
    sets = [made(tmp_path / "good", new()), made(tmp_path / "remembers", [*seen.images[:40, :, ::-1], *new(20)])]
    result = memorisation.audits(real, sets, SIZE, CONFIG, 0, tmp_path, judge=JUDGE)
    good, remembers = result["generators"]
    assert result["false_alarms"]["value"] <= 0.04
    assert result["false_alarms"]["images"] == COUNT  # one of each lesion
    assert good["suspected"]["found"] <= 2
    assert remembers["suspected"]["found"] >= 40
    for image, copied in remembers["pairs"].items():
        assert copied == seen.ids[int(image[-7:])]
    assert Image.open(tmp_path / "suspected_copies-remembers.png").height == 3 + 2 * 99
    assert good["moved"] is None
    verdicts = (
        generator_verdicts([{"generator": "remembers", **row()}], CONFIG, {"remembers": remembers}),
        generator_verdicts([{"generator": "good", **row()}], CONFIG, {"good": good}),
    )
    assert "suspected copies" in verdicts[0]["remembers"]["reason"]
    assert not verdicts[0]["remembers"]["blessed"]
    assert verdicts[1]["good"]["blessed"], verdicts[1]["good"]["reason"]


def row() -> dict:
    """Of `generated_quality.rows`, without a fault."""
    audit = {"images": COUNT, "found": 0, "held_out": {"images": COUNT, "found": 0}}
    before = {"what": "real images", "agreement": 0.1, "mmd": 0.5, "moved": None}
    quality = {"kid": {"value": 0.1}, "mmd": {"value": 0.1}}
    return {"agreement": 0.9, "diversity": 1.0, "copies": audit, "before": before, "quality": quality}


def test_features_give_away_who_was_in_training(real, tmp_path):
    seen = load(real, SIZE, "train")
    near = np.clip(seen.images.astype(int) + np.random.default_rng(0).integers(-3, 4, seen.images.shape), 0, 255)
    sets = [made(tmp_path / "new", new(100)), made(tmp_path / "near", near.astype(np.uint8))]
    one, other = memorisation.audits(real, sets, SIZE, CONFIG, 0, tmp_path, judge=JUDGE)["generators"]
    assert other["membership"]["auc"]["low"] > 0.9
    assert one["membership"]["auc"]["low"] < 0.6
    for each in (one, other):
        assert each["membership"]["control"]["low"] < 0.5 < each["membership"]["control"]["high"]
    assert other["authenticity"]["high"] < 0.2 < one["authenticity"]["low"]
    assert other["copying"]["value"] < -3
    json.dumps([one, other])


def test_a_translator_is_held_to_other_images_than_its_sources_and_its_steps_are_measured(real, tmp_path):
    nevi = load(real, SIZE, "train", classes=["NV"])
    melanomas = load(real, SIZE, "train", classes=["MEL"])
    brighter = np.clip(nevi.images.astype(int) + 20, 0, 255).astype(np.uint8)
    images = [*nevi.images[:10], *brighter[10:50], *melanomas.images[50:]]
    (found,) = memorisation.audits(real, [made(tmp_path / "alpha-1", images, nevi.ids)], SIZE, CONFIG, 0, tmp_path)[
        "generators"
    ]
    assert len(set(found["pairs"].values()) - set(melanomas.ids)) <= 1
    assert 10 <= found["suspected"]["found"] <= 12
    moved = found["moved"]
    assert (moved["still"], moved["images"]) == (10, COUNT)
    assert moved["median"] == pytest.approx(20 / 255, rel=0.1)
    assert found["membership"] is None


def test_validation_images_that_a_generator_learned_from_are_no_reference(real, tmp_path):
    learned = load(real, SIZE, "validation", classes=["MEL"]).images[:COUNT]
    folder = made(tmp_path / "acgan", learned)
    (alone,) = memorisation.audits(real, [folder], SIZE, CONFIG, 0, tmp_path)["generators"]
    both = memorisation.audits(real, [folder], SIZE, CONFIG, 0, tmp_path, with_validation=True)
    assert alone["suspected"]["found"] <= 4
    assert both["generators"][0]["suspected"]["found"] == COUNT
    assert both["false_alarms"] is None


class Remembering:
    """An ACGAN by hand: every tenth image is a training image."""

    taxonomy, size = CLASSES, SIZE
    record = {"name": "acgan", "digest": "d", "taxonomy": CLASSES.to_dict()}  # noqa: RUF012

    def __init__(self, every: int):
        self.every = every

    def sample(self, labels, seeds):
        return np.stack(
            [
                blob(label, i % COUNT if not i % self.every else 70_000 + seed % 100_000)
                for i, (label, seed) in enumerate(zip(labels.tolist(), seeds.tolist(), strict=True))
            ]
        )


def task(real: Path, output: Path, options) -> Task:
    outputs = {"references": output / "references", "generated": output / "generated"}
    return Task({"examples": real, "model": output}, outputs, {}, options, 0, output / "work")


def test_what_the_generator_withholds_is_replaced(real, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_images.saved_models, "load", lambda _: Remembering(20))
    options = sample_images.Options(classes=("MEL",), largest=100, sizes=(SIZE,), withhold=0.02)
    sample_images.run(task(real, tmp_path, options))
    handed_on = read_table(tmp_path / "generated" / "acgan")
    assert 100 <= len(handed_on) <= 107  # 100 and a few to spare, of which every twentieth was a copy
    assert handed_on["seed"].is_monotonic_increasing
    said = json.loads((tmp_path / "generated" / "acgan.withheld.json").read_text())
    assert (said["images"], said["rate"]) == (113, 0.02)
    assert 6 <= said["withheld"] <= 10
    assert (tmp_path / "generated" / "acgan.withheld.png").exists()
    plain = dataclasses.replace(options, withhold=0.0)
    sample_images.run(task(real, tmp_path / "plain", plain))
    assert len(read_table(tmp_path / "plain" / "generated" / "acgan")) == 100


def test_a_generator_of_copies_alone_ends_the_run(real, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_images.saved_models, "load", lambda _: Remembering(1))
    options = sample_images.Options(classes=("MEL",), largest=50, sizes=(SIZE,), withhold=0.02)
    with pytest.raises(LesionganError, match="suspected copies of training images, which leaves 0 where 50 are needed"):
        sample_images.run(task(real, tmp_path, options))
    assert not (tmp_path / "generated" / "acgan").exists()


class Translating:
    """A CycleGAN by hand: a nevus in other colours, but some melanomas of the training set."""

    taxonomy, size = CLASSES, SIZE
    record = {"name": "alpha-1", "digest": "d", "taxonomy": CLASSES.to_dict(), "source": "NV", "target": "MEL"}  # noqa: RUF012
    record |= {"alpha": 1.0}

    def translate(self, images):
        changed = np.clip(images.astype(int) + np.array([60, -60, 0]), 0, 255).astype(np.uint8)
        changed[::15] = blob(0, 3)
        return changed


def test_a_translators_copies_are_withheld_and_further_sources_taken(real, tmp_path, monkeypatch):
    monkeypatch.setattr(translate_images.saved_models, "load", lambda _: Translating())
    monkeypatch.setattr(translate_images.model_artifact, "names", lambda _: ["alpha-1"])
    options = translate_images.Options(largest=40, sizes=(SIZE,), withhold=0.02)
    translate_images.run(task(real, tmp_path, options))
    table = read_table(tmp_path / "generated" / "alpha-1")
    assert len(table) == table["source_id"].nunique() == 40
    said = json.loads((tmp_path / "generated" / "alpha-1.withheld.json").read_text())
    assert said["images"] == 50
    assert 4 <= said["withheld"] <= 6
