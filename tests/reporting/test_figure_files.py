"""A run's figures as files: every one that its report shows, in each format, the same from the same artifacts."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image
from sample_run import make_run

from lesiongan.base.errors import UsageError
from lesiongan.reporting import drawing, figure_files, figures
from lesiongan.reporting.report import ReportInputs, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, make_run(root, seeds=(0,), resamples=50)


def test_an_evaluation_s_figures_are_written_in_every_format(run, tmp_path):
    root, _ = run
    files = figure_files.write(root / "evaluation", tmp_path / "a", ["pdf", "svg", "png"])
    assert sorted(files) == sorted((tmp_path / "a").iterdir())
    assert len(files) % 3 == 0
    assert tmp_path / "a" / "change-in-balanced_accuracy.pdf" in files
    for path in files:
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")
        elif path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            with Image.open(path) as image:
                assert image.width > 1200  # 4.7 inches at 300 dots
    again = figure_files.write(root / "evaluation", tmp_path / "b", ["pdf", "svg", "png"])
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]


def test_every_figure_of_the_report_is_among_them(run, tmp_path):
    _, data = run
    text = write_report(tmp_path / "report.html", pipeline="x", title="x", data=data).read_text()
    drawn = list(figure_files.figures(ReportInputs.from_dict(data)))
    assert len({figure.name for figure in drawn}) == len(drawn)
    assert all(str(figure) in text for figure in drawn)
    assert text.count("<svg") == len(drawn)
    saved = dict(re.findall(r'download="([^"]+\.(?:pdf|svg))" href="data:[^,]*,([^"]+)"', text))
    one = next(figure for figure in drawn if figure.name == "reliability")
    assert base64.b64decode(saved["reliability.pdf"]) == one.file("pdf")
    assert base64.b64decode(saved["reliability.svg"]) == one.file("svg")


def test_formats_are_read_or_refused():
    assert figure_files.formats_of("PDF, svg,pdf") == ["pdf", "svg"]
    for text in ("gif", "pdf,", ""):
        with pytest.raises(UsageError, match="none of pdf, svg, png"):
            figure_files.formats_of(text)


def test_a_folder_without_a_run_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        figure_files.write(tmp_path / "nowhere", tmp_path / "out", ["pdf"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("points", "lines"), [(drawing.FEW, 0), (drawing.FEW + 1, 1)])
def test_few_points_are_not_joined(points, lines):
    curve = [{"step": i, "images": i, "loss": i % 3} for i in range(points)]
    svg = figures.training_curves(curve, "one", "run")
    colour = re.escape(drawing.COLOURS[0])
    assert len(re.findall(rf'<path [^>]*style="fill: none; stroke: {colour}', svg)) == lines
    assert len(re.findall(r"<use [^>]*fill: ?" + colour, svg)) == (0 if lines else points)
