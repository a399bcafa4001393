"""The pictures at the head of a report are those of the contact sheets, in their rows and columns."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from page import Page
from PIL import Image
from sample_run import with_strip

from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.reporting import strip
from lesiongan.reporting.report import write_report


def greys(*values: int, side: int = 48) -> list[np.ndarray]:
    return [np.full((side, side, 3), value, np.uint8) for value in values]


def shown(found: dict) -> list[list[int]]:
    """The mean grey of each picture, set by set."""
    pictures = [[Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2]))) for u in s] for s in found["sets"]]
    return [[round(float(np.asarray(picture).mean())) for picture in row] for row in pictures]


@pytest.mark.parametrize("cell", [96, 160])
@pytest.mark.parametrize("labels", [["NV (source)", "MEL, alpha 0.5", "MEL, alpha 1", "real MEL"], []])
def test_a_set_is_a_column_of_the_sheet(tmp_path, labels, cell):
    rows = [greys(10, 20, 30, 40), greys(60, 70, 80), greys(100, 110, 120), greys(150, 160, 170)]
    save_sheet(contact_sheet(rows, labels, cell=cell), tmp_path / "sheet.png")
    wanted = strip.Strip(str(tmp_path / "sheet.png"), 4, (0, 2, 3), ("a", "b", "c"), "name")
    (found,) = strip.embedded([wanted])
    assert found["side"] == cell
    for got, expected in zip(shown(found), [(10, 100, 150), (20, 110, 160), (30, 120, 170)], strict=True):
        assert got == pytest.approx(expected, abs=2)  # WebP is not exact
    assert [len(s["sets"]) for s in strip.embedded([wanted] * 4)] == [1] * 4  # many strips are short ones


def test_a_sheet_of_another_layout_gives_nothing(tmp_path):
    save_sheet(contact_sheet([greys(1, 2)] * 4), tmp_path / "sheet.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, rows in (("sheet.png", 5), ("broken.png", 4), ("nowhere.png", 4)):
        assert strip.embedded([strip.Strip(str(tmp_path / name), rows, (0, 1, 2), ("a", "b", "c"), "n")]) == []


def test_rows_are_named_after_the_records(tmp_path):
    data = with_strip(tmp_path / "two", {}, "nevus_to_melanoma")
    first, last = data["strip"]
    assert (first.rows, last.rows, first.of) == ((0, 1, 3), (0, 2, 3), 4)
    assert first.name.endswith("alpha 0.125")
    assert first.heads == ("source", "MEL, generated", "MEL, real")
    (tmp_path / "examples.csv").write_text("image_id,label\nIMG_0,BKL\nIMG_1,NV\n")
    named = strip.strips("nevus_to_melanoma", [tmp_path / "two", tmp_path / "nowhere"], tmp_path)
    assert named[0].heads[0] == "NV, source"
    classes = with_strip(tmp_path / "one", {}, "noise_to_lesion")["strip"]
    assert [s.name for s in classes] == ["MEL", "NV"]
    assert classes[1].rows == (3, 4, 5)


def test_pictures_stand_before_the_results_and_have_a_text(tmp_path):
    data = with_strip(tmp_path / "two", {}, "noise_to_lesion")
    text = write_report(tmp_path / "report.html", pipeline="x", title="x", data=data).read_text()
    page = Page(text)
    assert page.problems == []
    assert page.tags.count("img") == 2 * 3 * 3
    assert text.index("<img") < text.index('class="part"')
    assert "MEL, from noise MEL, refined MEL, real" in page.text
