"""Both pipelines for real, at the demo's size: to the report, again from the cache, and after a kill."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tensorflow as tf
from short_demo import SHORT, short_demo

import lesiongan
from lesiongan.data import examples
from lesiongan.data.taxonomy import ISIC_2019

pytestmark = pytest.mark.slow
ROOT = Path(lesiongan.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]


def call(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """The workdir of a demo, and what the command printed."""
    place = short_demo(tmp_path_factory.getbasetemp())
    return place / "run", (place / "said.txt").read_text()


TRAININGS = {"train-classifier", "train-acgan", "train-cyclegan", "train-grid"}


@pytest.fixture
def changed(demo, tmp_path):
    """Changes a copy of the code, and says which steps of the demo it would run again: pipeline's step -> cached."""
    workdir, _ = demo
    for package in ("lesiongan", "components", "pipelines"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def plan(*changes: tuple[str, str, str], options: tuple[str, ...] = ()) -> dict[str, bool]:
        for file, old, new in changes:
            text = (tmp_path / file).read_text()
            assert text.count(old) == 1, file
            (tmp_path / file).write_text(text.replace(old, new))
        environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
        result = subprocess.run(
            command("demo", "--workdir", workdir, "--dry-run", *SHORT, *options),
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        rows = re.findall(r"^  (cached|to run)\s+(\S+)$", result.stdout, flags=re.M)
        return {step: all(said == "cached" for said, other in rows if other == step) for _, step in rows}

    return plan


LOSS = "lesiongan/models/cyclegan/losses.py"


def test_a_comment_and_an_option_of_the_report_train_nothing_again(changed):
    assert all(changed().values())
    config = "lesiongan/config/evaluation.py"
    steps = changed(
        (LOSS, "def l1(", "# a comment, which changes nothing\ndef l1("),
        (LOSS, '"""Mean absolute difference over', '"""The mean absolute difference over'),
        (
            "components/trainer.py",
            '"""The lesion classifier on real images."""',
            '"""Another text."""  # and a comment',
        ),
        (config, "    resamples: int", "    decimals: int = 3  # of the report\n    resamples: int"),
        ("lesiongan/reporting/report.py", "PICTURE_BUDGET = 1_000_000", "PICTURE_BUDGET = 1_200_000"),
    )
    assert {step for step in TRAININGS if not steps[step]} == set()
    assert not steps["evaluator"]
    assert not steps["reporter"]


def test_a_changed_loss_trains_again_what_it_trains_unless_that_is_accepted(changed):
    steps = changed((LOSS, "return 0.5 * (", "return 0.4 * ("))
    assert {step for step in TRAININGS if not steps[step]} == {"train-cyclegan", "train-grid"}  # and what comes after
    assert steps["example-gen"]
    assert all(changed(options=("--accept-code-change",)).values())


def test_a_copied_workdir_keeps_its_cache_and_finds_its_models(demo, tmp_path):
    workdir, _ = demo
    shutil.copytree(workdir, tmp_path / "copy", symlinks=True)
    planned = call("demo", "--workdir", tmp_path / "copy", *SHORT, "--dry-run").stdout
    rows = re.findall(r"^  (cached|to run)\s+(\S+)$", planned, flags=re.M)
    assert {step for said, step in rows if said == "to run"} == {"pusher"}  # it pushes into the copy
    for name in ("classifier", "alpha-1", "acgan", "refined", "refined-MEL"):
        model = tmp_path / "copy" / "models" / name
        assert (model / "model.json").is_file()
        assert model.resolve().is_relative_to(tmp_path / "copy")
    assert str(tmp_path / "copy" / "report-noise-to-lesion.html") in call("status", tmp_path / "copy").stdout


def outputs(workdir: Path, pipeline: str) -> dict[str, dict[str, Path]]:
    record = json.loads((workdir / "runs" / f"{pipeline}.json").read_text())
    return {step["name"]: {k: workdir / v for k, v in step["outputs"].items()} for step in record["steps"]}


def test_there_is_one_report_a_pipeline_and_the_run_says_where(demo):
    workdir, said = demo
    for pipeline in ("nevus-to-melanoma", "noise-to-lesion"):
        assert f"report: {workdir / f'report-{pipeline}.html'}" in said
        html = (workdir / f"report-{pipeline}.html").read_text()
        assert "Phantoms" in html
        assert not re.search(r'(?:src|href)="https?:', html.replace('href="https://doi.org', ""))
        assert html.count("data:image/") >= 3  # grids: real, generated, pairs


def test_every_cell_of_the_grids_is_in_the_table(demo):
    workdir, _ = demo
    for pipeline, cells in (("nevus-to-melanoma", 1 + 2 * 2), ("noise-to-lesion", 1 + 2 * 2)):
        made = outputs(workdir, pipeline)
        table = pd.read_csv(made["train-grid"]["predictions"] / "cells.csv")
        assert table.groupby("seed").size().tolist() == [cells]
        predictions = pd.read_csv(made["train-grid"]["predictions"] / table["file"][0])
        truth = pd.read_csv(made["train-grid"]["predictions"] / "truth.csv")
        assert list(predictions["image"]) == list(truth["image"])
        assert predictions[list(ISIC_2019.classes)].sum(axis=1).sub(1).abs().max() < 1e-4


def test_test_images_took_no_part_in_training(demo):
    workdir, _ = demo
    made = outputs(workdir, "nevus-to-melanoma")
    table = examples.read_table(made["example-gen"]["examples"])
    train = set(table["image_id"][table["split"] == "train"])
    ranked = pd.read_csv(made["path-rank-filter"]["selection"] / "ranked.csv")
    assert set(ranked["image_id"]) <= train
    generated = examples.read_table(made["translate-images"]["generated"] / "alpha-1")
    assert set(generated["source_id"]) <= train
    assert (generated["label"] == "MEL").all()


def test_images_of_the_acgans_cells_were_not_the_cyclegans_sources(demo):
    workdir, _ = demo
    made = outputs(workdir, "noise-to-lesion")["sample-images"]
    x, fresh = (examples.read_table(made[key] / "acgan") for key in ("references", "generated"))
    assert not set(x["seed"]) & set(fresh["seed"])


def test_pushed_models_serve_the_images_that_the_artifacts_hold(demo):
    workdir, _ = demo
    made = outputs(workdir, "noise-to-lesion")
    pushed = json.loads((made["pusher"]["pushed"] / "pushed.json").read_text())
    acgan = tf.saved_model.load(pushed["acgan"]["path"]).signatures["serving_default"]
    table = examples.read_table(made["sample-images"]["generated"] / "acgan")
    row = table.iloc[0]
    label, size = (
        ISIC_2019.index(row["label"]),
        json.loads((Path(pushed["acgan"]["path"]) / "model.json").read_text())["size"],
    )
    answer = acgan(labels=tf.constant([label]), seeds=tf.constant([row["seed"]], tf.int64))
    stored = examples.load(made["sample-images"]["generated"] / "acgan", size, "train").images[0]
    assert abs(answer["image"].numpy()[0].astype(int) - stored).max() <= 1


def test_lineage_stands_beside_each_artifact(demo):
    workdir, _ = demo
    for pipeline in ("nevus-to-melanoma", "noise-to-lesion"):
        for step, artifacts in outputs(workdir, pipeline).items():
            for key, path in artifacts.items():
                if key == "metrics":
                    continue
                record = json.loads(path.with_name(path.name + ".lineage.json").read_text())
                assert record["artifact"] == key, step
                assert len(record["digest"]) == 64
                assert {"inputs", "options", "seed", "code", "version", "seconds", "machine"} <= set(record)


def test_a_second_run_does_nothing_and_takes_seconds(demo):
    workdir, _ = demo
    begin = time.monotonic()
    result = call("demo", "--workdir", workdir, *SHORT)
    assert result.returncode == 0
    assert "done in" in result.stdout
    assert not re.search(r"^\[.*\] done in", result.stdout, re.MULTILINE)
    assert time.monotonic() - begin < 60  # of work there would be minutes


def plan(workdir: Path, *more) -> dict[str, set[str]]:
    """The steps that are not cached, by pipeline."""
    result = call("demo", "--workdir", workdir, "--dry-run", *SHORT, *more)
    assert result.returncode == 0, result.stderr
    steps: dict[str, set[str]] = {}
    for line in result.stdout.splitlines():
        if not line.startswith(" "):
            steps[line] = set()
        elif line.strip().startswith("to run"):
            steps[next(reversed(steps))].add(line.split()[-1])
    return steps


AFTER_CYCLEGAN = {
    "train-cyclegan",
    "translate-images",
    "train-grid",
    "evaluator",
    "reporter",
    "infra-validator",
    "pusher",
}


def test_a_changed_option_runs_again_just_what_depends_on_it(demo):
    workdir, _ = demo
    assert plan(workdir) == {"nevus-to-melanoma": set(), "noise-to-lesion": set()}
    changed = plan(workdir, "--set", "cyclegan.cycle=4")
    refined = AFTER_CYCLEGAN | {"chain-generators"}
    assert changed == {"nevus-to-melanoma": AFTER_CYCLEGAN, "noise-to-lesion": refined}
    changed = plan(workdir, "--set", "acgan.beta_1=0.3")
    everything = refined | {"train-acgan", "sample-images"}
    assert changed == {"nevus-to-melanoma": {"reporter"}, "noise-to-lesion": everything}
    changed = plan(workdir, "--set", "evaluation.resamples=999")
    assert changed["nevus-to-melanoma"] == {"evaluator", "reporter", "pusher"}
    assert plan(workdir, "--seed", "1")["nevus-to-melanoma"] >= AFTER_CYCLEGAN | {"example-gen"}


TINY = [
    "--set",
    "data.phantoms=400",
    "--set",
    "classifier.images=64",
    "--set",
    "cyclegan.images=40000",
    "--set",
    "cyclegan.filters=8",
    "--set",
    "nevus_to_melanoma.amounts=20,40",
]


def test_a_killed_launcher_takes_its_children_along_and_training_goes_on(tmp_path):
    arguments = ["run", "nevus-to-melanoma", "--preset", "demo", "--data", "phantoms", "--workdir", tmp_path, *TINY]
    environment = {**ENVIRONMENT, "LESIONGAN_CHECKPOINT_SECONDS": "2"}
    first = subprocess.Popen(
        command(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline, checkpoints = time.monotonic() + 240, []
    while not checkpoints and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.5)
        checkpoints = list(tmp_path.glob("work/train_cyclegan-*/runs/*/checkpoints/step-*"))
    assert first.poll() is None, first.stdout.read()
    assert checkpoints, "no checkpoint of the CycleGAN within 4 minutes"
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    time.sleep(2)
    left = [p for p in Path("/proc").glob("[0-9]*") if _uses(p, str(tmp_path))]
    assert left == []
    status = call("status", tmp_path).stdout
    assert "interrupted" in status
    again = subprocess.Popen(
        command(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    for line in again.stdout:
        said.append(line.rstrip())
        if "goes on from step" in line:
            break
    again.kill()
    again.wait()
    text = "\n".join(said)
    for step in ("example-gen", "train-classifier", "path-rank-filter"):
        assert f"[{step}] cached" in text
    assert re.search(r"goes on from step [1-9]", text), text


def _uses(process: Path, text: str) -> bool:
    """Whether a running process has the text on its command line."""
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and int(process.name) != os.getpid() and text.encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False
