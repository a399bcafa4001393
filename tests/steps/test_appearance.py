"""Artefacts of generated images beside those of real ones, by class and source, on small Examples."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from small_examples import blob, examples

from lesiongan.data.examples import TABLE
from lesiongan.data.generated import Generated, write as write_generated
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.groups import groups
from lesiongan.reporting import appearance as shown
from lesiongan.reporting.report import write_report
from lesiongan.steps import appearance

CLASSES = Taxonomy.of(("MEL", "NV"))
SIZE, COUNT = 32, 60


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = examples(tmp_path_factory.mktemp("appearance") / "real", CLASSES, {"train": (COUNT, COUNT)})
    table = pd.read_csv(folder / TABLE, dtype=str, keep_default_na=False)
    table["lesion_id"] = [f"{'HAM' if i % 2 else 'BCN'}_{i}" for i in range(len(table))]
    table.to_csv(folder / TABLE, index=False)
    return folder


def made(folder, images):
    zeros = np.zeros(len(images), np.int32)
    model = {"name": folder.name, "digest": "d", "taxonomy": CLASSES.to_dict()}
    write_generated(
        folder, Generated(np.stack(images), zeros, zeros.astype(int), ("",) * len(images)), model, [SIZE], ""
    )
    return folder


def framed(picture):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return np.where((np.hypot(y, x) < 15)[..., None], picture, 0).astype(np.uint8)


def test_a_generator_that_adds_frames_is_named_and_a_plain_one_is_not(real, tmp_path):
    pictures = [blob(0, 50_000 + i) for i in range(COUNT)]
    sets = [made(tmp_path / "framed", [framed(p) for p in pictures]), made(tmp_path / "plain", pictures)]
    rows = appearance.rows(real, sets, SIZE, 0.95)
    by_set = {row["set"]: row for row in rows}
    assert [row["set"] for row in rows] == ["real", "real, BCN", "real, HAM", "framed", "plain"]
    assert {row["class"] for row in rows} == {"MEL"}
    assert by_set["real, HAM"]["images"] == COUNT / 2
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    frame = by_set["framed"]["statistics"]["frame"]
    assert frame["value"] == pytest.approx((np.hypot(y, x) >= 15).mean(), abs=0.02)
    assert by_set["real"]["statistics"]["frame"]["value"] == pytest.approx(0.0, abs=0.01)
    assert "frame" in by_set["framed"]["differs"]
    assert by_set["plain"]["differs"] == {}
    assert all(sum(row["tones"].values()) == row["images"] for row in rows)
    (tmp_path / shown.RESULT).write_text(json.dumps(rows))
    section = shown.section(tmp_path)
    assert any("MEL, framed differs from real images: black frame" in text for text in section["sentences"])
    page = write_report(tmp_path / "r.html", pipeline="p", title="t", data={"appearance": section}).read_text()
    assert "MEL, real, HAM" in page
    assert "individual typology angle" in page
    assert shown.section(None) == {}


def test_results_are_grouped_by_tone():
    table = pd.DataFrame({"image_id": ["a", "b", "c"], "skin_tone": ["light", "", "dark"]})
    found = groups(table, ["c", "a", "b"])["skin tone"]
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "light": [False, True, False],
        "dark": [True, False, False],
    }
    assert "skin tone" not in groups(table[["image_id"]], ["a"])
