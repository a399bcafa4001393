"""A guided training as a step: its record and its images say who guided it, and so do images that are made of them."""

from __future__ import annotations

import json

import pytest
from small_examples import examples

from lesiongan.config.acgan import ACGANConfig
from lesiongan.data.generated import guides_of
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.models.backbones import resnet50
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.serving import model_artifact, saved_models
from lesiongan.steps import sample_images, train_acgan
from lesiongan.steps.step import Task

CLASSES = Taxonomy.of(("MEL", "NV", "BCC"))


@pytest.mark.slow
def test_an_acgan_that_the_classifier_guided_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(resnet50, "STAGES", {"conv2": (64, 1, 1)})
    real = examples(tmp_path / "real", CLASSES, {"train": (4, 4, 4), "validation": (2, 2, 2)})
    classifier = LesionClassifier(3, width=0.1, stem="small", seed=5)
    record = saved_models.export(
        classifier, tmp_path / "judge" / "classifier", kind="classifier", size=32, taxonomy=CLASSES, details={}
    )
    options = train_acgan.Options(acgan=ACGANConfig(size=32, width=1 / 16, batch=4, images=8, latent=10, guidance=0.5))
    outputs = {name: tmp_path / name for name in ("model", "model_run")}
    inputs = {"examples": real, "judge": tmp_path / "judge"}
    train_acgan.run(Task(inputs, outputs, {}, options, 0, tmp_path / "work"))
    made = model_artifact.describe(tmp_path / "model" / "acgan")
    assert made["guided_by"] == record["digest"]
    lines = [json.loads(line) for line in (tmp_path / "model_run/acgan/stats.jsonl").read_text().splitlines()]
    assert all(line["guidance"] > 0 for line in lines)
    sampling = sample_images.Options(classes=("MEL",), largest=2, sizes=(32,))
    outputs = {name: tmp_path / name for name in ("references", "generated")}
    sample_images.run(
        Task({"examples": real, "model": tmp_path / "model"}, outputs, {}, sampling, 0, tmp_path / "work")
    )
    for name in outputs:
        assert guides_of(tmp_path / name / "acgan") == {record["digest"]}
