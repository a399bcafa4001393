"""The reader study: what a page shows and hides, and what answers come to."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from lesiongan.base.errors import UsageError
from lesiongan.reporting.reader_study import REAL, SYNTHETIC, Collection, lines, make, score
from pipelines import reader_study_command as command

CLASSES = ("MEL", "NV", "BCC")


def collection(name: str, count: int, seed: int, classes=CLASSES) -> Collection:
    images = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    labels = [classes[i % len(classes)] if classes else "" for i in range(count)]
    return Collection(images, [f"{name}_{i}.jpg" for i in range(count)], labels)


def shown(page: str) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    ]


@pytest.fixture(scope="module")
def study():
    real, made = collection("real", 40, 0), collection("made", 30, 1)
    page, key = make(real, made, pictures=24, seed=5, title="Which is which?")
    return real, made, page, key


def test_the_page_shows_the_pictures_of_the_key_in_its_order_and_nothing_else_of_them(study):
    real, made, page, key = study
    pixels = {name: image for side in (real, made) for name, image in zip(side.names, side.images, strict=True)}
    pictures = shown(page)
    assert len(pictures) == len(key["pictures"]) == 24
    for picture, row in zip(pictures, key["pictures"], strict=True):
        np.testing.assert_array_equal(picture, pixels[row["name"]])
        assert row["name"].startswith("real" if row["truth"] == REAL else "made")
    assert len({row["name"] for row in key["pictures"]}) == 24
    words = re.sub(r"base64,[\w+/=]+", "", page)
    assert not re.search(r"(real|made)_\d|MEL|BCC|NV", words)  # no name, no class
    assert "http" not in page.replace("http://www.w3.org", "")


def test_each_class_has_as_many_real_as_generated_pictures(study):
    *_, key = study
    counts = {c: [row["truth"] for row in key["pictures"] if row["class"] == c] for c in CLASSES}
    assert {c: (rows.count(REAL), rows.count(SYNTHETIC)) for c, rows in counts.items()} == dict.fromkeys(
        CLASSES, (4, 4)
    )


def test_a_seed_chooses_again_the_same_and_another_seed_others(study):
    real, made, _, key = study
    again, other = (make(real, made, pictures=24, seed=seed, title="")[1] for seed in (5, 6))
    assert again["pictures"] == key["pictures"] != other["pictures"]
    assert again["study"] != key["study"]


def test_sides_without_a_common_class_or_with_too_few_pictures_are_refused():
    with pytest.raises(UsageError, match="share no class"):
        make(collection("real", 9, 0, ("MEL",)), collection("made", 9, 1, ("NV",)), pictures=4, seed=0, title="")
    with pytest.raises(UsageError, match="--pictures 10"):
        make(collection("real", 5, 0, ()), collection("made", 9, 1, ()), pictures=12, seed=0, title="")


def answered(key: dict, wrong: set[int], reader: str) -> dict:
    other = {REAL: SYNTHETIC, SYNTHETIC: REAL}
    said = [other[row["truth"]] if i in wrong else row["truth"] for i, row in enumerate(key["pictures"])]
    return {"format": 1, "study": key["study"], "reader": reader, "answers": said}


def test_the_score_is_the_share_of_right_answers_with_its_exact_interval(study):
    key = study[3]
    wrong = {i for i, row in enumerate(key["pictures"]) if row["truth"] == SYNTHETIC and row["class"] == "NV"}
    (row,) = score(key, [answered(key, wrong, "A")])["readers"]
    assert row["accuracy"] == pytest.approx(20 / 24)
    # Clopper and Pearson 1934: quantiles of beta distributions
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 20, 5))
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 21, 4))
    assert row["p"] == pytest.approx(2 * stats.binom.sf(19, 24, 0.5))
    assert row["synthetic_found"] == pytest.approx(8 / 12)
    assert row["real_called_synthetic"] == 0.0
    assert row["classes"] == {"MEL": 1.0, "BCC": 1.0, "NV": 0.5}


def test_readers_together_vary_over_the_pictures(study):
    key = study[3]
    first, second = set(range(6)), set(range(3, 12))
    result = score(key, [answered(key, first, "A"), answered(key, second, "B")])
    shares = 1 - (np.isin(np.arange(24), list(first)) * 0.5 + np.isin(np.arange(24), list(second)) * 0.5)
    low, high = stats.t.interval(0.95, 23, shares.mean(), shares.std(ddof=1) / np.sqrt(24))
    assert result["together"] == pytest.approx({"accuracy": shares.mean(), "low": low, "high": high})
    assert "2 readers together" in lines(result)[-1]


def test_answers_that_do_not_belong_to_the_key_are_refused(study):
    key = study[3]
    with pytest.raises(UsageError, match="another study"):
        score(key, [answered(key, set(), "A") | {"study": "0"}])
    for answers in ([REAL] * 23, [REAL] * 23 + [None], "real", None):
        with pytest.raises(UsageError, match="not to all 24"):
            score(key, [answered(key, set(), "A") | {"answers": answers}])


def parsed(*words: str):
    import argparse

    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["reader-study", *map(str, words)])


def written(folder, side: Collection):
    for name, label, image in zip(side.names, side.classes, side.images, strict=True):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / label / name, quality=95)
    return folder


def test_the_command_makes_and_scores_a_study(tmp_path, capsys):
    real = written(tmp_path / "real", collection("real", 40, 0))
    made = written(tmp_path / "made", collection("made", 30, 1))
    page = tmp_path / "study.html"
    arguments = parsed("make", real, made, "-o", page, "--pictures", 12)
    assert arguments.run(arguments) == 0
    key = json.loads((tmp_path / "study.key.json").read_text())
    assert key["size"] == 16
    assert [image.shape for image in shown(page.read_text())] == [(16, 16, 3)] * 12
    with pytest.raises(UsageError, match="--overwrite"):
        arguments.run(arguments)
    saved = tmp_path / "answers.json"
    saved.write_text(json.dumps(answered(key, {0}, "Dr A")))
    arguments = parsed("score", tmp_path / "study.key.json", saved)
    assert arguments.run(arguments) == 0
    assert "Dr A: 0.92 right" in capsys.readouterr().out
    saved.write_text("[]")
    with pytest.raises(UsageError, match=r"answers.json: that is not answers"):
        arguments.run(arguments)
    with pytest.raises(UsageError, match="even number"):
        (lambda a: a.run(a))(parsed("make", real, made, "-o", page, "--pictures", 3))
