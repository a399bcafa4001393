"""What steps show of themselves on Kubeflow's page."""

from __future__ import annotations

import base64
import json
import re

from kfp import dsl

from lesiongan.steps import shown

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def test_the_page_holds_contact_sheets_and_the_last_pictures_of_each_training(tmp_path):
    outputs = {name: tmp_path / name for name in ("generated", "model_run", "empty", "file")}
    for name in ("generated/cyclegan.png", "generated/melanoma/0001.png", "model_run/acgan/samples/0000100.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "model_run" / "acgan" / "samples" / "0000020.png").write_bytes(b"of an earlier step")
    (tmp_path / "model_run" / "<b>" / "samples").mkdir(parents=True)
    (tmp_path / "model_run" / "<b>" / "samples" / "1.png").write_bytes(PNG)
    (tmp_path / "file").write_text("no folder")
    shown.write_pictures(tmp_path / "page" / "samples", outputs)
    page = (tmp_path / "page" / "samples").read_text()
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert captions == [
        "generated/cyclegan.png",
        "model_run/&lt;b&gt;/samples/1.png",
        "model_run/acgan/samples/0000100.png",
    ]
    pictures = re.findall('src="data:image/png;base64,([^"]*)"', page)
    assert [base64.b64decode(text) for text in pictures] == [PNG] * 3
    assert not re.search("https?:|<script", page)


def test_the_confusion_matrix_is_the_baselines_over_all_seeds(tmp_path):
    result = {
        "classes": ["MEL", "NV"],
        "baseline": "real only",
        "classifiers": [
            {"cell": "real only", "confusion": [[1, 2], [3, 4]]},
            {"cell": "real only", "confusion": [[10, 20], [30, 40]]},
            {"cell": "alpha 1 + 100", "confusion": [[500, 0], [0, 500]]},
        ],
    }
    (tmp_path / "metrics.json").write_text(json.dumps(result))
    confusion = dsl.ClassificationMetrics(uri=str(tmp_path / "confusion"))
    shown.write_confusion(confusion, tmp_path)
    assert json.loads((tmp_path / "confusion").read_text())["confusion"] == [[11, 22], [33, 44]]
    matrix = confusion.metadata["confusionMatrix"]  # as Kubeflow's page reads it
    assert [spec["displayName"] for spec in matrix["annotationSpecs"]] == ["MEL", "NV"]
    assert [row["row"] for row in matrix["rows"]] == [[11, 22], [33, 44]]
