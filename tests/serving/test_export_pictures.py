"""`export`: the files hold the pixels of the Examples, their tables make a source, and ids lead nowhere."""

from __future__ import annotations

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import examples, examples_writer, generated
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE, Generated
from lesiongan.data.generated_folder import DRAWN_SOURCE_TYPE, is_generated
from lesiongan.data.pictures import encode_png
from lesiongan.data.sources import open_source
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy
from lesiongan.serving.export_pictures import Request, export, sets_in

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)


@pytest.fixture
def made(tmp_path):
    """A folder of one generated set: 4 melanomas of nevi, then 3 basal cell carcinomas."""
    made = Generated(PIXELS, np.array([0] * 4 + [2] * 3, np.int32), np.arange(7) + 2**40, ("NEVUS_1", "", *"abcde"))
    model = {"name": "alpha-0.5", "digest": "d" * 64, "guided_by": "e" * 64, "taxonomy": ISIC_2019.to_dict()}
    generated.write(tmp_path / "generated" / "alpha-0.5", made, model, [32, 40], 0.5)
    return tmp_path / "generated"


def real(directory, ids, origin="real", labels=None):
    """Examples of one 40 px picture per id, in `train`."""
    taxonomy = Taxonomy.of(["NV", "MEL"])
    with examples_writer.writing(directory, (40,), taxonomy) as writer:
        for i, image_id in enumerate(ids):
            row = {"image_id": image_id, "split": "train", "origin": origin, "lesion_id": f"L{i // 2}", "sex": "female"}
            writer.add(row, i % 2, {40: encode_png(PIXELS[i])})
        writer.close({"source": "here", "kind": "here", "phantom": origin == "phantom"}, ())
    return directory


def table(path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_generated_pictures_keep_pixels_and_provenance(made, tmp_path):
    out = tmp_path / "out"
    assert export(sets_in(made), Request(), out) == {"alpha-0.5": 7}
    written = examples.read_table(made / "alpha-0.5").to_dict("records")
    provenance, truth = table(out / "provenance.csv"), table(out / "ground_truth.csv")
    assert [row["image"] for row in truth] == [row["image_id"] for row in written]
    for pixels, row, origin, one_hot in zip(PIXELS, written, provenance, truth, strict=True):
        assert [name for name in ISIC_2019.classes if float(one_hot[name])] == [row["label"]] == [origin["intended"]]
        assert (origin["source"], int(origin["seed"]), float(origin["alpha"])) == (row["source_id"], row["seed"], 0.5)
        assert (origin["generator"], origin["generator_digest"]) == ("alpha-0.5", "d" * 64)
        assert origin["guided_by"] == "e" * 64
        assert origin["digital_source_type"] == DIGITAL_SOURCE_TYPE
        with Image.open(out / "images" / f"{origin['image']}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), pixels)
            assert picture.text["lesiongan:seed"] == origin["seed"]
            assert picture.text["lesiongan:guided_by"] == origin["guided_by"]
            assert DIGITAL_SOURCE_TYPE in picture.text["XML:com.adobe.xmp"]
            assert "synthetic" in picture.text["Description"]
    source = open_source(str(out), DataConfig(), 0)
    assert (source.origin, len(source.rows), (source.rows["location"] != "").all()) == ("generated", 7, True)
    assert {anomaly.why for anomaly in source.anomalies} == {"the class has no rows"}
    assert (out / "contact_sheet.png").is_file()


def test_what_is_asked_for(made, tmp_path):
    request = Request(classes=("BCC",), count=2, size=32, form="jpeg")
    assert export(sets_in(made), request, tmp_path / "out") == {"alpha-0.5": 2}
    expected = examples.load(made / "alpha-0.5", 32, "train").images[4:6]
    for row, pixels in zip(table(tmp_path / "out" / "ground_truth.csv"), expected, strict=True):
        path = tmp_path / "out" / "images" / f"{row['image']}.jpg"
        with Image.open(path) as picture:
            assert np.abs(np.asarray(picture).astype(int) - pixels).mean() < 6  # noise, as JPEG keeps it
            assert b"lesiongan:generator: alpha-0.5" in picture.info["comment"]
            assert DIGITAL_SOURCE_TYPE.encode() in picture.info["xmp"]


def test_a_stopped_one_goes_on_and_other_things_are_left_alone(made, tmp_path):
    out = tmp_path / "out"
    export(sets_in(made), Request(), out)
    before = digests(out)
    names = sorted((out / "images").iterdir())
    kept = names[0].stat().st_mtime_ns
    names[3].unlink()
    (out / "ground_truth.csv").unlink()
    export(sets_in(made), Request(), out)
    assert (digests(out), names[0].stat().st_mtime_ns) == (before, kept)
    for request, place in ((Request(form="jpeg"), out), (Request(), made.parent)):
        with pytest.raises(UsageError, match=r"another request|not empty|within the other"):
            export(sets_in(made), request, place)
    assert digests(out) == before


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(classes=("XX",)), "no class 'XX'"),
        (Request(classes=("NV",)), "no image of what is asked for; there are train BCC 3, train MEL 4"),
        (Request(split="test"), "no image of what is asked for"),
        (Request(split="tset"), "no split 'tset'"),
        (Request(size=33), "no images of 33 px"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_written(made, tmp_path, request_, said):
    with pytest.raises(UsageError, match=said):
        export(sets_in(made), request_, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ids_lead_nowhere_and_every_row_keeps_its_own_picture(tmp_path):
    ids = ["../../../up", "/etc/x", "a/b.png", "A_B", ".hidden", "病" * 300, "x.jpg"]
    out = tmp_path / "deep" / "out"
    export([real(tmp_path / "examples", ids)], Request(), out)
    files = [p for p in tmp_path.rglob("*") if p.is_file() and tmp_path / "examples" not in p.parents]
    assert {p.parent for p in files} <= {out, out / "images"}
    source = open_source(str(out), DataConfig(), 0)
    assert (source.origin, source.anomalies) == ("real", ())
    names = {row["original_id"] or row["image"]: row["image"] for row in table(out / "metadata.csv")}
    location = dict(zip(source.rows["image_id"], source.rows["location"], strict=True))
    for i, image_id in enumerate(ids):
        row = source.rows[source.rows["image_id"] == names[image_id]].iloc[0]
        assert source.taxonomy.classes[row["label"]] == ("NV", "MEL")[i % 2]
        assert (row["lesion_id"], row["sex"]) == (f"L{i // 2}", "female")
        with Image.open(out / location[names[image_id]]) as picture:
            np.testing.assert_array_equal(np.asarray(picture), PIXELS[i])
            assert not picture.info  # a photograph: nothing is said of it


def test_phantoms_are_no_photographs_in_files_either(tmp_path):
    export([real(tmp_path / "examples", ["P1", "P2"], origin="phantom")], Request(), tmp_path / "out")
    assert is_generated(tmp_path / "out")
    with Image.open(tmp_path / "out" / "images" / "P1.png") as picture:
        assert DRAWN_SOURCE_TYPE in picture.text["XML:com.adobe.xmp"]
        assert "trained" not in picture.text["Description"]
