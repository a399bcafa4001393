"""`lesiongan export` on a run's folder: the sets that its reports were made from, and refusals of one line."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from lesiongan.base.files import digest_directory, write_json
from lesiongan.base.lineage import lineage_path
from lesiongan.data import generated
from lesiongan.data.generated import Generated
from lesiongan.data.taxonomy import ISIC_2019
from pipelines.cli import _guarded, _parse


def command(*arguments) -> int:
    return int(_guarded(_parse(["lesiongan", *map(str, arguments)])))


def write_set(folder: Path, count: int) -> None:
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    made = Generated(pixels, np.zeros(count, np.int32), np.arange(count), ("",) * count)
    model = {"name": folder.name, "digest": folder.name * 8, "taxonomy": ISIC_2019.to_dict()}
    generated.write(folder, made, model, [16], 1.0)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    """A finished run with two generated sets, and what an earlier run with other options has left in it."""
    root = tmp_path_factory.mktemp("run")
    artifacts = root / "artifacts"
    write_set(artifacts / "now" / "generated" / "alpha-0.5", 3)
    write_set(artifacts / "now" / "generated" / "alpha-1", 4)
    write_set(artifacts / "before" / "generated" / "alpha-0.25", 5)
    for run in ("now", "before"):
        folder = artifacts / run / "generated"
        write_json(lineage_path(folder), {"artifact": "generated", "digest": digest_directory(folder)})
    (artifacts / "now" / "report").mkdir()
    record = {"artifact": "report", "options": {"experiment": "nevus_to_melanoma"}, "started": "2026"}
    record["inputs"] = {"generated": [digest_directory(artifacts / "now" / "generated")]}
    write_json(lineage_path(artifacts / "now" / "report"), record)
    return root


def test_the_sets_of_the_last_run_wherever_its_folder_is_now(workdir, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(workdir, moved)
    assert command("export", moved, "-o", tmp_path / "all") == 0
    assert "alpha-0.5: 3\nalpha-1: 4\n7 pictures" in capsys.readouterr().out
    assert command("export", moved, "-o", tmp_path / "one", "--only", "alpha-1", "--count", "2") == 0
    with (tmp_path / "one" / "provenance.csv").open() as file:
        assert [row["generator"] for row in csv.DictReader(file)] == ["alpha-1"] * 2
    assert command("export", moved / "artifacts" / "before" / "generated", "-o", tmp_path / "folder") == 0
    assert "alpha-0.25: 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "alpha-7"], "no such set there; there are alpha-0.5, alpha-1"),
        (["--what", "examples"], "no examples of the run are left there"),
        (["--count", "0"], "--count 0: give 1 or more"),
        (["--class", "naevus"], "no class 'naevus'"),
    ],
)
def test_refusals_write_nothing(workdir, tmp_path, capsys, arguments, said):
    assert command("export", workdir, "-o", tmp_path / "out", *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_run(tmp_path, capsys):
    assert command("export", tmp_path, "-o", tmp_path / "out") == 2
    assert "no finished run there" in capsys.readouterr().err
