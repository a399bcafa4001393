"""Parts of a grid, trained side by side, become one predictions artifact."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lesiongan.base.errors import LesionganError
from lesiongan.steps import join_grid
from lesiongan.steps.step import Task


def part(folder: Path, seed: int, *cells: str, images: str = "a") -> Path:
    common = {"kind": "acgan", "alpha": "", "amount": 1, "seed": seed}
    rows = [{"cell": cell, **common, "file": f"predictions/{cell}-seed{seed}.csv"} for cell in cells]
    for place in (folder, folder / "sets" / "validation"):
        (place / "predictions").mkdir(parents=True)
        (place / "truth.csv").write_text(f"image,label,lesion_id\n{images},MEL,\n")
        for row in rows:
            (place / row["file"]).write_text(f"image,MEL,NV\n{images},0.25,0.75\n")
    pd.DataFrame(rows).to_csv(folder / "cells.csv", index=False)
    return folder


def joined(tmp_path: Path, parts: list[Path], seeds: int = 2) -> Path:
    runs = [tmp_path / "runs" / str(i) for i in range(len(parts))]
    for i, run in enumerate(runs):
        (run / f"training{i}").mkdir(parents=True)
        (run / f"training{i}" / "stats.jsonl").write_text("{}\n")
    task = Task(
        inputs={"parts": parts, "part_runs": runs},
        outputs={"predictions": tmp_path / "out", "model_run": tmp_path / "out_runs"},
        parameters={},
        options=join_grid.Options(cells=("real only", "x"), seeds=seeds),
        seed=0,
        run_dir=tmp_path / "work",
    )
    join_grid.run(task)
    return tmp_path / "out"


def test_rows_stand_in_the_tables_order_whatever_the_parts(tmp_path):
    parts = [
        part(tmp_path / "p0", 1, "x"),
        part(tmp_path / "p1", 0, "real only"),
        part(tmp_path / "p2", 0, "x"),
        part(tmp_path / "p3", 1, "real only"),
    ]
    out = joined(tmp_path, parts)
    table = pd.read_csv(out / "cells.csv")
    assert table["seed"].tolist() == [0, 0, 1, 1]
    assert table["cell"].tolist() == ["real only", "x", "real only", "x"]
    for file in table["file"]:
        for place in (out, out / "sets" / "validation"):
            assert (place / file).read_text().startswith("image,MEL,NV")
    assert {p.parent.name for p in (tmp_path / "out_runs").rglob("stats.jsonl")} == {f"training{i}" for i in range(4)}


def test_a_missing_cell_and_one_that_is_there_twice(tmp_path):
    with pytest.raises(LesionganError, match="cell x, seed 0: 0 of the parts"):
        joined(tmp_path, [part(tmp_path / "p0", 0, "real only")], seeds=1)
    parts = [part(tmp_path / "p1", 0, "real only", "x"), part(tmp_path / "p2", 0, "x")]
    with pytest.raises(LesionganError, match="cell x, seed 0: 2 of the parts"):
        joined(tmp_path / "again", parts, seeds=1)


def test_parts_with_different_test_images_are_refused(tmp_path):
    parts = [part(tmp_path / "p0", 0, "real only"), part(tmp_path / "p1", 0, "x", images="b")]
    with pytest.raises(LesionganError, match="other test images"):
        joined(tmp_path, parts, seeds=1)
