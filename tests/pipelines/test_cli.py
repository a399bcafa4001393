"""The command line as a user meets it: real processes, their exit codes and what they say."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lesiongan

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")


def call(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as a person has it
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def refused(result: subprocess.CompletedProcess, code: int, said: str) -> None:
    """One clear line on stderr, no traceback, the right exit code."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert said in result.stderr


def one_hot(path: Path, labels: list[str]) -> None:
    header = ("image", *CLASSES, "UNK")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for i, label in enumerate(labels):
            writer.writerow([f"ISIC_{i:07d}", *[float(c == label) for c in header[1:]]])


def pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"ISIC_{i:07d}.jpg")


def isic(folder: Path, labels: list[str], count: int | None = None) -> Path:
    folder.mkdir()
    one_hot(folder / "ISIC_2019_Training_GroundTruth.csv", labels)
    pictures(folder / "ISIC_2019_Training_Input", len(labels) if count is None else count)
    return folder


LABELS = [CLASSES[i % 8] for i in range(80)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "noise-to-lesion", "--data", "phantoms", "--workdir", "nowhere", "--preset", "demo", "--dry-run"],
        ["data", "phantoms", "--quick", "--set", "data.phantoms=400"],
        ["compile", "nevus-to-melanoma", "-o", "pipeline.yaml"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_plans_and_help_start_without_tensorflow(arguments, tmp_path):
    code = (
        "import atexit, sys\n"
        "loaded = lambda: {name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras'}\n"
        "atexit.register(lambda: print('loaded:', sorted(loaded())))\n"
        f"sys.argv = ['lesiongan', *{arguments!r}]\n"
        "from pipelines.cli import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded: []"


def test_version_and_help(tmp_path):
    assert call("--version", cwd=tmp_path).stdout.strip() == f"lesiongan {lesiongan.__version__}"
    text = call("--help", cwd=tmp_path).stdout
    for command in ("demo", "run", "compile", "status", "doctor"):
        assert f"    {command} " in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["run", "nevus-to-melanoma", "--workdir", "w"], "--data"),
        (
            ["run", "nevus-to-melanoma", "--data", "phantoms", "--workdir", "w", "--preset", "huge"],
            "unknown preset 'huge'",
        ),
        (["demo", "--set", "cyclegan.foo=1"], "unknown option 'cyclegan.foo'"),
        (["demo", "--set", "cyclegan.images=x"], "not of type int"),
        (["demo", "--config", "none.toml"], "none.toml"),
        (["run", "nevus-to-melanoma", "--data", "nowhere", "--workdir", "w"], "nowhere"),
        (["status", "nowhere"], "nowhere: no such folder"),
        (["compile", "noise-to-lesion", "-o", "nowhere/p.yaml"], "no such folder"),
        (["compile", "noise-to-lesion", "-o", "p.txt"], "name it .yaml"),
    ],
)
def test_wrong_usage(tmp_path, arguments, said):
    refused(call(*arguments, cwd=tmp_path), 2, said)
    assert list(tmp_path.iterdir()) == []


def run(data: Path, tmp_path: Path, *more) -> subprocess.CompletedProcess:
    arguments = ("run", "nevus-to-melanoma", "--preset", "demo", "--data", data, "--workdir", tmp_path / "w")
    return call(*arguments, *more, cwd=tmp_path)


def test_a_folder_without_csv(tmp_path):
    pictures(tmp_path / "data" / "ISIC_2019_Training_Input", 3)
    refused(run(tmp_path / "data", tmp_path), 2, str(tmp_path / "data"))
    assert not (tmp_path / "w").exists()


def test_a_csv_with_hardly_any_image(tmp_path):
    data = isic(tmp_path / "data", LABELS, count=10)
    refused(run(data, tmp_path), 2, "--allow-missing")
    assert not (tmp_path / "w").exists()


def test_an_unknown_class_column(tmp_path):
    data = isic(tmp_path / "data", LABELS)
    table = data / "ISIC_2019_Training_GroundTruth.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0] + ",thickness", *(line + ",3.7" for line in lines[1:])]))
    refused(run(data, tmp_path), 2, "column 'thickness'")
    assert not (tmp_path / "w").exists()


def test_an_unwritable_workdir(tmp_path):
    (tmp_path / "w").write_text("a file in the way")
    data = isic(tmp_path / "data", LABELS)
    refused(run(data, tmp_path, "--set", "nevus_to_melanoma.amounts=5"), 2, "--workdir")
    assert (tmp_path / "w").read_text() == "a file in the way"


def test_devices_that_are_not_there_are_missed_before_anything_is_trained(tmp_path):
    said = "option 'cyclegan.replicas': 64, but TensorFlow sees"
    refused(run("phantoms", tmp_path, "--set", "cyclegan.replicas=64"), 2, said)
    assert not (tmp_path / "w").exists()


def test_a_class_of_the_experiment_that_the_data_has_not(tmp_path):
    data = isic(tmp_path / "data", LABELS)
    result = run(data, tmp_path, "--set", "nevus_to_melanoma.target=XYZ", "--set", "nevus_to_melanoma.amounts=5")
    refused(result, 2, "no class 'XYZ' in the data")
    works = re.findall(r"--set (\S+)", result.stderr)
    assert [line.partition("=")[0] for line in works] == ["nevus_to_melanoma.source", "nevus_to_melanoma.target"]
    sets = [word for line in works for word in ("--set", line)]
    planned = run(data, tmp_path, *sets, "--set", "nevus_to_melanoma.amounts=5", "--dry-run")
    assert planned.returncode == 0, planned.stderr


def test_fewer_nevi_than_the_largest_cell_needs(tmp_path):
    data = isic(tmp_path / "data", LABELS)
    result = run(data, tmp_path)
    refused(result, 2, "training images of NV to make them from")
    assert not (tmp_path / "w").exists()
    (works,) = re.findall(r"--set (\S+)", result.stderr)
    planned = run(data, tmp_path, "--set", works, "--dry-run")
    assert "cannot run" not in planned.stdout


@pytest.mark.slow
def test_a_class_with_too_few_images_for_a_split(tmp_path):
    data = isic(tmp_path / "data", [c for c in LABELS if c != "DF"] + ["DF", "DF"])
    result = run(data, tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stdout + result.stderr
    assert "DF" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_compile_writes_what_kubeflow_runs(tmp_path):
    import yaml
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    for name in ("nevus-to-melanoma", "noise-to-lesion"):
        result = call("compile", name, "--preset", "paper", "-o", tmp_path / f"{name}.yaml", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        spec, platform = yaml.safe_load_all((tmp_path / f"{name}.yaml").read_text())
        parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        assert parsed.pipeline_info.name == name
        executors = spec["deploymentSpec"]["executors"]
        on_gpu = {key for key, value in executors.items() if "accelerator" in value["container"].get("resources", {})}
        trainers = {key for key in executors if key.startswith("exec-train-")}
        assert trainers <= on_gpu
        assert "exec-reporter" in set(executors) - on_gpu
        assert platform["platforms"]["kubernetes"]


def test_data_says_what_is_in_a_folder(tmp_path):
    data = isic(tmp_path / "data", LABELS, count=78)
    shown = call("data", data, "--split", "by_image", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "80 rows, 78 usable images, 8 classes" in shown.stdout
    assert shown.stderr.splitlines()[-1].startswith("pictures: 78 images in ")
    found = json.loads(call("data", data, "--split", "by_image", "--json", cwd=tmp_path).stdout)
    assert found["table1"] == {name: [8, 1, 1] for name in CLASSES}
    assert {a["what"] for a in found["anomalies"]} == {"ISIC_0000078", "ISIC_0000079"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]  # it writes nothing
    refused(call("data", data, "--split", "by_patient", cwd=tmp_path), 2, "by_lesion or a CSV of image, split")
    refused(call("data", tmp_path / "gone", cwd=tmp_path), 2, "no such file or folder")
    for file in sorted((data / "ISIC_2019_Training_Input").iterdir())[:60]:
        file.unlink()
    refused(call("data", data, cwd=tmp_path), 2, "--allow-missing")
    again = call("data", data, "--split", "by_image", "--quick", "--allow-missing", cwd=tmp_path)
    assert "18 usable images" in again.stdout


@pytest.mark.slow
def test_data_prints_table_1_of_the_paper(tmp_path, real_data):
    found = call("data", real_data / "isic2019_84px", "--split", "by_image", "--json", "--quick", cwd=tmp_path)
    table = json.loads(found.stdout)["table1"]
    paper = csv.DictReader((Path(lesiongan.__file__).parent / "tables" / "paper" / "table1.csv").open())
    assert {row["class"]: [int(row[side]) for side in ("train", "validation", "test")] for row in paper} == table


def test_a_hostile_folder_under_a_locale_without_utf_8(tmp_path):
    data = tmp_path / "d"
    data.mkdir()
    lines = ['"image","naïve\x1b[2J","two\nlines: done"']
    for i in range(24):
        Image.fromarray(np.full((16, 16, 3), 10 * i, np.uint8)).save(data / f"é{i}.png")
        lines.append(f"é{i},{i % 2},{1 - i % 2}")
    (data / "x_GroundTruth.csv").write_bytes("\n".join([*lines, "gone\x1b]0;title\x07,1,0"]).encode("utf-16"))
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    environment = {**os.environ, **locale, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [
        sys.executable,
        "-W",
        "error::EncodingWarning:lesiongan",
        "-m",
        "pipelines.cli",
        "data",
        str(data),
        "--quick",
    ]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=300)
    said = result.stdout.decode()
    assert result.returncode == 0, result.stderr
    assert "naïve [2J" in said
    assert "two lines: done" in said
    assert "24 usable images" in said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", said)
