"""What a report says of generated images: numbers only where they are known, blessings only with their limits."""

from __future__ import annotations

import json

from lesiongan.reporting import blessings, quality


def entry(value, low, high):
    return {"value": value, "low": low, "high": high}


def test_an_interval_wider_than_its_value_is_no_number():
    values = {
        "NV, acgan": {"images": "41", "KID": entry(28.4, -132.0, 188.9), "recall": entry(0.9, 0.6, 1.0), "n": 0.5}
    }
    (row,) = quality.matrix(values)["rows"]
    kid, recall, number = row["cells"]
    assert kid == {"text": "", "note": "not measurable with 41 images"}
    assert recall == {"text": "0.9", "note": "(0.6 to 1)"}
    assert number == {"text": "0.5", "note": ""}
    narrow = quality.matrix({"a": {"KID": entry(-4.0, -5.9, -2.1)}})["rows"][0]["cells"]
    assert narrow[0]["text"] == "-4"


def test_rows_hold_what_the_evaluator_wrote(tmp_path):
    measured = {metric: entry(0.5, 0.4, 0.6) for metric in ("kid", "fid", "precision", "recall", "density", "coverage")}
    other = {metric: entry(0.3, 0.2, 0.4) for metric in measured}
    common = {"class": "NV", "images": 100, "agreement": 0.93}
    record = {"features": 512, "normalised": True}
    record |= {"matched": {"images": {"made": 41, "real": 40}, **measured}}
    record |= {"floor": {"images": {"other": 41, "real": 40}, **other}}
    rows = [{"generator": "refined-NV", **common, "quality": record}]
    rows += [{"generator": "acgan", **common, "class": "MEL", "quality": None}]
    (tmp_path / "image_quality.json").write_text(json.dumps(rows))
    found = quality.rows(tmp_path)
    assert list(found) == ["MEL, acgan", "NV, refined-NV", "NV, floor: other real images"]
    table = quality.matrix(found)
    assert table["heads"] == ["called the intended class", "KID", "FID", *list(measured)[2:]]
    assert [cell and cell["text"] for cell in table["rows"][0]["cells"]] == ["0.93", *[None] * 6]
    assert [cell and cell["text"] for cell in table["rows"][2]["cells"]] == [None, *["0.3"] * 6]
    assert "512 features" in quality.feature_space(tmp_path)
    rows[0]["quality"]["floor"]["kid"] = entry(0.1, -1.0, 1.2)
    (tmp_path / "image_quality.json").write_text(json.dumps(rows))
    notes = [cell["note"] for cell in quality.matrix(quality.rows(tmp_path))["rows"][2]["cells"] if cell]
    assert notes[0] == "not measurable with 41 images against 40"
    assert quality.rows(tmp_path / "nowhere") == quality.rows(None) == {}
    guided = {
        "generator": "acgan",
        **common,
        "agreement": None,
        "judge": "imagenet",
        "quality": {**record, "features": 9},
    }
    unjudged = {"generator": "alpha-1", **common, "agreement": None, "judge": None, "quality": None}
    (tmp_path / "image_quality.json").write_text(json.dumps([*rows, guided, unjudged]))
    assert [name for name in quality.rows(tmp_path) if "guided" in name] == [
        "NV, acgan, guided by the classifier",
        "NV, alpha-1, guided by the classifier",
        "NV, floor: other real images, as of the guided ones",
    ]
    space = quality.feature_space(tmp_path)
    assert "512 features of this run’s own classifier or the 9 features of EfficientNet-Lite2" in space


def test_a_blessing_stands_with_the_limits_it_was_held_to():
    verdicts = {"acgan": {"blessed": True, "reason": "agreement 0.87, KID 0.02"}}
    unlimited = {"beat_before": False, "min_agreement": 0.0, "max_kid": 0.0, "min_diversity": 0.0, "max_copies": 1.0}
    (none,) = blessings.sentences(verdicts, unlimited)
    assert "no limit was set that it could have failed" in none
    (all_of_them,) = blessings.sentences(
        verdicts,
        {"beat_before": True, "min_agreement": 0.8, "max_kid": 0.05, "min_diversity": 0.4, "max_copies": 0.02},
    )
    assert "acgan is blessed: agreement 0.87, KID 0.02." in all_of_them
    for limit in ("than what there was before", "at least 0.8", "at most 0.05", "at least 0.4", "at most 2.0%"):
        assert limit in all_of_them
    (refused,) = blessings.sentences(
        {"acgan": {"blessed": False, "reason": "agreement 0.1"}}, {**unlimited, "max_kid": 1}
    )
    assert "acgan is not blessed" in refused
    (unknown,) = blessings.sentences(verdicts, {})
    assert "not recorded" in unknown
    classifier = {"classifier": {"blessed": True, "reason": "test accuracy 0.6, always the commonest class 0.5"}}
    assert "Limit: better than always the commonest class" in blessings.sentences(classifier, {})[0]
