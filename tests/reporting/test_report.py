"""The report: well formed, alone on a disk, safe against what the data holds, and open about what is missing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from page import Page
from PIL import Image
from sample_run import make_run

from lesiongan.base.errors import UsageError
from lesiongan.reporting import embedding, figures, result_figures
from lesiongan.reporting.report import write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, make_run(root, more=True)


def _write(root, data, pipeline="nevus_to_melanoma", title="Demo"):
    text = write_report(root / "report.html", pipeline=pipeline, title=title, data=data).read_text()
    return text, Page(text)


def test_page_is_well_formed_self_contained_and_small(run):
    text, page = _write(*run)
    assert page.problems == []
    assert len(page.ids) == len(set(page.ids))
    assert page.loads
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert page.links
    assert all(link.startswith("data:") for link in page.links)  # figures and tables to save
    assert not re.search(r"@import|url\((?!#)", text)
    assert "script" not in page.tags
    assert page.tags.count("h1") == 1
    assert len(text.encode()) < 2_000_000


def test_page_says_what_the_artifacts_say(run):
    root, data = run
    text, page = _write(root, data)
    result = json.loads((root / "evaluation" / "metrics.json").read_text())
    assert result["verdict"] in page.text
    for cell in result["cells"]:
        assert cell["cell"] in page.text
        assert f"{cell['metrics']['target_recall']['value']:.3f}" in page.text
    assert "Left out: 11 files or rows" in page.text
    assert "near-duplicate pairs across splits" in page.text
    assert "0.0213 (0.019 to 0.0241)" in page.text
    assert "19 min in all" in page.text  # 312 + 845 + 8 s; the cached step is not counted
    assert 'class="missing"' not in text
    assert "grid.seeds" in page.text
    assert "step 160: discriminator at its floor <4>" in page.text
    assert "and 2 more" in page.text  # of 7 warnings


def test_page_shows_pair_groups_calibration_and_further_sets(run):
    root, data = run
    _, page = _write(root, data)
    result = json.loads((root / "evaluation" / "metrics.json").read_text())
    further = json.loads((root / "evaluation" / "sets" / "elsewhere" / "metrics.json").read_text())
    assert f"Another test set: elsewhere {further['verdict']}" in page.text
    for cell in further["cells"]:
        assert f"{cell['metrics']['target_recall']['value']:.3f}" in page.text
    assert "MEL against NV" in page.text
    for cell in result["cells"]:
        pair = cell["pair"]
        found = pair["at_specificity"]["0.95"]
        assert f"found specificity {found['specificity']['value']:.3f}" in page.text
        confused = f"{pair['confused']['target_called_against']:.0f} {pair['confused']['against_called_target']:.0f}"
        assert f"{cell['metrics']['target_auc']['high']:.3f} {confused}" in page.text
        calibration = cell["calibration"]
        assert f"{calibration['ece']:.3f} {calibration['temperature']:.2f}" in page.text
    male = next(row for row in result["groups"] if row["group"] == "male")
    value, low, high = male["cells"]["real only"]["target_recall"]
    assert f"{value:.3f} {low:.3f} to {high:.3f}" in page.text
    assert "the distance shrinks" in page.text


def test_what_an_old_evaluation_lacks_is_said(tmp_path):
    _, page = _write(tmp_path, make_run(tmp_path, seeds=(0,), resamples=50))
    assert "no validation images to take the thresholds from" in page.text
    assert "Another test set" not in page.text


def test_phantoms_and_patients_are_told_apart(run, tmp_path):
    _, phantoms = _write(*run)
    assert "Phantoms: procedurally drawn images, not patients’ lesions" in phantoms.text
    assert "CC BY-NC" not in phantoms.text
    assert "NIK 2020" not in phantoms.text  # the paper's numbers mean nothing beside phantoms
    _, real = _write(tmp_path, make_run(tmp_path, phantom=False, seeds=(0,), resamples=50))
    assert "Phantoms" not in real.text
    for credit in ("CC BY-NC 4.0", "10.1038/sdata.2018.161", "1908.02288", "1710.05006", "1902.03368"):
        assert credit in real.text
    assert "NIK 2020" in real.text
    assert "paper 0.865" in real.text  # Table 3, alpha 1/8 with 6000
    assert "say nothing about another seed" in real.text


def test_names_from_the_data_are_escaped(tmp_path):
    classes = ("<b>", "A&B", '"quoted" $x$')
    data = make_run(tmp_path, classes=classes, seeds=(0,), resamples=50)
    data["grids"][0]["caption"] = '"><script>alert(1)</script>'
    data["trainings"] = {"<i>run</i>": data["trainings"]["acgan"]}
    data["command"] = "lesiongan <u>"
    text, page = _write(tmp_path, data, title="</title><script>")
    assert page.problems == []
    assert not {"b", "script", "u"} & set(page.tags) - {"b"}
    assert "<b></" not in text
    assert "<b>," not in text
    assert "&lt;b&gt;" in text
    assert page.tags.count("i") == len(data["timings"])  # the bars' own
    assert '"quoted" $x$' in page.text


def test_nothing_at_all_is_said_section_by_section(tmp_path):
    text, page = _write(tmp_path, {})
    assert page.problems == []
    for what in (
        "command",
        "configuration",
        "examples",
        "evaluation",
        "sample grids",
        "trainings",
        "timings",
        "versions",
        "machine",
    ):
        assert re.search(rf'class="missing">[^<]*\b{what}\b', text), what


def test_lost_and_broken_files_are_said(run, tmp_path):
    _, data = run
    (tmp_path / "stats.jsonl").write_text('{"step": 1, "loss": ')
    (tmp_path / "metrics.json").write_text('{"format": 99}')
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = {
        "examples": str(tmp_path / "nowhere"),
        "evaluation": str(tmp_path),
        "trainings": {"first": str(tmp_path / "lost.jsonl"), "second": str(tmp_path)},
        "grids": [{"path": str(tmp_path / "broken.png"), "caption": "grid"}, *data["grids"]],
    }
    _, page = _write(tmp_path, {**data, **broken})
    assert page.problems == []
    assert "nowhere/examples.json is missing" in page.text
    assert "format 99 is not known" in page.text
    assert "lost.jsonl is missing" in page.text
    assert "cannot be read (JSONDecodeError" in page.text
    assert "broken.png (grid) is missing, cannot be read" in page.text
    assert page.tags.count("img") == 3


def test_an_unknown_input_is_refused(tmp_path):
    with pytest.raises(UsageError, match="'exmples'"):
        write_report(tmp_path / "report.html", pipeline="x", title="x", data={"exmples": "y"})


def test_large_pictures_are_made_to_fit(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(noise).save(path)
    fitted = embedding.embed(paths, 400_000)
    assert all(p is not None for p in fitted)
    assert sum(len(p["uri"]) for p in fitted) < 400_000 + 3 * 40
    kept = embedding.embed(paths[:1], 10_000_000)
    assert kept[0]["uri"].startswith("data:image/png")
    assert (kept[0]["width"], kept[0]["height"]) == (600, 600)
    assert embedding.embed(paths, 10) == [None] * 3


def test_figures_are_xml_in_the_page_s_colour():
    rows = [{"label": "a <b>", "difference": 0.0123, "difference_low": -0.01, "difference_high": 0.03, "sure": False}]
    moved = {"value": 0.5, "low": None, "high": None}
    drawings = [
        figures.class_distribution({"train": {"MEL": 3, "N<V": 10}, "test": {"MEL": 1}}, {"MEL": "#aa0000"}, "one"),
        figures.training_curves(
            [{"step": i, "images": i * 4, "seconds": i, "loss": 1 / (i + 1)} for i in range(999)], "two", "run"
        ),
        figures.training_curves([{"step": 1, "images": 4, "seconds": 1, "loss": float("nan")}], "three", "run"),
        result_figures.differences(rows, "four", "recall"),
        result_figures.learning_curves({"acgan": [(500, 0.7125, 0.6, 0.8), (0, 0.7, 0.6, 0.8)]}, "five", "recall"),
        result_figures.reliability({"a <b>": [{"images": 3.5, "confidence": 0.5, "accuracy": 1.0}]}, "six"),
        result_figures.distances({"rows": [{"alpha": 0.125, "pixels": moved, "features": moved}]}, "seven"),
    ]
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.tag.endswith("svg")
        assert "currentColor" in drawing
        assert len(drawing) < 60_000
