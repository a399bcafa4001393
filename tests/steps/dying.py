"""Ends a process at each rename, removal, new folder and wait for the disk of a piece of work, one after the other, and
does the same work again each time.

    python dying.py WORK FOLDER

prints how many moments there were; an AssertionError where the work, done again, gives something else than undisturbed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lesiongan.base import contents
from lesiongan.base.files import digest_directory, sweep_temporaries, whole_directory
from lesiongan.base.lineage import digest, write_record
from lesiongan.data import examples_writer
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving import model_artifact
from lesiongan.steps.push import push
from pipelines.workdir import RunRecord, run_records

_MOMENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")


def examples(folder: Path) -> None:
    images = np.arange(2 * 16 * 16 * 3, dtype=np.uint32).reshape(2, 16, 16, 3).astype(np.uint8)
    taxonomy = Taxonomy.of(("MEL", "NV"))
    out = folder / "examples"
    examples_writer.write_generated(out, images, [0, 1], ["a", "b"], ["g", "g"], taxonomy, sizes=(16, 8))
    write_record(out, {"step": "s", "artifact": "examples", "identity": "", "seconds": 1.0, "started": ""})
    assert digest(out) == contents.digest(out)


def part(folder: Path) -> None:
    """A finished part of a step: a job's model, a grid's cell."""
    place = folder / "model"
    if not contents.check_part(place):
        with whole_directory(place) as temporary:
            (temporary / "weights").write_bytes(bytes(range(256)))
        contents.seal_part(place)


def pushed(folder: Path) -> None:
    model = folder / "model"
    if not (model / "model.json").exists():
        (model / "saved_model").mkdir(parents=True, exist_ok=True)
        (model / "saved_model" / "saved_model.pb").write_bytes(b"graph")
        facts = {"format": 1, "name": "m", "kind": "cyclegan", "size": 32, "parameters": 1, "version": "0.2.0"}
        facts |= {"taxonomy": Taxonomy.of(("MEL", "NV")).to_dict(), "digest": digest_directory(model / "saved_model")}
        model_artifact.write_record(model, facts)
    push(model, folder / "store" / "m")
    versions = sorted(path.name for path in (folder / "store" / "m").iterdir() if not path.name.startswith("."))
    assert versions == ["1"]


def record(folder: Path) -> None:
    run = RunRecord(folder, "toy")
    run.data["started"] = 0.0
    run.step("one", status="done")
    run.finish("done")
    run.data["seconds"] = 0.0
    run.write()
    assert [each["status"] for each in run_records(folder)] == ["done"]


def child(work: Callable[[Path], None], folder: Path, moment: int) -> int:
    """Does the work in a process of its own that ends at a moment (0: at none); its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seen = 0

    def one_more() -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            os._exit(9)  # like signal 9: nothing is tidied up

    wait = os.fsync
    os.fsync = lambda handle: (one_more(), wait(handle))[1]
    sys.addaudithook(lambda event, _: one_more() if event in _MOMENTS else None)
    try:
        work(folder)
        os._exit(0)
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)


def main(name: str, place: str) -> None:
    work, folder = WORK[name], Path(place)
    if name == "examples":
        # here, not in each process anew
        from tensorflow_datasets.core import sequential_writer  # noqa: F401
    (folder / "right").mkdir(parents=True)
    assert child(work, folder / "right", 0) == 0
    right = contents.digest(folder / "right")
    moment = 0
    while True:
        moment += 1
        here = folder / str(moment)
        here.mkdir()
        code = child(work, here, moment)
        if code == 0:
            break
        assert code == 9
        assert child(work, here, 0) == 0, f"moment {moment}"
        sweep_temporaries(here)
        assert contents.digest(here) == right, f"moment {moment}"
    print("moments", moment - 1)


WORK = {"examples": examples, "part": part, "pushed": pushed, "record": record}

if __name__ == "__main__":
    main(*sys.argv[1:])
