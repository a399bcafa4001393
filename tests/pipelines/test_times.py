"""`lesiongan status --times`: the parts of a step's time add up to what was recorded of it."""

from __future__ import annotations

import json

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.base.lineage import write_record
from pipelines.times import Times, step_times, times_lines
from pipelines.workdir import RunRecord


def trained(folder, seconds: list[float]) -> None:
    """The losses of a training whose steps ended at these seconds."""
    folder.mkdir(parents=True)
    rows = [{"step": number + 1, "seconds": end} for number, end in enumerate(seconds)]
    (folder / "stats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_parts_of_a_steps_time(tmp_path):
    run = tmp_path / "artifacts" / "model_run"
    trained(run / "a", [5.0, 6.0, 7.0, 8.0])  # the first step takes 5 s, a usual one 1 s: 4 s compile
    trained(run / "b", [1.0, 2.0])  # already compiled
    write_record(run, {"seconds": 15.0, "step": "train_cyclegan"})
    row = {"seconds": 20.0, "outputs": {"model_run": "artifacts/model_run"}}
    times = step_times(tmp_path, row)
    assert times == Times(whole=20.0, start=5.0, compilation=4.0, training=6.0)
    assert times.rest == 5.0


def test_the_table_has_the_steps_that_ran_and_their_sum(tmp_path):
    for name in ("evaluation", "report"):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name, {"seconds": 3.0, "step": name})
    record = RunRecord(tmp_path, "noise-to-lesion")
    record.step("example-gen", status="cached", seconds=100.0)
    record.step("evaluator", status="done", seconds=8.0, outputs={"evaluation": "evaluation"})
    record.step("reporter", status="done", seconds=4.0, outputs={"report": "report"})
    record.step("pusher", status="running")
    rows = {line.split()[0]: line.split()[1:] for line in times_lines(tmp_path)[2:]}
    assert rows == {
        "evaluator": ["8.0", "5.0", "0.0", "0.0", "3.0"],
        "reporter": ["4.0", "1.0", "0.0", "0.0", "3.0"],
        "all": ["12.0", "6.0", "0.0", "0.0", "6.0"],
    }


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no pipeline was run here"):
        times_lines(tmp_path)
