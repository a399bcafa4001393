"""`lesiongan train classifier`, `evaluate` and `predict` as a user gives them: real processes, real training."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lesiongan

pytestmark = pytest.mark.slow
SMALL = ["classifier.width=0.2", "classifier.size=32", "classifier.images=2400", "data.phantoms=320"]
SMALL += ["data.phantom_size=32", "classifier.learning_rate=4e-3"]


def call(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def train(folder: Path, *more) -> subprocess.CompletedProcess:
    sets = [part for value in (*SMALL, *more) for part in ("--set", value)]
    return call("train", "classifier", "--data", "phantoms", "-o", "out", "--preset", "demo", *sets, cwd=folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert "lesiongan evaluate --model" in done.stdout
    return folder


def test_the_same_command_does_nothing_again_and_another_option_trains_again(trained):
    before = (trained / "out/model/classifier/model.json").read_text()
    again = train(trained)
    assert "example_gen: done before" in again.stderr
    assert "train_classifier: done before" in again.stderr
    assert (trained / "out/model/classifier/model.json").read_text() == before


def test_evaluate_on_the_test_split(trained):
    shown = call(
        "evaluate", "--model", "out/model/classifier", "--data", "out/examples", "--json", "-o", "p.csv", cwd=trained
    )
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    rows = list(csv.DictReader((trained / "p.csv").open()))
    assert len(rows) == found["images"]
    table = {r["image_id"]: r for r in csv.DictReader((trained / "out/examples/examples.csv").open())}
    classes = list(rows[0])[1:]
    right = [max(classes, key=lambda c, r=r: float(r[c])) == table[r["image"]]["label"] for r in rows]
    assert all(table[r["image"]]["split"] == "test" for r in rows)
    assert found["accuracy"] == pytest.approx(np.mean(right))
    assert found["accuracy"] > 0.4
    other = call(
        "evaluate", "--model", "out/model/classifier", "--data", "out/examples", "--split", "validation", cwd=trained
    )
    assert "balanced accuracy" in other.stdout
    assert other.stdout.startswith(f"{sum(r['split'] == 'validation' for r in table.values())} images")


def test_evaluate_on_a_folder_with_a_class_of_its_own(trained, tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("nevus", 3), ("MEL", 2), ("wart", 4)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8))
            picture.save(tmp_path / "data" / name / f"{name}{i}.png")
    shown = call(
        "evaluate", "--model", trained / "out/model/classifier", "--data", tmp_path / "data", "--tta", cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("5 images of 5 lesions")
    assert "left out: 4 images of classes that the model does not know" in shown.stderr


def test_predict(trained, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "more").mkdir()
    for name in ("a.jpg", "more/b.png", "more/c.jpg"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / name)
    model = trained / "out/model/classifier"
    shown = call("predict", "--model", model, "a.jpg", "more", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row.pop("image") for row in rows] == ["a", "b", "c"]
    for row in rows:
        assert list(row) == ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
        assert sum(map(float, row.values())) == pytest.approx(1, abs=1e-5)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    some = call("predict", "--model", model, "a.jpg", "broken.jpg", "gone.jpg", "-o", "p.csv", cwd=tmp_path)
    assert some.returncode == 2
    assert "broken.jpg: not a picture; not in the result" in some.stderr
    assert "gone.jpg: No such file or directory; not in the result" in some.stderr
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 2
    wrong = call("predict", "--model", tmp_path, "a.jpg", cwd=tmp_path)
    assert (wrong.returncode, "no model here" in wrong.stderr) == (2, True)
