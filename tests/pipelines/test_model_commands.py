"""`lesiongan train`, `evaluate`, `predict` and `translate` as a user gives them, with real training."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from terminal import Terminal

import lesiongan
from lesiongan.training.classifier import predict

pytestmark = pytest.mark.slow
#: Lines of TensorFlow for its developers.
DEVELOPERS = re.compile(r"^[IWEF]\d{4} |absl::InitializeLog|oneDNN|cpu_feature_guard|cuda|Load dataset info|tf\.data")
SMALL = ["classifier.width=0.2", "classifier.size=32", "classifier.images=2400", "data.phantoms=320"]
SMALL += ["data.phantom_size=32", "classifier.learning_rate=4e-3"]


_TERMINALS: list[Terminal] = []


@pytest.fixture(scope="module", autouse=True)
def terminal(tmp_path_factory):
    """One process for all commands: most of a short command's time is TensorFlow's start."""
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as a person has it
    _TERMINALS.append(Terminal(tmp_path_factory.mktemp("terminal"), environment))
    yield
    _TERMINALS.pop().close()


def call(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    status, said, wrong = _TERMINALS[-1].run(["lesiongan", *map(str, arguments)], cwd)
    return subprocess.CompletedProcess(arguments, status, said, wrong)


def train(folder: Path, *more) -> subprocess.CompletedProcess:
    sets = [part for value in (*SMALL, *more) for part in ("--set", value)]
    return call("train", "classifier", "--data", "phantoms", "-o", "out", "--preset", "demo", *sets, cwd=folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    done = train(folder)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if DEVELOPERS.search(line)]
    assert "lesiongan evaluate --model" in done.stdout
    return folder


def test_the_same_command_does_nothing_again_and_another_option_replaces_nothing(trained):
    before = (trained / "out/model/classifier/model.json").read_text()
    left = next((trained / "out/work").glob("train_classifier-*")) / "checkpoints"  # by a kill at the very end
    left.mkdir()
    again = train(trained)
    assert not left.exists()
    assert "example_gen: done before" in again.stderr
    assert "train_classifier: done before" in again.stderr
    other = train(trained, "classifier.mixup=0.3")
    assert other.returncode == 2
    assert "holds what was made otherwise (classifier.mixup was 0.0)" in other.stderr
    assert "--overwrite" in other.stderr
    assert (trained / "out/model/classifier/model.json").read_text() == before


def test_evaluate_on_the_test_split(trained):
    shown = call(
        "evaluate", "--model", "out/model/classifier", "--data", "out/examples", "--json", "-o", "p.csv", cwd=trained
    )
    assert (shown.returncode, shown.stderr) == (0, "")  # nothing of what TensorFlow tells its developers
    found = json.loads(shown.stdout)
    rows = list(csv.DictReader((trained / "p.csv").open()))
    assert len(rows) == found["images"]
    table = {r["image_id"]: r for r in csv.DictReader((trained / "out/examples/examples.csv").open())}
    classes = list(rows[0])[1:]
    right = [max(classes, key=lambda c, r=r: float(r[c])) == table[r["image"]]["label"] for r in rows]
    assert all(table[r["image"]]["split"] == "test" for r in rows)
    assert found["accuracy"] == pytest.approx(np.mean(right))
    other = call(
        "evaluate", "--model", "out/model/classifier", "--data", "out/examples", "--split", "validation", cwd=trained
    )
    assert "balanced accuracy" in other.stdout
    assert other.stdout.startswith(f"{sum(r['split'] == 'validation' for r in table.values())} images")


def test_evaluate_says_when_the_model_has_learned_from_the_images(trained, tmp_path):
    table = list(csv.DictReader((trained / "out/examples/examples.csv").open()))
    train_images = sum(row["split"] == "train" for row in table)
    arguments = ("evaluate", "--model", trained / "out/model/classifier", "--data", trained / "out/examples", "--json")
    shown = call(*arguments, "--split", "train", cwd=tmp_path)
    assert f"{train_images:,} of {train_images:,} images are among those that the model learned from" in shown.stderr
    assert json.loads(shown.stdout)["learned_from"] == train_images
    assert json.loads(call(*arguments, cwd=tmp_path).stdout)["learned_from"] == 0


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
    assert (shown.returncode, shown.stderr) == (0, "")
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


def test_pictures_of_one_name_in_two_folders_are_kept_apart(trained, tmp_path):
    """Names and numbers are those that each picture has alone."""
    rng = np.random.default_rng(0)
    for name in ("NV/1.png", "MEL/1.png", "NV/2.png", "MEL/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / name)
    model = trained / "out/model/classifier"

    def rows(text: str) -> dict[str, str]:
        return dict(line.split(",", 1) for line in text.splitlines()[1:])

    both = rows(call("predict", "--model", model, "NV/1.png", "MEL/1.png", "NV/1.png", cwd=tmp_path).stdout)
    assert list(both) == ["NV_1", "MEL_1"]
    shown = call("evaluate", "--model", model, "--data", ".", "-o", "p.csv", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    written = rows((tmp_path / "p.csv").read_text())
    assert len(written) == 4
    for name, numbers in both.items():
        found, alone = (np.array(text.split(","), float) for text in (written[f"{name}.png"], numbers))
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_wrong_paths_are_the_users_mistake(trained, tmp_path):
    """One line, exit code 2, no traceback, nothing made: missing, a file for a folder, a folder for a file, damaged."""
    model, examples = trained / "out/model/classifier", trained / "out/examples"
    (tmp_path / "file").write_text("a file in the way")
    (tmp_path / "empty").mkdir()
    (tmp_path / "record/runs").mkdir(parents=True)
    (tmp_path / "record/runs/p.json").write_text('{"half')
    shutil.copytree(model, tmp_path / "damaged/classifier")
    (tmp_path / "damaged/classifier/saved_model/saved_model.pb").write_bytes(b"x")
    (tmp_path / "bare").mkdir()
    shutil.copy(model / "model.json", tmp_path / "bare")
    for name in ("no_table", "no_images", "no_classes", "cut"):
        shutil.copytree(examples, tmp_path / name)
    (tmp_path / "no_table/examples.csv").unlink()
    shutil.rmtree(tmp_path / "no_images/32")
    (tmp_path / "no_classes/examples.json").write_text('{"format": 1}')
    for path in (tmp_path / "cut/32").glob("*.tfrecord*"):
        path.write_bytes(b"x")
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    before = sorted(tmp_path.rglob("*"))
    predict, evaluate = ("predict", "--model", model, "a.png"), ("evaluate", "--model", model, "--data")
    train = ("train", "classifier", "--preset", "demo", "--data", "phantoms")
    cases = {
        ("predict", "--model", "missing", "a.png"): "there is no such folder",
        ("predict", "--model", "file", "a.png"): "that is a file",
        ("predict", "--model", "empty", "a.png"): "no model here",
        ("predict", "--model", "damaged/classifier", "a.png"): "the model is damaged",
        ("predict", "--model", "bare", "a.png"): "the model is damaged",
        (*predict, "-o", "file/p.csv"): "is a file; name another place",
        (*predict, "-o", "empty"): "that is a folder; name a file",
        (*evaluate, "missing"): "no such file or folder",
        (*evaluate, "file"): "give the folder of the data",
        (*evaluate, "no_table"): "examples.csv is missing",
        (*evaluate, "no_images"): "cannot be read",
        (*evaluate, "cut"): "cannot be read",
        (*evaluate, "no_classes"): "does not say",
        (*evaluate, examples, "-o", "empty"): "that is a folder",
        ("translate", "--model", "missing", "a.png", "-o", "made"): "there is no such folder",
        ("translate", "--model", model, "a.png", "-o", "made"): "give a CycleGAN's folder",
        ("translate", "--model", model, "a.png", "-o", "file/made"): "is a file",
        (*train, "-o", "file"): "is a file",
        (*train, "-o", "file/w"): "is a file",
        (*train, "-o", "w", "--config", "empty"): "Is a directory",
        ("import-cyclegan", "empty", "-o", "w"): "cannot be read",
        ("import-cyclegan", "a.png", "-o", "file/w"): "is a file",
        ("status", "file"): "that is a file",
        ("status", "record"): "p.json: not the record of a run",
        ("report", "record"): "no finished run there",
        ("report", "file"): "that is a file",
        ("compare", "record", "missing"): "no finished run there",
        ("compare", "record", "record", "-o", "file/c.html"): "is a file",
    }
    for arguments, said in cases.items():
        done = call(*arguments, cwd=tmp_path)
        text = done.stderr
        assert done.returncode == 2, (arguments, text)
        assert len(text.splitlines()) == 1, (arguments, text)
        assert said in text, (arguments, text)
    assert sorted(tmp_path.rglob("*")) == before


TINY_CYCLEGAN = ["cyclegan.size=32", "cyclegan.blocks=1", "cyclegan.filters=4", "cyclegan.discriminator_filters=4"]
TINY_CYCLEGAN += ["cyclegan.images=120", "data.validation=0.4"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Dark and light pictures of many sizes, in folders of several depths, and one broken file."""
    root, rng = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        for i in range(42):
            path = root / name / ("deep" if i % 3 else "") / f"{name}{i}.{'jpg' if i % 2 else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(30, 80, 2)
            Image.fromarray(rng.integers(level - 50, level + 50, (height, width, 3)).astype(np.uint8)).save(path)
    (root / "dark" / "broken.jpg").write_bytes(b"no picture")
    return root


def sets(*values: str) -> list[str]:
    return [part for value in values for part in ("--set", value)]


def test_train_cyclegan_on_two_folders_and_translate(folders, trained):
    judge = trained / "out/model/classifier"
    options = sets(*TINY_CYCLEGAN, "cyclegan.export=best")
    command = ["train", "cyclegan", "--from", "dark", "--to", "light", "-o", "out", "--judge", judge, *options]
    done = call(*command, cwd=folders)
    assert done.returncode == 0, done.stderr
    assert "broken.jpg is left out: not a picture" in done.stderr
    assert "from: 25 pictures to learn from, 17 set aside" in done.stderr
    run, record = (
        folders / "out/model_run/cyclegan",
        json.loads((folders / "out/model/cyclegan/model.json").read_text()),
    )
    measured = [json.loads(line) for line in (run / "measurements.jsonl").read_text().splitlines()]
    best = min(measured, key=lambda line: line["kid"])
    assert record["exported"]["state"] == "best"
    assert (record["exported"]["step"], record["exported"]["measured"]["kid"]) == (best["step"], best["kid"])
    assert (record["source"], record["target"], record["taxonomy"]["classes"]) == ("dark", "light", ["dark", "light"])
    assert {p.name for p in run.iterdir()} >= {"samples", "stats.jsonl", "tensorboard", "best", "last"}
    assert int(lesiongan.load(folders / "out/model/cyclegan/model.keras").step) == measured[-1]["step"]
    assert lesiongan.load(folders / "out").record == record
    again = call(*command, cwd=folders)
    assert "train_pair: done before" in again.stderr
    made = call("translate", "--model", "out/model/cyclegan", "dark", "-o", "made", cwd=folders)
    assert made.returncode == 2  # for the broken one
    assert not [line for line in made.stderr.splitlines() if DEVELOPERS.search(line)]
    assert made.stderr.strip().endswith("broken.jpg: not a picture; not in the result")
    assert made.stdout.startswith("42 pictures")
    assert len(list((folders / "made").glob("dark*.png"))) == 42


def test_train_cyclegan_says_in_one_line_what_is_wrong(folders, trained):
    def refused(*arguments) -> str:
        done = call("train", "cyclegan", *arguments, "-o", "refused", *sets(*TINY_CYCLEGAN), cwd=folders)
        assert done.returncode == 2
        return done.stderr.strip().splitlines()[-1]

    assert refused("--from", "nothing", "--to", "light") == (
        "lesiongan: nothing: there is no such folder; give a folder of pictures"
    )
    assert refused("--from", "light", "--to", "light/../light").endswith("--to is the same folder as --from; give two")
    assert "no such folder" in refused("--from", "dark", "--to", "light", "--judge", "nothing")
    assert "give --judge MODEL" in refused("--from", "dark", "--to", "light", "--set", "cyclegan.patience=3")
    guided = ("--from", "dark", "--to", "light", "--set", "cyclegan.guidance=1")
    for judge in ((), ("--judge", "imagenet")):
        assert "cyclegan.guidance goes by a classifier of lesions: give --judge MODEL" in refused(*guided, *judge)
    said = refused(*guided, "--judge", trained / "out/model/classifier")
    assert "cyclegan.guidance asks for pictures of light, which the judge does not know" in said
    assert not (folders / "refused").exists()


def test_train_acgan_with_a_judge(trained):
    options = sets("acgan.size=32", "acgan.width=0.1", "acgan.batch=16", "acgan.images=320", "acgan.export=best")
    arguments = ["--data", "out/examples", "-o", "gan", "--judge", "out/model/classifier", *options]
    done = call("train", "acgan", *arguments, cwd=trained)
    assert done.returncode == 0, done.stderr
    record = json.loads((trained / "gan/model/acgan/model.json").read_text())
    assert record["kind"] == "acgan"
    assert int(lesiongan.load(trained / "gan/model/acgan/model.keras").step) == 320 // 16
    classifier = lesiongan.load(trained / "out/model/classifier/model.keras")
    served = lesiongan.load(trained / "out/model/classifier")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_allclose(predict(classifier, images)[0], served.predict(images)[0], atol=1e-5)
    assert (trained / "gan/model_run/acgan/measurements.jsonl").is_file()
    other = call("train", "acgan", "--data", "out/examples", "-o", "gan2", *options, cwd=trained)
    assert other.returncode == 2
    assert "give --judge MODEL" in other.stderr


def test_the_lines_of_python_in_the_documentation(folders):
    text = (Path(lesiongan.__file__).parent.parent / "docs/cyclegan.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    small = "size=32, blocks=1, filters=4, batch=4, images=20, identity=0.5"
    code = code.replace("size=64, blocks=6, filters=32, batch=4, images=30_000, identity=0.5", small)
    code = code.replace('"NEVI", "MELANOMAS"', '"dark", "light"')
    assert small in code
    assert '"light"' in code
    code += "\nassert melanomas.shape == (8, 32, 32, 3), melanomas.shape"
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folders, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert list((folders / "runs/first/samples").glob("pairs-*.png"))
