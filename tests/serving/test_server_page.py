"""The server's page in a browser, as a person uses it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from chromium import executable, tab
from PIL import Image
from server_process import picture, pixels_of

from lesiongan.serving import saved_models

pytest.importorskip("kserve", reason="pip install 'lesiongan[serve]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    if executable() is None:
        pytest.skip("no Chromium here")
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def opened(page, server, width: int) -> None:
    page.open(f"http://127.0.0.1:{server[0]}/", width)
    page.until("document.getElementById('class').options.length === 8")


def test_a_person_generates_lesions_of_a_class(page, server, models):
    opened(page, server, 1200)
    page.value("document.getElementById('class').value = 'BCC'")
    page.value("document.getElementById('seed').value = '7'; document.getElementById('count').value = '3'")
    page.value("document.querySelector('#generate button').click()")
    assert page.until("document.querySelectorAll('#results img').length") == 3
    captions = page.value("[...document.querySelectorAll('#results img')].map(image => image.alt)")
    assert captions == ["BCC, seed 7", "BCC, seed 8", "BCC, seed 9"]
    sources = page.value("[...document.querySelectorAll('#results a')].map(link => [link.href, link.download])")
    assert sources[0][1] == "acgan-BCC-7.png"
    png = base64.b64decode(sources[0][0].partition("base64,")[2])
    expected = saved_models.load(models / "acgan").sample(np.array([2]), np.array([7]))[0]
    assert np.abs(pixels_of(png).astype(int) - expected).max() <= 1
    assert Image.open(io.BytesIO(png)).text["lesiongan:class"] == "BCC"
    assert page.problems == []
    assert all(url.startswith((f"http://127.0.0.1:{server[0]}/", "data:", "blob:")) for url in page.requests)


def test_a_person_has_a_picture_translated_and_classified(page, server):
    opened(page, server, 1200)
    give = (
        "var bytes = Uint8Array.from(atob('DATA'), letter => letter.charCodeAt(0)), files = new DataTransfer();"
        "files.items.add(new File([bytes], 'nevus.png', {type: 'image/png'}));"
        "document.getElementById('file').files = files.files"
    ).replace("DATA", base64.b64encode(picture()[0]).decode())
    for model, seen in (
        ("cyclegan", "document.querySelectorAll('#results img').length === 2"),
        ("judge", "/MEL .*%/.test(document.getElementById('status').textContent)"),
    ):
        page.value(f"document.getElementById('model').value = '{model}'")
        page.value("document.getElementById('model').dispatchEvent(new Event('change'))")
        page.value(give)
        page.value("document.getElementById('send-button').click()")
        assert page.until(seen)
    assert page.value("/Not a diagnosis/.test(document.getElementById('status').textContent)")
    assert page.problems == []


def test_an_error_is_shown_where_a_person_looks(page, server):
    opened(page, server, 1200)
    page.value("document.getElementById('count').max = 99; document.getElementById('count').value = 9")
    page.value("document.querySelector('#generate button').click()")
    shown = page.until("document.querySelector('#status.bad')?.textContent")
    assert shown == "9 instances: at most 8 are answered at a time"


def test_the_page_works_on_a_phone_and_by_keyboard(page, server):
    opened(page, server, 375)
    assert page.value("document.documentElement.scrollWidth") <= 375
    assert page.value("getComputedStyle(document.querySelector('.notice')).display") == "block"
    reached = []
    for _ in range(5):
        page.key("Tab")
        reached.append(page.value("document.activeElement.id || document.activeElement.textContent"))
    assert reached == ["model", "class", "seed", "count", "Generate"]
    page.key("Enter")
    assert page.until("document.querySelectorAll('#results img').length") == 4
    assert page.problems == []
