"""The reader study's page in a browser: answered by keyboard and by touch, and its answers scored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from chromium import executable, tab

from lesiongan.reporting.reader_study import REAL, SYNTHETIC, Collection, make, score

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not executable(), reason="no Chromium here: install Debian's package `chromium`"),
]
COUNT = 8


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    sides = [
        Collection(
            np.random.default_rng(seed).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8),
            [f"{seed}_{i}" for i in range(COUNT)],
            [""] * COUNT,
        )
        for seed in (0, 1)
    ]
    text, key = make(*sides, pictures=COUNT, seed=0, title="Which is which?")
    (folder / "study.html").write_text(text, encoding="utf-8")
    with tab(folder / "profile") as page:
        yield page, folder / "study.html", key


def answers(page) -> dict:
    text = page.value("document.getElementById('text').value")
    link = page.value("decodeURIComponent(document.getElementById('save').href.split(',').slice(1).join(','))")
    assert link == text  # the file is what can be copied
    return json.loads(text)


def test_answered_by_keyboard_alone(study):
    page, path, key = study
    page.open(path, 1200)
    page.key("Tab")
    page.value("document.activeElement.value = 'Dr A'")
    page.key("Tab")
    page.key("Enter")
    truth = [row["truth"] for row in key["pictures"]]
    keys = {REAL: ("R", "ArrowLeft"), SYNTHETIC: ("S", "ArrowRight")}
    page.key("S")  # the wrong one or not: it is taken back
    page.key("Backspace")
    assert "Picture 1 of 8" in page.value("document.getElementById('progress').textContent")
    for number, side in enumerate(truth):
        page.key(keys[side][number % 2])
    given = answers(page)
    assert given["reader"] == "Dr A"
    assert given["answers"] == truth
    assert len(given["seconds"]) == COUNT
    (row,) = score(key, [given])["readers"]
    assert row["accuracy"] == 1.0
    assert page.problems == []
    assert all(url.startswith(("data:", "file:")) for url in page.requests)


def test_answered_by_touch_on_a_phone(study):
    page, path, key = study
    page.open(path, 375)
    page.value("document.getElementById('begin').click()")
    for number in range(COUNT):
        assert page.until("document.getElementById('picture').naturalWidth") == 32
        # picture and both buttons are in sight, and nothing is wider than the screen
        bottom = page.value(
            "Math.max(...[...document.querySelectorAll('.answers button')].map(b => b.getBoundingClientRect().bottom))"
        )
        assert bottom <= page.value("innerHeight"), number
        assert page.value("document.documentElement.scrollWidth <= innerWidth")
        page.value("document.querySelector('[data-said=real]').click()")
    assert score(key, [answers(page)])["readers"][0]["accuracy"] == 0.5
