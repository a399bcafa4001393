"""Folders, archives and files that somebody made to do harm, or that were damaged: an anomaly, never the end."""

from __future__ import annotations

import io
import os
import resource
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from lesiongan.base.errors import LesionganError
from lesiongan.base.shown import is_plain
from lesiongan.config.data import DataConfig
from lesiongan.data import overview, pictures
from lesiongan.data.csv_files import Anomaly, read_csv
from lesiongan.data.locations import in_archives, walk
from lesiongan.data.near_duplicates import near_duplicates
from lesiongan.data.sources import open_source
from lesiongan.data.splits import join_groups


def picture(seed: int, side: int = 40, **options) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(90, 230, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", **options)
    return stream.getvalue()


def folders(root: Path, count: int = 3) -> Path:
    for place, name in enumerate(("MEL", "NV")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{name}{i}.jpg").write_bytes(picture(10 * place + i))
    return root


def test_a_link_to_itself_is_an_anomaly(tmp_path):
    root = folders(tmp_path / "d")
    (root / "MEL" / "loop.jpg").symlink_to("loop.jpg")
    (root / "loop").symlink_to("loop")
    (root / "one.csv").symlink_to("one.csv")
    source = open_source(str(root), DataConfig(), 0)
    assert len(source.rows) == 6
    found = {anomaly.what: anomaly.why for anomaly in source.anomalies}
    for name in ("MEL/loop.jpg", "loop"):
        assert found[name] == f"cannot be read: {os.strerror(40)}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_anomaly(tmp_path):
    root = folders(tmp_path / "d")
    (root / "NV" / "NV0.jpg").chmod(0)
    (root / "BCC").mkdir()
    (root / "BCC" / "x.jpg").write_bytes(picture(0))
    (root / "BCC").chmod(0o600)
    try:
        found = overview.overview(str(root), DataConfig(max_unusable=0.9), 0, workers=1)["anomalies"]
    finally:
        (root / "BCC").chmod(0o700)
    assert {"NV/NV0.jpg"} <= {anomaly["what"] for anomaly in found}


def test_an_archive_s_names_are_shown_and_not_obeyed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("good.jpg", "\x1b[2Jclear.jpg", "two\nlines.jpg", "../out.jpg", "turn\u2028.jpg"):
            archive.writestr(name, picture(0))
    anomalies: list[Anomaly] = []
    assert in_archives(tmp_path, [tmp_path / "a.zip"], anomalies) == ["a.zip::good.jpg"]
    assert len(anomalies) == 4
    assert all(is_plain(text) for anomaly in anomalies for text in anomaly)


def test_cells_of_several_lines_become_one(tmp_path):
    text = 'image,"class\nin words",lesion\na,"x\ry",1\nb,"\x1b[31mred",2\n'
    (tmp_path / "t.csv").write_bytes(text.encode())
    frame = read_csv(tmp_path / "t.csv", [])
    assert frame.columns.tolist() == ["image", "class in words", "lesion", "line"]
    assert frame["class in words"].tolist() == ["x y", "[31mred"]


def test_a_data_set_of_hostile_names_is_told_of_line_by_line(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    lines = ['image,"MEL\x1b[2J\nforged: all is well",NV']
    for i in range(12):
        (root / f"p{i}.jpg").write_bytes(picture(i))
        lines.append(f"p{i},{i % 2},{1 - i % 2}")
    (root / "x_GroundTruth.csv").write_text("\n".join([*lines, '"gone\r\x1b[1A",1,0']), encoding="utf-8")
    facts = overview.overview(str(root), DataConfig(), 0, quick=True)
    said = overview.lines(facts)
    assert all(is_plain(line) for line in said)
    assert not [line for line in said if line.startswith("forged")]


def test_a_jpeg_of_hundreds_of_scans_is_refused_at_once():
    data = picture(0, 600, progressive=True)
    last = data.rindex(b"\xff\xda")

    def with_scans(count: int) -> bytes:
        return data[:last] + data[last:-2] * count + data[-2:]

    assert pictures.decode(with_scans(3), (32,)).width == 600
    begin = time.process_time()
    with pytest.raises(pictures.Unusable, match="scans"):
        pictures.decode(with_scans(600), (32,))
    assert time.process_time() - begin < 1


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("what", ["dimensions", "text", "profile", "too little"])
def test_a_png_that_unpacks_to_gigabytes_takes_no_memory(what):
    side = 60_000 if what == "dimensions" else 9_000 if what == "too little" else 40
    bomb = zlib.compress(bytes(1 << 26), 9)
    parts = {"text": chunk(b"zTXt", b"k\0\0" + bomb), "profile": chunk(b"iCCP", b"k\0\0" + bomb)}
    rows = zlib.compress(bytes(1 << 20))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data += parts.get(what, b"") + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(pictures.Unusable):
        pictures.decode(data, (32,))
    allowed = 9_000**2 * 4 / 1024 if what == "too little" else 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < allowed + 100_000  # kB


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32), st.booleans())
def test_copies_beyond_those_that_are_listed_are_joined_all_the_same(copies, seed, noisy):
    rng = np.random.default_rng(seed)
    own = rng.integers(40, 250, (3, 32, 32)).astype(np.uint8)
    which = np.concatenate([[0, 1, 2], np.zeros(copies, int)])
    noise = rng.integers(0, 2, (len(which), 32, 32)) if noisy else 0
    order = rng.permutation(len(which))
    thumbnails = (own[which] + noise).astype(np.uint8)[order]
    pairs = near_duplicates(thumbnails)
    groups = join_groups([""] * len(which), extra_pairs=[(first, second) for first, second, _ in pairs])
    for kind in range(3):
        assert len(set(groups[which[order] == kind])) == 1
    assert len(set(groups)) == 3


def test_a_thousand_copies_are_few_pairs():
    one = np.random.default_rng(0).integers(40, 250, (1, 32, 32)).astype(np.uint8)
    pairs = near_duplicates(np.repeat(one, 1000, 0))
    assert 999 <= len(pairs) <= 17 * 1000


CELLS = ("image", "MEL", "NV", "UNK", "0", "1", "1.0", "a", "b.jpg", "", '"', "NA", "\r", "é", "diagnosis", "nevus")
ROWS = [f"p{i},{i % 2},{1 - i % 2}" for i in range(20)]
LINES = st.lists(st.lists(st.sampled_from(CELLS), max_size=5).map(",".join), max_size=6)
TABLE_BYTES = st.one_of(
    st.binary(max_size=300),
    st.text(st.sampled_from('image,MELNV01\n\r\t;|" .\x1b\x00é\u2028#=')).map(str.encode),
    LINES.map(lambda lines: "\n".join(lines).encode()),
    LINES.map(lambda lines: "\n".join(["image,MEL,NV", *ROWS, *lines]).encode()),
    LINES.map(
        lambda lines: "\n".join(["image,lesion_id,age,sex", *(f"p{i},L{i},50,m" for i in range(20)), *lines]).encode()
    ),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")


@settings(max_examples=int(os.environ.get("LESIONGAN_FUZZ", "60")), deadline=None)
@given(TABLE_BYTES, TABLE_BYTES, st.sampled_from(ENCODINGS))
def test_any_table_is_read_or_refused_in_one_line(fuzz_folder, truth, metadata, encoding):
    with_encoding = truth.decode("utf-8", "replace").encode(encoding, "replace")
    (fuzz_folder / "x_GroundTruth.csv").write_bytes(with_encoding)
    (fuzz_folder / "x_Metadata.csv").write_bytes(metadata)
    before = listing(fuzz_folder.parent)
    try:
        facts = overview.overview(str(fuzz_folder), DataConfig(max_refused=1.0, allow_missing=True), 0, quick=True)
        said = overview.lines(facts)
    except LesionganError as error:
        said = [str(error)]
    assert all(map(is_plain, said))
    assert listing(fuzz_folder.parent) == before


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fuzz") / "data"
    root.mkdir()
    for name in (*"abc", *(f"p{i}" for i in range(20))):
        (root / f"{name}.jpg").write_bytes(picture(0))
    return root


def test_walking_says_what_it_leaves(tmp_path):
    root = folders(tmp_path / "d")
    (root / "NV" / "up").symlink_to("..")
    anomalies: list[Anomaly] = []
    assert len(walk(root, anomalies)) == 6
    assert [anomaly.what for anomaly in anomalies] == ["NV/up"]
