"""A whole grid of small classifiers: cells, controls, test sets, failures, parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_examples import examples

from lesiongan.base.errors import LesionganError
from lesiongan.base.files import write_text
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.experiments import NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.config.grid import GridConfig
from lesiongan.data.examples import load
from lesiongan.data.image_set import ImageSet
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation import predictions
from lesiongan.experiments.cells import BASELINE, Cell
from lesiongan.steps import train_classifier, train_grid
from lesiongan.steps.step import Task
from lesiongan.training.classifier import predict, train_classifier as train_classifier_on
from pipelines.presets import PRESETS, resolve

TAXONOMY = Taxonomy.of(("MEL", "NV", "BCC"))
CLASSIFIER = ClassifierConfig(size=32, width=0.05, batch=8, images=24, learning_rate=1e-3)
COUNTS = {"train": (6, 10, 4), "validation": (2, 3, 2), "test": (3, 4, 2), "clinic_test": (2, 2, 0)}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict:
    """Real Examples, the classifier that trained on them, and 9 images of one generator."""
    folder = tmp_path_factory.mktemp("grid")
    real = examples(folder / "examples", TAXONOMY, COUNTS)
    task = Task(
        inputs={"examples": real},
        outputs={"model": folder / "model", "model_run": folder / "model_run"},
        parameters={},
        options=train_classifier.Options(classifier=CLASSIFIER),
        seed=0,
        run_dir=folder / "work",
    )
    train_classifier.run(task)
    made = folder / "generated"
    examples(made / "alpha-1", TAXONOMY, {"train": (9, 0, 0)}, origin="alpha-1", first=70_000)
    return {"examples": real, "classifier": folder / "model", "generated": [made]}


def task_of(inputs: dict, tmp_path: Path, amounts=(3, 6), **more) -> Task:
    grid = more.pop("grid", GridConfig(seeds=2, images=16))
    options = train_grid.Options(
        classifier=CLASSIFIER,
        grid=grid,
        nevus_to_melanoma=NevusToMelanomaConfig(alphas=(1.0,), amounts=tuple(amounts)),
        **more,
    )
    outputs = {"predictions": tmp_path / "predictions", "model_run": tmp_path / "model_run"}
    return Task(inputs=inputs, outputs=outputs, parameters={}, options=options, seed=0, run_dir=tmp_path / "work")


@pytest.mark.parametrize("preset", PRESETS)
def test_synthetic_only_is_trained_by_the_recipe_of_what_it_stands_beside(preset):
    config = resolve(preset, here=False)
    alone = Cell("synthetic only", "control", control="synthetic_only")
    found, beside = (train_grid.recipe(config.classifier, config.grid, cell, 0.123) for cell in (alone, BASELINE))
    if not config.grid.warm_start:  # all cells begin anew, with one peak
        assert found == beside
        assert found.learning_rate == (config.grid.learning_rate or 0.123)
        return
    # the other cells go on from the start; this one begins as the start did, with the peak that it had
    start = dataclasses.replace(config.classifier, learning_rate=0.123, find_learning_rate=False)
    assert found == start
    rate = config.grid.learning_rate or 0.123
    assert beside == dataclasses.replace(start, schedule="one_cycle", learning_rate=rate)


def test_synthetic_only_in_small_is_fine_tuned():
    config = resolve("small", here=False)
    cell = Cell("synthetic only", "control", control="synthetic_only")
    found = train_grid.recipe(config.classifier, config.grid, cell, 3e-3)
    assert found == config.classifier
    assert (found.schedule, found.learning_rate, found.weights) == ("fine_tune", 3e-3, "imagenet")


@pytest.mark.slow
def test_synthetic_only_is_the_training_that_the_start_would_be_on_its_images(inputs, tmp_path):
    """Of a start that is fine-tuned: its schedule is not that of the other cells."""
    config = dataclasses.replace(CLASSIFIER, schedule="fine_tune", frozen_epochs=0.5)
    grid = GridConfig(seeds=1, images=16, warm_start=True, learning_rate=1e-4, controls=("synthetic_only",))
    task = task_of(inputs, tmp_path, amounts=(6,), grid=grid)
    train_grid.run(dataclasses.replace(task, options=dataclasses.replace(task.options, classifier=config)))
    found = {c.cell: c.probabilities for c in predictions.read(tmp_path / "predictions")[1]}
    real, made = load(inputs["examples"], 32, "train"), load(inputs["generated"][0] / "alpha-1", 32, "train")
    images = ImageSet.join([real.take(real.labels != 0), made.take(np.arange(6))])
    model, _ = train_classifier_on(
        config, images, real.take([]), num_classes=3, run_dir=tmp_path / "alone", seed=1000, steps=2 + 3
    )
    expected, _ = predict(model, load(inputs["examples"], 32, "test").images)
    np.testing.assert_allclose(found["synthetic only: alpha 1 + 6"], expected, atol=1e-5)
    assert abs(found["real only"] - expected).max() > 1e-3


@pytest.mark.slow
def test_a_grid_with_controls_predicts_every_set(inputs, tmp_path):
    controls = ("oversampling", "class_weights", "augmentation", "synthetic_only")
    grid = GridConfig(seeds=2, images=16, warm_start=True, controls=controls)
    train_grid.run(task_of(inputs, tmp_path, grid=grid))
    out = tmp_path / "predictions"
    table = pd.read_csv(out / "cells.csv", keep_default_na=False)
    names = ["real only", "alpha 1 + 3", "alpha 1 + 6", "oversampling + 3", "oversampling + 6", "class weights"]
    names += ["augmentation", "synthetic only: alpha 1 + 6"]
    assert table["cell"].tolist() == 2 * names
    assert table["seed"].tolist() == 8 * [0] + 8 * [1]
    assert table["kind"].tolist() == 2 * (["baseline"] + 2 * ["cyclegan"] + 5 * ["control"])
    assert table["train_images"].tolist()[:8] == [20, 23, 26, 23, 26, 20, 20, 20 - 6 + 6]
    assert table["share"].tolist()[:3] == ["", f"{3 / 19:.3f}", f"{6 / 22:.3f}"]  # 6 MEL and 10 NV in training
    assert table["steps"].tolist()[:8] == [2] * 7 + [2 + 3]
    assert predictions.further_sets(out) == ["clinic_test"]
    for name, split in (("", "test"), ("validation", "validation"), ("clinic_test", "clinic_test")):
        truth, classifiers = predictions.read(out, name)
        assert truth.support.tolist() == list(COUNTS[split])
        assert len(classifiers) == 16
        for classifier in classifiers:
            assert classifier.is_finite
            np.testing.assert_allclose(classifier.probabilities.sum(1), 1, atol=1e-5)
    # what a cell was trained on changes what it says
    test = [c.probabilities for c in predictions.read(out)[1]][:8]
    assert all(abs(test[i] - test[0]).max() > 1e-6 for i in range(1, 8))


@pytest.mark.slow
def test_a_failed_cell_is_reported_the_others_go_on_and_are_never_run_again(inputs, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")
    task = task_of(inputs, tmp_path, amounts=(50, 3), grid=GridConfig(images=16))
    with pytest.raises(LesionganError, match=r"1 of 3 cells failed, the others are kept: alpha 1 \+ 50 .*9 generated"):
        train_grid.run(task)
    done = list((tmp_path / "cells").glob("*/done.json"))
    assert len(done) == 2
    assert not (tmp_path / "predictions").exists()
    first = {p: p.read_bytes() for folder in done for p in folder.parent.glob("*.csv")}
    capfd.readouterr()
    (left := done[0].parent / "run" / "checkpoints").mkdir()  # as by a kill right after the cell was done
    # a grid with other amounts and more seeds has another working folder, and the same finished cells
    larger = task_of(inputs, tmp_path, amounts=(9, 3), grid=GridConfig(images=16, seeds=2))
    train_grid.run(dataclasses.replace(larger, run_dir=tmp_path / "another"))
    said = capfd.readouterr().out
    assert [line for line in said.splitlines() if "done before" in line] == [
        "lesiongan| cell real only, seed 0: done before",
        "lesiongan| cell alpha 1 + 3, seed 0: done before",
    ]
    assert {p: p.read_bytes() for p in first} == first
    assert not left.exists()
    assert len(predictions.read(tmp_path / "predictions")[1]) == 6
    # another seed of the run, or another recipe, is another cell
    other = dataclasses.replace(larger, seed=7, outputs={k: tmp_path / "o" / k for k in larger.outputs})
    train_grid.run(other)
    assert "done before" not in capfd.readouterr().out


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: changed(place / "test.csv", "0.25", "0.26"),
        lambda place: (place / "validation.csv").unlink(),
        lambda place: (place / "clinic_test.csv").write_text(""),
        lambda place: changed(place / "done.json", '"steps": 2', '"steps": 3'),
        lambda place: (place / "done.json").write_bytes(b'{"ste'),
    ],
)
def test_a_finished_cell_that_is_damaged_is_said_and_trained_again(tmp_path, capsys, monkeypatch, damage):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")  # what is said goes to stdout
    place = tmp_path / "cells" / "one"
    for name in ("test", "validation"):
        write_text(place / f"{name}.csv", "image,MEL,NV\na,0.25,0.75\n")
    train_grid.write_done(place, {"steps": 2, "train_images": 20})
    assert train_grid.finished(place) == {"steps": 2, "train_images": 20}
    assert capsys.readouterr().out == ""
    damage(place)
    assert train_grid.finished(place) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "cells/one/done.json" in line
    assert line.endswith("; the cell is trained again")
    assert not place.exists()


@pytest.mark.slow
def test_a_part_of_the_grid_is_the_same_as_in_the_whole(inputs, tmp_path):
    train_grid.run(task_of(inputs, tmp_path / "whole"))
    train_grid.run(task_of(inputs, tmp_path / "part", seeds=(1,), cells=("alpha 1 + 6",)))
    whole, part = (pd.read_csv(tmp_path / name / "predictions" / "cells.csv") for name in ("whole", "part"))
    row = whole[(whole["seed"] == 1) & (whole["cell"] == "alpha 1 + 6")]
    assert row.to_dict("records") == part.to_dict("records")
    of_whole, of_part = (pd.read_csv(tmp_path / n / "predictions" / part["file"][0]) for n in ("whole", "part"))
    np.testing.assert_allclose(of_part.iloc[:, 1:], of_whole.iloc[:, 1:], atol=1e-5)
    with pytest.raises(LesionganError, match="no cell 'alpha 2' in the grid"):
        train_grid.run(task_of(inputs, tmp_path / "wrong", cells=("alpha 2",)))


@pytest.mark.slow
def test_cells_at_the_acgans_resolution_are_judged_on_images_of_it(inputs, tmp_path):
    made = tmp_path / "sampled"
    examples(made / "acgan", TAXONOMY, {"train": (4, 0, 0)}, origin="acgan", first=80_000)
    examples(made / "refined-MEL", TAXONOMY, {"train": (4, 0, 0)}, origin="refined-MEL", first=90_000)
    options = {
        "experiment": "noise_to_lesion",
        "noise_to_lesion": NoiseToLesionConfig(classes=("MEL",), amounts=(4,)),
    }
    controlled = GridConfig(images=16, controls=("acgan_resolution",))
    train_grid.run(task_of(inputs | {"generated": [made]}, tmp_path / "a", acgan_size=8, grid=controlled, **options))
    _, found = predictions.read(tmp_path / "a" / "predictions")
    names = ["real only", "acgan + 4", "cyclegan + 4", "real only at 8 px", "acgan + 4 at 8 px"]
    assert [c.cell for c in found] == names
    # the same grid without the control, of pictures that lost their detail beforehand
    lost = {"sizes": (32,), "change": lambda picture: low(low(picture, 8), 32)}
    real = examples(tmp_path / "examples", TAXONOMY, COUNTS, **lost)
    examples(tmp_path / "low" / "acgan", TAXONOMY, {"train": (4, 0, 0)}, first=80_000, **lost)
    examples(tmp_path / "low" / "refined-MEL", TAXONOMY, {"train": (4, 0, 0)}, **lost)
    plain = inputs | {"examples": real, "generated": [tmp_path / "low"]}
    train_grid.run(task_of(plain, tmp_path / "b", grid=GridConfig(images=16), **options))
    _, expected = predictions.read(tmp_path / "b" / "predictions")
    for at_8, whole in ((found[3], expected[0]), (found[4], expected[1])):
        np.testing.assert_allclose(at_8.probabilities, whole.probabilities, atol=1e-5)
    assert abs(found[3].probabilities - found[0].probabilities).max() > 1e-3


def low(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))
