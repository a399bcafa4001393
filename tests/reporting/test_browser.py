"""The pages in a real browser: no error, no missing picture, readable on a phone, in light and dark, and on paper."""

from __future__ import annotations

import base64
import shutil

import pytest
from chromium import executable, tab
from sample_run import make_run, with_strip

from lesiongan.reporting.compare import compare
from lesiongan.reporting.report import write_report
from lesiongan.reporting.results import read
from lesiongan.tables import formats, layout

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not executable(), reason="no Chromium here: install Debian's package `chromium`"),
]

#: Words that overflow their box or stand outside the screen, but for what scrolls within its own box.
_WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg, details:not([open])'))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && e.getBoundingClientRect().width)
  .map(e => e.tagName + '.' + e.className)"""
#: For each table the head column's width as a share of the screen, and whether its box scrolls it into view.
_TABLES = """[...document.querySelectorAll('.scroll')].filter(b => b.getBoundingClientRect().width).map(b => {
  const t = b.querySelector('table'), head = t.querySelector('tbody th');
  b.scrollLeft = 1e6;
  const cells = [...t.querySelectorAll('tbody tr')[0].children], last = cells[cells.length - 1].getBoundingClientRect();
  const h = head ? head.getBoundingClientRect() : null;
  const sticky = !!t.matches('.results');
  return {box: b.getBoundingClientRect().width, last: last.right, head: h ? h.width : 0, left: h ? h.left : 0, sticky,
          font: parseFloat(getComputedStyle(t).fontSize)};
})"""
#: The smallest contrast of a text to what lies behind it (WCAG's formula); see-through backgrounds are mixed.
_CONTRAST = """(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const luminance = v => { const [r, g, b] = v.slice(0, 3).map(x => x / 255)
    .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { const own = parts(getComputedStyle(e).backgroundColor), share = own.length > 3 ? own[3] : 1;
    if (share == 1 || e === document.body) return own;
    const below = behind(e.parentElement);
    return below.slice(0, 3).map((x, i) => share * own[i] + (1 - share) * x); };
  return Math.min(...[...document.querySelectorAll('p, th, td, small, h1, h2, figcaption, svg, a, li')].map(e => {
    const [ink, back] = [luminance(parts(getComputedStyle(e).color)), luminance(behind(e))];
    return (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05); })); })()"""


_OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    data = make_run(root / "run", more=True, resamples=60)
    write_report(root / "report.html", pipeline="nevus_to_melanoma", title="Nevus to melanoma", data=data)
    for name in ("nevus_to_melanoma", "noise_to_lesion"):
        pictures = with_strip(root / name, {**data, "trainings": {}}, name)
        write_report(root / f"{name}.html", pipeline=name, title="Nevus to melanoma", data=pictures)
    shutil.copytree(root / "run" / "evaluation", root / "a second run")
    compare([root / "run" / "evaluation", root / "a second run"], root / "compare.html")
    formats.write(layout.of_evaluation(read(root / "run" / "evaluation"), True), root)
    return root


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with tab(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("name", ["report", "compare", "table2"])
@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_fails_and_all_is_within_the_screen(browser, pages, name, width):
    browser.open(pages / f"{name}.html", width)
    assert browser.problems == []
    assert all(url.startswith(("file:", "data:")) for url in browser.requests)
    browser.value(_OPEN)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(_WIDE) == []
    for table in browser.value(_TABLES):
        assert table["last"] <= width  # scrolled to its end, the last column is there
        assert table["head"] <= 0.5 * width or not table["sticky"]  # the row's name leaves room for numbers
        assert table["left"] >= 0 or not table["sticky"]  # and stays in sight
        assert table["font"] >= 11


@pytest.mark.parametrize("name", ["nevus_to_melanoma", "noise_to_lesion"])
@pytest.mark.parametrize("width", [375, 1200])
def test_pictures_and_then_the_table_come_first(browser, pages, name, width):
    browser.open(pages / f"{name}.html", width)
    boxes = """[...document.querySelectorAll('.strip img')].filter(i => i.offsetParent).map(i => {
      const b = i.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom, i.naturalWidth]; })"""
    shown = browser.value(boxes)
    verdict = browser.value("document.querySelector('.verdict').getBoundingClientRect().bottom")
    first = [box for box in shown if box[2] == shown[0][2]]
    assert len(first) == (9 if width == 1200 else 3)  # source, generated and real side by side
    assert verdict <= shown[0][2] < verdict + 60
    assert all(bottom <= 667 for _, _, _, bottom, _ in first)  # a small phone's height; the screen here has 800
    assert all(left >= 0 and right <= width and right - left >= 96 and real == 96 for left, right, _, _, real in shown)
    assert browser.value("document.scrollingElement.scrollWidth <= innerWidth")
    assert browser.value(_WIDE) == []
    table = browser.value(
        "(() => { const t = document.querySelector('table.main'), b = t.parentElement; return [b.scrollWidth, "
        "b.clientWidth, b.getBoundingClientRect().right, getComputedStyle(b).overflowX]; })()"
    )
    assert table[2] <= width
    assert table[3] == "auto"
    if width == 1200:
        assert table[0] <= table[1]  # no scrolling
    assert browser.value("[...document.querySelectorAll('details')].every(d => !d.open)")
    parts = "document.querySelector('table.main').getBoundingClientRect().bottom"
    assert browser.value(f"document.querySelector('.part').getBoundingClientRect().top >= {parts}")


@pytest.mark.parametrize("width", [375, 1200])
def test_nothing_is_wider_than_the_page_when_all_is_open(browser, pages, width):
    browser.open(pages / "nevus_to_melanoma.html", width)
    browser.value(_OPEN)
    assert browser.value("document.scrollingElement.scrollWidth <= innerWidth")
    assert browser.value(_WIDE) == []


def test_pictures_load_lazily_and_all_of_them_are_there(browser, pages):
    browser.open(pages / "report.html", 400)
    assert browser.value("[...document.images].every(i => i.loading == 'lazy')")
    browser.value(_OPEN)
    waited = "Promise.all([...document.images].map(i => { i.scrollIntoView(); return i.decode(); })).then(() => true)"
    assert browser.value(waited) is True
    assert browser.value("[...document.images].map(i => i.naturalWidth > 0).filter(x => !x).length") == 0
    assert browser.value("document.images.length") == 3
    assert browser.value("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 200)")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_light_and_dark(browser, pages, dark):
    browser.open(pages / "report.html", 1200, dark=dark)
    back = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") is not dark
    assert browser.value(_CONTRAST) >= 4.5  # WCAG 2.2, AA


def test_it_prints(browser, pages):
    browser.open(pages / "report.html", 1200, dark=True)
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("getComputedStyle(document.querySelector('.save')).display") == "none"
    folded = "document.querySelector('.part:not([open]) > div').checkVisibility({contentVisibilityAuto: true})"
    assert browser.value(folded) is True  # paper cannot be unfolded
    browser.call("Emulation.setEmulatedMedia", media="")
