"""The report made again from artifacts that have been moved, and runs side by side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from grids import write_grid
from page import Page
from sample_run import make_run

from lesiongan.base.errors import UsageError
from lesiongan.base.files import write_json
from lesiongan.base.lineage import lineage_path, write_record
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.config.reader import to_json
from lesiongan.config.run import Config
from lesiongan.evaluation.evaluate import evaluate
from lesiongan.reporting.again import find_reports, remake
from lesiongan.reporting.compare import compare
from lesiongan.steps import report as report_step
from lesiongan.steps.step import Step


def finish(root: Path, seed: int = 3) -> Path:
    """A workdir as a finished run leaves it, with the sample's artifacts and the report step's own output."""
    data = make_run(root / "artifacts", seeds=(0,), resamples=60)
    artifacts = root / "artifacts"
    runs, blessing = artifacts / "model_run", artifacts / "blessing"
    (runs / "acgan").parent.mkdir()
    shutil.move(artifacts / "acgan", runs / "acgan")
    write_json(blessing / "blessing.json", {"acgan": {"blessed": True, "reason": "agreement 0.90"}})
    shutil.copy(artifacts / "real.png", artifacts / "evaluation" / "figure8.png")
    shutil.copy(artifacts / "real.png", artifacts / "examples" / "preview.png")
    write_json(artifacts / "evaluation" / "image_quality.json", [])
    inputs = {"examples": Path(data["examples"]), "gan_runs": [runs], "generated": []}
    inputs |= {"evaluation": artifacts / "evaluation", "blessing": blessing}
    for name in ("examples", "evaluation", "blessing", "model_run"):
        path = artifacts / name
        record = {"step": name, "artifact": name, "identity": "", "seconds": 61.0, "started": name}
        record |= {"versions": {"python": "3.12.1", "tensorflow": "2.21.0"}, "machine": {"device": "2 x NVIDIA H100"}}
        record |= {"code": "new", "accepted_code": "old"} if name == "model_run" else {}
        write_record(path, record)
    options = report_step.Options(experiment="nevus_to_melanoma", config=Config())
    outputs = {"report": artifacts / "report"}
    Step(report_step, inputs, outputs, {}, options, to_json(options), seed, root / "work").run()
    write_json(
        root / "runs" / "nevus-to-melanoma.json", {"pipeline": "nevus-to-melanoma", "command": "lesiongan run x"}
    )
    return root


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return finish(tmp_path_factory.mktemp("run"))


def sections(page: Page) -> str:
    """The text without what a new report says differently: command, versions, notes."""
    return page.text[page.text.index("Images and classes") : page.text.index("Provenance Versions")]


def test_the_report_is_the_same_from_the_artifacts_of_a_moved_run(workdir, tmp_path):
    before = Page((workdir / "artifacts" / "report").read_text())
    moved = tmp_path / "elsewhere"
    shutil.copytree(workdir, moved)
    shutil.rmtree(workdir / "artifacts" / "evaluation")
    try:
        made = remake(moved)
    finally:
        shutil.copytree(moved / "artifacts" / "evaluation", workdir / "artifacts" / "evaluation")
    assert made == [moved / "report-nevus-to-melanoma.html"]
    after = Page(made[0].read_text())
    assert after.problems == []
    assert sections(after) == sections(before)
    assert "lesiongan run x" in after.text
    assert "made again by lesiongan" in after.text
    assert after.tags.count("img") == before.tags.count("img") == 2


def test_the_report_says_what_the_steps_ran_with(workdir):
    text = Page((workdir / "artifacts" / "report").read_text()).text
    provenance = text[text.index("Provenance Versions") :]
    assert "evaluation, examples python 3.12.1, tensorflow 2.21.0 2 x NVIDIA H100" in provenance
    assert "model run python 3.12.1, tensorflow 2.21.0 2 x NVIDIA H100 old, continued by new" in provenance
    assert "--accept-code-change" in provenance


def test_what_is_gone_is_said(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "artifacts" / "model_run")
    shutil.rmtree(tmp_path / "run" / "artifacts" / "examples")
    page = Page(remake(tmp_path / "run", tmp_path)[0].read_text())
    assert page.problems == []
    assert "handed no trainings" in page.text
    assert "handed no examples" in page.text


def test_an_evaluation_alone_gives_the_results(workdir, tmp_path):
    (path,) = remake(workdir / "artifacts" / "evaluation", tmp_path)
    result = json.loads((workdir / "artifacts" / "evaluation" / "metrics.json").read_text())
    assert result["verdict"] in Page(path.read_text()).text


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        find_reports(tmp_path / "nowhere")
    (tmp_path / "half.lineage.json").write_text('{"step": ')
    with pytest.raises(UsageError, match="no finished run"):
        remake(tmp_path)


def test_runs_stand_side_by_side(workdir, tmp_path):
    other = tmp_path / "other"
    cells = [
        {"cell": "real only", "kind": "baseline", "amount": 0, "seeds": [0], "recall": 0.7},
        {"cell": "alpha 1 + 500", "kind": "cyclegan", "alpha": 1.0, "amount": 500, "seeds": [0], "recall": 0.8},
    ]
    write_grid(tmp_path / "predictions", cells)
    evaluate(tmp_path / "predictions", other, EvaluationConfig(resamples=50), 0)
    shutil.copytree(other, tmp_path / "second" / "other")
    path = compare([other, tmp_path / "second" / "other"], tmp_path / "two.html")
    page = Page(path.read_text())
    result = json.loads((other / "metrics.json").read_text())
    assert page.problems == []
    assert page.text.count(result["verdict"]) == 2
    assert "second/other" in page.text  # the folders have one name
    assert "tested on different images" not in page.text
    recall = result["cells"][1]["metrics"]["target_recall"]["value"]
    assert page.text.count(f"{recall:.3f}") >= 2

    mixed = Page(compare([workdir, workdir], tmp_path / "same.html").read_text())
    assert mixed.problems == []
    assert "What differs between their configurations" not in mixed.text
    with pytest.raises(UsageError, match="at least two"):
        compare([workdir], tmp_path / "one.html")


def test_a_comparison_says_what_differs(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "changed")
    record_path = lineage_path(tmp_path / "changed" / "artifacts" / "report")
    record = json.loads(record_path.read_text())
    record["options"]["config"]["cyclegan"]["blocks"] = 6
    record_path.write_text(json.dumps(record))
    metrics = tmp_path / "changed" / "artifacts" / "evaluation" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"digest": "other images"}))
    page = Page(compare([workdir, tmp_path / "changed"], tmp_path / "two.html").read_text())
    assert page.problems == []
    assert "cyclegan.blocks 9 6" in page.text
    assert "grid.seeds" not in page.text
    assert "tested on different images" in page.text
