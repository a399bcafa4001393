"""The pass over the raw pictures: killed and started again, a full disk, files that cannot be read, memory."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from small_sources import folder, jpeg, one_hot

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples
from lesiongan.data.decoding import DecodingOptions, decode_all
from lesiongan.data.ingest import ingest
from lesiongan.data.locations import walk
from lesiongan.data.readers import FileReader
from lesiongan.data.splits import SPLITS

INGEST = """
import sys
from lesiongan.config.data import DataConfig
from lesiongan.data.ingest import ingest
from lesiongan.base.errors import LesionganError
if __name__ == "__main__":
    try:
        ingest(sys.argv[1], sys.argv[2], DataConfig(phantoms=320, phantom_size=64), [48], 1, log=print, workers=1)
    except LesionganError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def start(tmp_path: Path, output: str, **options) -> subprocess.Popen:
    (tmp_path / "ingest.py").write_text(INGEST)
    command = [sys.executable, tmp_path / "ingest.py", "phantoms", tmp_path / output]
    # coverage's own file would be the first to meet a limit on files
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **options
    )


@pytest.mark.slow
def test_killed_and_started_again_it_goes_on(tmp_path):
    process = start(tmp_path, "out")
    chunks, deadline = tmp_path / ".out.decoding", time.monotonic() + 120
    while len(list(chunks.glob("chunk-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list(chunks.glob("chunk-*")))
    assert 3 <= kept < 10, "killed too early or too late to show anything"
    assert not (tmp_path / "out").exists()

    again = start(tmp_path, "out")
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert f"goes on from picture {32 * kept} of 320" in said
    whole = start(tmp_path, "whole")
    assert "goes on" not in whole.communicate()[0]
    for name in (examples.INFO, examples.TABLE, examples.ANOMALIES, examples.LEAKS):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for split in SPLITS:  # the files of records differ, since protocol buffers write a map in any order
        one, two = (examples.load(tmp_path / name, 48, split) for name in ("out", "whole"))
        np.testing.assert_array_equal(one.images, two.images)
        assert one.ids == two.ids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ingest.py", "out", "whole"]  # nothing is left behind


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "kept"), [(20_000, 0), (300_000, 10)], ids=["while decoding", "while writing"])
def test_a_full_disk(tmp_path, limit, kept):
    """A limit on the size of files gives the errors that a full disk gives, at the same calls."""
    process = start(tmp_path, "out", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    said = process.communicate()[0].strip().splitlines()[-1]
    assert process.returncode == 1
    assert said.startswith("MachineError")
    assert "the disk is full (File too large); make room and start again" in said
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / ".out.decoding").glob("chunk-*"))) == kept
    again = start(tmp_path, "out")  # there is room now
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert len(examples.read_table(tmp_path / "out")) == 320
    assert ("goes on" in said) == (kept > 0)


@pytest.fixture
def open_to_all():
    """A folder that every user may enter; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_files_and_folders_that_cannot_be_read(open_to_all):
    for name in ("a/secret.jpg", "a/open.jpg", "b/closed.jpg"):
        (open_to_all / name).parent.mkdir(exist_ok=True)
        (open_to_all / name).write_bytes(jpeg())
    (open_to_all / "a/secret.jpg").chmod(0)
    (open_to_all / "b").chmod(0)
    anomalies = []
    user = os.geteuid()
    try:
        if user == 0:  # root may read everything
            os.seteuid(65534)
        found = walk(open_to_all, anomalies)
        reader = FileReader(str(open_to_all))
        assert reader.read("a/open.jpg") == jpeg()
        with pytest.raises(Exception, match="cannot be read: Permission denied"):
            reader.read("a/secret.jpg")
    finally:
        os.seteuid(user)
        (open_to_all / "b").chmod(0o755)
    assert found == ["a/open.jpg", "a/secret.jpg"]
    assert [(a.what, a.why) for a in anomalies] == [("b", "the folder cannot be read: Permission denied")]


def test_chunks_of_another_plan_are_not_used(tmp_path):
    names = [f"{i}.jpg" for i in range(40)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(i))
    reader = FileReader(str(tmp_path))
    first = decode_all([(reader, names)], DecodingOptions((16,)), tmp_path / "chunks", "key", workers=1)
    assert [set(squares) for squares in first.squares()] == [{16}] * 40
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "chunks").glob("*.npz")}
    decode_all([(reader, names)], DecodingOptions((16,)), tmp_path / "chunks", "key", workers=1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "chunks").glob("*.npz")} == before
    other = decode_all([(reader, names)], DecodingOptions((16, 24)), tmp_path / "chunks", "key", workers=1)
    assert [set(squares) for squares in other.squares()] == [{16, 24}] * 40
    np.testing.assert_array_equal(first.thumbnails, other.thumbnails)


@pytest.mark.parametrize("damaged", ["plan.json", "chunk-000000032.npz"])
def test_a_damaged_part_is_decoded_again(tmp_path, damaged):
    names = [f"{i}.jpg" for i in range(70)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(i))
    arguments = [(FileReader(str(tmp_path)), names)], DecodingOptions((16,)), tmp_path / "chunks", "key"
    whole = list(decode_all(*arguments, workers=1).squares())
    path, said = tmp_path / "chunks" / damaged, []
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = decode_all(*arguments, log=said.append, workers=1)
    assert list(again.squares()) == whole
    if damaged != "plan.json":  # without its plan nobody knows what the chunks are of
        assert said == [
            f"{damaged} is not as it was written; its pictures are decoded again", "goes on from picture 38 of 70"
        ]  # fmt: skip


def test_data_that_vanish_while_they_are_read_stop_the_pass_and_it_goes_on_once_they_are_back(tmp_path):
    names = [f"{i}.jpg" for i in range(100)]
    (tmp_path / "data").mkdir()
    for i, name in enumerate(names):
        (tmp_path / "data" / name).write_bytes(jpeg(i))
    reader, chunks = FileReader(str(tmp_path / "data")), tmp_path / "chunks"

    def check(faults):
        assert faults == []  # a file that was there is no unusable one
        if (tmp_path / "data").exists():
            (tmp_path / "data").rename(tmp_path / "elsewhere")

    with pytest.raises(MachineError, match=r"data/\d+.jpg: vanished while .*the same command goes on from here"):
        decode_all([(Slow(reader), names)], DecodingOptions((16,)), chunks, "key", check=check, workers=1)
    assert 1 <= len(list(chunks.glob("chunk-*"))) < 4
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    said = []
    found = decode_all([(Slow(reader), names)], DecodingOptions((16,)), chunks, "key", log=said.append, workers=1)
    assert "goes on from picture" in said[0]
    assert found.faults == [""] * 100


class Slow:
    """A reader that takes its time, so that there is a while to go on in."""

    def __init__(self, reader: FileReader):
        self.reader = reader

    def read(self, location):
        time.sleep(0.01)
        return self.reader.read(location)


def test_a_killed_worker_is_an_error_of_the_machine(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with pytest.raises(MachineError, match="worker that decodes pictures was killed"):
        decode_all([(Deadly(), ["a.jpg"])], DecodingOptions((16,)), tmp_path / "chunks", "key", workers=1)


def test_no_worker_writes_after_a_refusal(tmp_path):
    names = [f"{i}.jpg" for i in range(400)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(jpeg(i % 20) if i % 32 else b"no picture")

    def refuse(faults):
        if faults:
            raise UsageError("too many")

    parts, chunks = [(FileReader(str(tmp_path)), names)], tmp_path / "chunks"
    before = multiprocessing.active_children()
    with pytest.raises(UsageError, match="too many"):
        decode_all(parts, DecodingOptions((16,)), chunks, "key", check=refuse, workers=2)
    assert multiprocessing.active_children() == before
    assert len(list(chunks.glob("chunk-*"))) < 13  # it did not go on to the end
    shutil.rmtree(chunks)  # nobody writes there any more
    whole = decode_all(parts, DecodingOptions((16,)), chunks, "key", workers=1)
    assert sum(map(bool, whole.faults)) == 13


class Deadly:
    """A reader whose process is killed, as by the kernel when memory is short."""

    def read(self, location):
        os.kill(os.getpid(), signal.SIGKILL)


MEMORY = """
import resource, sys
from lesiongan.config.data import DataConfig
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.sources import open_source
rows = open_source(sys.argv[1], DataConfig(), 0).rows
source_fingerprint(sys.argv[1], DataConfig(), 0)
print(len(rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_grows_by_no_more_than_the_rows(tmp_path):
    """Up to 100,000 entries: a row and a name are kept of each, some hundred bytes, and nothing of its content."""
    peaks = []
    for count in (20_000, 100_000):
        ids = [f"ISIC_{i:07d}" for i in range(count)]
        data = folder(tmp_path / str(count), one_hot(ids, ["MEL", "NV"] * (count // 2)), [])
        (tmp_path / str(count) / "images").mkdir()
        for image_id in ids:
            with open(f"{data}/images/{image_id}.jpg", "wb") as file:
                file.truncate(1_000_000)  # sparse: it takes no room
        done = subprocess.run([sys.executable, "-c", MEMORY, data], capture_output=True, text=True, check=True)
        rows, kilobytes = map(int, done.stdout.split())
        assert rows == count
        peaks.append(1024 * kilobytes)
        shutil.rmtree(data)
    slope = (peaks[1] - peaks[0]) / 80_000
    print(f"{slope:.0f} bytes an entry")
    assert slope < 3000, f"{slope:.0f} bytes an entry"


def test_a_picture_under_two_ids(tmp_path):
    """It is used twice, said to be a near-duplicate, and stays on one side."""
    ids = [f"i{k:02d}" for k in range(40)]
    data = folder(tmp_path / "x", one_hot(ids, ["MEL", "NV"] * 20), [f"{name}.jpg" for name in ids])
    for k in range(0, 40, 4):
        shutil.copy(f"{data}/images/i{k:02d}.jpg", f"{data}/images/i{k + 2:02d}.jpg")
    for rule, across in (("by_lesion", 0), ("by_image", None)):
        config = DataConfig(split=rule, validation=0.2, test=0.2)
        info = ingest(data, tmp_path / rule, config, [16], 3, log=lambda line: None, workers=1)
        assert info["leak_audit"]["near_duplicates"] == 10
        assert info["images"] == 40
        if across is not None:
            assert info["leak_audit"]["near_duplicates_across"] == across
    assert info["leak_audit"]["near_duplicates_across"] > 0  # by images ten pairs do not stay together by chance
    table = (tmp_path / "by_image" / "leaks.csv").read_text().splitlines()
    assert len(table) == 11
