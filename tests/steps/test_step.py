"""What every step has in common, seen from outside: a real process each time."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lesiongan

ROOT = Path(lesiongan.__file__).parent.parent
BODY = """
import dataclasses, itertools, os, sys, time, types
from pathlib import Path
from lesiongan.base.errors import MachineError, UsageError
from lesiongan.steps import run_component

@dataclasses.dataclass(frozen=True)
class Options:
    number: int = 1

def run(task):
    print("run_dir", task.run_dir)
    task.outputs["made"].mkdir()
    (task.outputs["made"] / "file").write_text(str(task.options.number))
    what = task.parameters.get("what", "")
    if what == "usage":
        raise UsageError("no such\\nthing; do this")
    if what == "full":
        raise OSError(28, "No space left on device")
    if what == "bug":
        raise KeyError("oops")
    if what == "sleep":
        time.sleep(60)
    return {"answer": 42, "word": "no number"}

class Artifact:
    def __init__(self, name):
        self.path, self.metadata = str(out / name), {}

clock = itertools.cycle((4e9, 0.0))
time.time = lambda: next(clock)  # somebody sets it, again and again
out = Path(sys.argv[1])
step = types.ModuleType("lesiongan.steps.push")  # the code version is that of a module of the library
step.run, step.Options, step.OUTPUTS = run, Options, ("made",)
metrics = Artifact("metrics")
given = Artifact(os.environ.get("GIVEN", "given"))
numbers = run_component(step, given=given, several=[Artifact("given"), Artifact("given")], absent=None,
                        made=Artifact("made"), what=sys.argv[2], options=sys.argv[3], seed=int(sys.argv[4]),
                        work_dir=str(out / "work"), metrics=metrics)
assert metrics.metadata == numbers
print("numbers", numbers)
"""


def start(folder: Path, what: str = "", options: str = "{}", seed: int = 0, **environment) -> subprocess.Popen:
    (folder / "given").mkdir(parents=True, exist_ok=True)
    (folder / "given" / "x").write_text("x")
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "LESIONGAN_ERROR_FILE": str(folder / "error.json"),
        **environment,
    }
    command = [sys.executable, "-c", BODY, str(folder), what, options, str(seed)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def run_dir(folder: Path, **more) -> str:
    code, out, error = finish(start(folder, **more))
    assert code == 0, error
    return out.split("run_dir ")[1].split()[0].rpartition("/")[2]


def test_metrics_and_lineage_are_written(tmp_path):
    code, out, error = finish(start(tmp_path, options='{"number": 7}', seed=3))
    assert code == 0, error
    assert "numbers {'answer': 42.0}" in out
    assert json.loads((tmp_path / "metrics").read_text()) == {"answer": 42.0}
    record = json.loads((tmp_path / "made.lineage.json").read_text())
    assert record["options"] == {"number": 7}
    assert record["seed"] == 3
    assert record["metrics"]["word"] == "no number"
    given = record["inputs"]["given"]
    assert record["inputs"] == {"given": given, "several": [given, given]}  # what was not handed in is left out
    assert record["versions"]["python"] == platform.python_version()
    assert {"numpy", "keras", "kfp"} < set(record["versions"])
    assert record["machine"]["device"]
    assert 0 <= record["seconds"] < 60


def test_an_artifact_that_is_carried_elsewhere_without_its_record_gets_it_back(tmp_path):
    assert finish(start(tmp_path, options='{"number": 7}'))[0] == 0
    record = json.loads((tmp_path / "made.lineage.json").read_text())
    (tmp_path / "made").rename(tmp_path / "carried")  # what an engine carries to the next step is the artifact alone
    (tmp_path / "made.lineage.json").unlink()
    code, _, error = finish(start(tmp_path, GIVEN="carried"))
    assert code == 0, error
    assert json.loads((tmp_path / "carried.lineage.json").read_text()) == record
    assert json.loads((tmp_path / "made.lineage.json").read_text())["inputs"]["given"] == record["digest"]


def test_where_a_launcher_keeps_artifacts_in_place_no_copies_of_their_records_are_made(tmp_path):
    assert finish(start(tmp_path, LESIONGAN_LAUNCHER=str(os.getpid())))[0] == 0
    assert not (tmp_path / "work" / "records").exists()


@pytest.mark.parametrize(
    ("what", "code", "said", "expected"),
    [
        ("usage", 2, "no such thing; do this", True),
        ("full", 3, "No space left on device", True),
        ("bug", 1, "KeyError", False),
    ],
)
def test_failures_are_one_line_with_their_exit_code(tmp_path, what, code, said, expected):
    returned, _, error = finish(start(tmp_path, what))
    assert returned == code
    assert said in error.strip().splitlines()[-1]
    assert ("Traceback" in error) is not expected
    record = json.loads((tmp_path / "error.json").read_text())
    assert record["exit_code"] == code
    assert record["expected"] is expected
    assert said in record["message"]


def test_an_unknown_option_is_refused(tmp_path):
    code, _, error = finish(start(tmp_path, options='{"nmuber": 7}'))
    assert code == 2
    assert "unknown option 'nmuber'" in error


def test_the_working_folder_depends_on_what_the_result_depends_on(tmp_path):
    base = run_dir(tmp_path / "a")
    assert run_dir(tmp_path / "b") == base
    others = [
        run_dir(tmp_path / "c", options='{"number": 2}'),
        run_dir(tmp_path / "d", seed=1),
        run_dir(tmp_path / "e", what="y"),
    ]
    assert len({base, *others}) == 4


def test_a_step_ends_with_its_launcher(tmp_path):
    launcher = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    step = start(tmp_path, "sleep", LESIONGAN_LAUNCHER=str(launcher.pid))
    step.stdout.readline()  # it runs
    assert step.poll() is None
    launcher.kill()
    launcher.wait()
    begin = time.monotonic()
    assert step.wait(timeout=10) == -signal.SIGKILL
    assert time.monotonic() - begin < 5


@pytest.fixture
def other_code(tmp_path) -> Path:
    """The library with another `push`, so that another version of its code runs."""
    library = tmp_path / "library"
    shutil.copytree(ROOT / "lesiongan", library / "lesiongan", ignore=shutil.ignore_patterns("__pycache__"))
    with (library / "lesiongan/steps/push.py").open("a") as file:
        file.write("\nCHANGED = 1\n")
    return library


def test_an_accepted_change_of_the_code_goes_on_in_the_same_folder_and_the_record_says_so(tmp_path, other_code):
    place = tmp_path / "place"
    before = run_dir(place)
    first = json.loads((place / "made.lineage.json").read_text())
    assert "accepted_code" not in first
    shutil.rmtree(place / "made")
    after = run_dir(place, PYTHONPATH=str(other_code), LESIONGAN_ACCEPT_CODE_CHANGE=str(place / "work"))
    assert after == before
    record = json.loads((place / "made.lineage.json").read_text())
    assert record["accepted_code"] == first["code"] != record["code"]
    assert record["identity"] == first["identity"]
    shutil.rmtree(place / "made")
    assert run_dir(place, PYTHONPATH=str(other_code)) != before  # what is not accepted is another training
    assert json.loads((place / "made.lineage.json").read_text())["code"] == record["code"]
