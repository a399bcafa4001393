"""`generate`: the pictures are the model's, the folder says what they are, and a stopped one goes on."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.generated_folder import NOTICE
from lesiongan.data.overview import lines, overview
from lesiongan.data.sources import open_source
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.serving import model_artifact, saved_models
from lesiongan.serving.generate import Request, generate
from lesiongan.serving.picture_files import write_picture
from lesiongan.serving.xmp import SOURCE_TYPE, facts_of
from lesiongan.steps.push import push
from pipelines import inspect_command


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_pictures_are_those_of_the_model_and_tables_say_what_they_are(models, tmp_path):
    out = tmp_path / "out"
    assert generate(models / "acgan", Request(("MEL", "BCC"), 3, seed=5), out) == (6, [])
    served = saved_models.load(models / "acgan")
    with (out / "ground_truth.csv").open() as file:
        truth = list(csv.DictReader(file))
    with (out / "provenance.csv").open() as file:
        provenance = list(csv.DictReader(file))
    assert [row["image"] for row in truth] == [row["image"] for row in provenance]
    for row, origin in zip(truth, provenance, strict=True):
        label = [float(row[name]) for name in ISIC_2019.classes].index(1.0)
        assert sum(float(row[name]) for name in ISIC_2019.classes) == 1.0
        assert ISIC_2019.classes[label] == origin["intended"]
        with Image.open(out / "images" / f"{row['image']}.png") as picture:
            expected = served.sample(np.array([label]), np.array([int(origin["seed"])]))[0]
            assert np.abs(np.asarray(picture).astype(int) - expected).max() <= 1
            assert picture.text["lesiongan:class"] == origin["intended"]
            assert DIGITAL_SOURCE_TYPE in picture.text["XML:com.adobe.xmp"]
        assert origin["generator_digest"] == served.record["digest"]
    assert [origin["seed"] for origin in provenance] == ["5", "6", "7"] * 2
    assert (out / "contact_sheet.png").is_file()


def test_the_folder_is_a_source_of_its_classes(models, tmp_path):
    out = tmp_path / "out"
    generate(models / "acgan", Request((), 3), out)
    source = open_source(str(out), DataConfig(), 0)
    rows = source.rows
    assert (len(rows), source.origin, source.anomalies) == (24, "generated", ())
    assert NOTICE in lines(overview(str(out), DataConfig(), 0, quick=True))
    assert (rows["location"] != "").all()
    np.testing.assert_array_equal(np.bincount(rows["label"]), [3] * 8)


def test_a_stopped_one_goes_on_to_the_same_bytes_and_makes_nothing_twice(models, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    generate(models / "acgan", Request(("NV",), 70), whole)
    generate(models / "acgan", Request(("NV",), 70), stopped)
    for number in (3, 64, 69):
        (stopped / "images" / f"NV_{number:010d}.png").unlink()
    kept = (stopped / "images" / "NV_0000000001.png").stat().st_mtime_ns
    generate(models / "acgan", Request(("NV",), 70), stopped)
    assert digests(whole) == digests(stopped)
    assert (stopped / "images" / "NV_0000000001.png").stat().st_mtime_ns == kept
    assert generate(models / "acgan", Request(("NV",), 72), stopped)[0] == 72  # more of the same


def test_pictures_of_others(models, tmp_path):
    nevi = tmp_path / "nevi"
    nevi.mkdir()
    for name in ("a", "b"):
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(nevi / f"{name}.png")
    (nevi / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "out"
    done, faults = generate(models / "cyclegan", Request((), 0, source=(str(nevi),)), out)
    assert done == 2
    assert [fault for fault in faults if "broken.jpg" in fault] == faults != []
    with (out / "provenance.csv").open() as file:
        assert {row["source"]: row["intended"] for row in csv.DictReader(file)} == {
            str(nevi / "a.png"): "MEL",
            str(nevi / "b.png"): "MEL",
        }


@pytest.mark.parametrize(
    ("kind", "request_", "line"),
    [
        ("acgan", Request(("LENTIGO",), 1), r"--class LENTIGO: .* does not know it; it knows MEL, NV"),
        ("acgan", Request((), 1, source=("a.png",)), r"makes pictures from noise and takes none"),
        ("cyclegan", Request((), 1), r"say of which with --from"),
        ("cyclegan", Request(("NV",), 1, source=("a.png",)), r"makes MEL; leave --class out"),
        ("classifier", Request((), 1), r"a classifier makes no pictures"),
    ],
)
def test_what_a_model_cannot_do_is_refused_and_leaves_nothing(models, tmp_path, kind, request_, line):
    with pytest.raises(UsageError, match=line):
        generate(models / kind, request_, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_request_does_not_mix_with_what_is_there(models, tmp_path):
    out = tmp_path / "out"
    generate(models / "acgan", Request(("MEL",), 2), out)
    before = digests(out)
    for request in (Request(("MEL",), 2, seed=1), Request(("NV",), 2), Request(("MEL",), 1)):
        with pytest.raises(UsageError, match="another request"):
            generate(models / "acgan", request, out)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        generate(models / "acgan", Request(("MEL",), 1), tmp_path / "own")
    assert digests(out) == before


def test_a_pushed_model_is_found_by_its_name_and_version(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push(models / "acgan", tmp_path / "saved_models" / "lesions")
    assert model_artifact.find("lesions", "acgan").resolve() == tmp_path / "saved_models" / "lesions" / "1"
    assert model_artifact.find("lesions:1").resolve() == tmp_path / "saved_models" / "lesions" / "1"
    with pytest.raises(UsageError, match=r"has no version 7; it has 1"):
        model_artifact.find("lesions:7")
    with pytest.raises(UsageError, match=r"no such folder, and no such model in saved_models"):
        model_artifact.find("lentigo")
    monkeypatch.setenv("LESIONGAN_MODELS", str(tmp_path / "saved_models"))
    monkeypatch.chdir(models)
    assert model_artifact.find("lesions").name == "1"


def test_a_picture_says_how_it_was_made_and_the_model_makes_it_again(models, tmp_path, capsys):
    generate(models / "acgan", Request(("MEL",), 2, seed=5), tmp_path / "out")
    first, second = sorted((tmp_path / "out" / "images").glob("*.png"))
    pixels = np.asarray(Image.open(second)).copy()
    pixels[0, 0] ^= 64
    write_picture(second, pixels, {key: value for key, value in facts_of(second).items() if key != SOURCE_TYPE})
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    parser = argparse.ArgumentParser()
    inspect_command.add(parser.add_subparsers())
    words = ["inspect", first, second, tmp_path / "photo.png", "--json", "--again", models / "acgan"]
    arguments = parser.parse_args([str(word) for word in words])
    assert arguments.run(arguments) == 0
    same, changed, photo = json.loads(capsys.readouterr().out)
    digest = model_artifact.describe(models / "acgan")["digest"]
    assert (same["class"], same["seed"], same["generator_digest"]) == ("MEL", "5", digest)
    assert same["again"] == "the model makes the same picture again"
    assert changed["again"] == "differs from what the model makes, by up to 64 grey levels"
    assert set(photo) == {"picture", "again"}
