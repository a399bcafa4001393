"""Provenance in a picture's file, read back here and by exiftool."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from lesiongan import __version__
from lesiongan.base.errors import UsageError
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.serving.picture_files import SUFFIXES, write_picture
from lesiongan.serving.xmp import SOURCE_TYPE, facts_of, packet

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
FACTS = {
    "class": "MEL",
    "seed": 7,
    "generator": "acgan",
    "generator_digest": "ab" * 32,
    "source": 'a "b" <c> & é\n.jpg',
}
EXPECTED = {
    SOURCE_TYPE: DIGITAL_SOURCE_TYPE,
    **{key: str(value) for key, value in FACTS.items()},
    "version": __version__,
}


@pytest.fixture(params=["png", "jpeg"])
def file(request, tmp_path):
    path = tmp_path / f"picture{SUFFIXES[request.param]}"
    write_picture(path, PIXELS, FACTS, form=request.param)
    return path


def test_facts_read_back(file):
    assert facts_of(file) == EXPECTED


@pytest.mark.skipif(not shutil.which("exiftool"), reason="no exiftool here: install Debian's libimage-exiftool-perl")
def test_exiftool_reads_them(file):
    done = subprocess.run(["exiftool", "-json", "-G1", file], capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)
    assert found["XMP-iptcExt:DigitalSourceType"] == DIGITAL_SOURCE_TYPE
    ours = {key.split(":")[1].lower(): value for key, value in found.items() if key.startswith("XMP-lesiongan:")}
    assert ours["class"] == "MEL"
    assert int(ours["seed"]) == 7
    assert ours["generator_digest"] == FACTS["generator_digest"]


def test_a_photograph_says_nothing(tmp_path):
    for name in ("photo.png", "photo.jpg"):
        Image.fromarray(PIXELS).save(tmp_path / name)
        assert facts_of(tmp_path / name) == {}


def test_what_is_no_picture_is_refused_and_a_broken_packet_says_nothing(tmp_path):
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(UsageError, match="not a picture"):
        facts_of(tmp_path / "no.png")
    with pytest.raises(UsageError, match="no such file"):
        facts_of(tmp_path / "nowhere.png")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>' + packet("", {"class": "&b;"})
    for broken in (packet("", FACTS)[:-60].encode(), b"\xff\xfe<", bomb.encode()):
        Image.fromarray(PIXELS).save(tmp_path / "broken.jpg", xmp=broken)
        assert facts_of(tmp_path / "broken.jpg") == {}
