"""What writes files, given the worst names that users and strangers can give: nothing outside of its folder changes."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lesiongan.base.shown import is_plain
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.data import DataConfig
from lesiongan.data import examples
from lesiongan.data.examples_writer import write_generated
from lesiongan.data.ingest import ingest
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.evaluation.predictions import submission
from lesiongan.experiments.amounts import refined_generator
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models
from lesiongan.serving.convert import convert
from lesiongan.serving.export_pictures import Request as Export, export
from lesiongan.serving.generate import Request, generate
from lesiongan.serving.translate import translate_pictures
from lesiongan.steps.push import push
from lesiongan.tables import formats
from lesiongan.tables.layout import Number, Row, Table

UP = "x/../../../../../../../../../../../.."
NAMES = (
    "/etc/x",
    "CON",
    "aux.txt",
    ".",
    "..",
    "~",
    " end. ",
    "=cmd()",
    "mel",
    "MEL",
    "a" * 300,
    "é\u0301",
    "%s{0}",
    "-rf",
)
HOSTILE = (*NAMES, "a\\b", "$(touch y)", "\x1b[2J", "a\rb", "two\nlines", "\u202egpj", '"', "'; --", "#", "nan", "a,b")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A folder with a user's things, and `work` in it, where everything is to be written."""
    (tmp_path / "thesis").mkdir()
    for name in ("thesis/thesis.tex", "x.csv", "mel.png", "images.csv"):
        (tmp_path / name).write_text("years of work", encoding="utf-8")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def untouched(home: Path) -> bool:
    """Whether nothing but `work` has changed, and all that is in it can be listed on a screen."""
    outside = {p.relative_to(home).as_posix() for p in home.rglob("*") if p.relative_to(home).parts[0] != "work"}
    kept = {"thesis", "thesis/thesis.tex", "x.csv", "mel.png", "images.csv"}
    contents = {(home / name).read_text(encoding="utf-8") for name in kept - {"thesis"}}
    return (
        outside == kept and contents == {"years of work"} and all(is_plain(p.name) for p in (home / "work").rglob("*"))
    )


def hostile(home: Path) -> list[str]:
    return [*HOSTILE, f"{UP}{home}/thesis/thesis.tex", f"{UP}{home}/x"]


def pixels(count: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def classes_of(home: Path) -> Taxonomy:
    return Taxonomy.of(name for name in hostile(home) if is_plain(name))


def test_a_source_of_hostile_classes_lesions_and_files(home):
    data = home / "work" / "data"
    data.mkdir()
    names = hostile(home)
    classes = [*names[:2], names[-1]]
    rows = [["image", *classes]]
    lesions = [["image", "lesion_id", "sex"]]
    for i in range(60):
        Image.fromarray(pixels(1)[0]).save(data / f"=p{i}.png")
        rows.append([f"=p{i}", *(int(i % 3 == k) for k in range(3))])
        lesions.append([f"=p{i}", names[i % len(names)], names[(i + 7) % len(names)]])
    for name, lines in (("x_GroundTruth.csv", rows), ("x_Metadata.csv", lesions)):
        with (data / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    config = DataConfig(join_near_duplicates=False, split="by_image")
    ingest(str(data), home / "work" / "examples", config, (16,), 0, log=lambda line: None, workers=1)
    table = examples.read_table(home / "work" / "examples")
    assert len(table) == 60
    assert table.isin(["=p0"]).any().any()  # as it is: other tables know it by this name
    assert set(table["lesion_id"]) > {"=cmd()", "a b", "two lines"}
    assert untouched(home)


def test_sets_of_hostile_ids_and_their_export(home):
    names = hostile(home)
    taxonomy = classes_of(home)
    labels = np.arange(len(names)) % len(taxonomy)
    place = home / "work" / "set"
    extra = pd.DataFrame({"lesion_id": names, "source_id": names})
    write_generated(place, pixels(len(names)), labels, names, names, taxonomy, extra)
    assert len(examples.read_table(place)) == len(names)
    export([place], Export("train", (), 0, 0, "png"), home / "work" / "out")
    made = [path.name.casefold() for path in (home / "work" / "out" / "images").iterdir()]
    assert len(set(made)) == len(names)
    assert untouched(home)


def test_models_of_hostile_classes_and_what_they_make(home):
    taxonomy = classes_of(home)
    work = home / "work"
    acgan = ACGAN(ACGANConfig(size=32, width=0.1), len(taxonomy), seed=0)
    details = {"source": taxonomy.classes[0], "target": taxonomy.classes[-1]}
    saved_models.export(acgan, work / "m" / "acgan", kind="acgan", size=32, taxonomy=taxonomy, details=details)
    done, faults = generate(work / "m" / "acgan", Request((), 1, 0, ()), work / "generated")
    assert done == len(taxonomy)
    assert not faults
    assert len(list((work / "generated").rglob("*.png"))) >= len(taxonomy)
    push(work / "m" / "acgan", work / "pushed")
    convert(work / "m" / "acgan", work / "package", "medigan")
    assert untouched(home)


def test_pictures_of_hostile_names_translated(home):
    work = home / "work"
    cyclegan = CycleGAN(CycleGANConfig(size=32, blocks=1, filters=4, discriminator_filters=4))
    taxonomy = classes_of(home)
    details = {"source": taxonomy.classes[0], "target": taxonomy.classes[-1]}
    saved_models.export(cyclegan, work / "m", kind="cyclegan", size=32, taxonomy=taxonomy, details=details)
    (work / "p").mkdir()
    stream = io.BytesIO()
    Image.fromarray(pixels(1)[0]).save(stream, "PNG")
    names = [
        name for name in HOSTILE if "/" not in name and is_plain(name) and name not in (".", "..") and len(name) < 99
    ]
    for name in names:
        (work / "p" / f"{name}.png").write_bytes(stream.getvalue())
    done, _ = translate_pictures(work / "m", [str(work / "p")], work / "out")
    assert done == len(names)
    assert untouched(home)


def test_tables_of_hostile_labels(home):
    names = hostile(home)
    rows = tuple(Row((name, 1), (Number(0.5, 0.4, 0.6),)) for name in names)
    caption = "a caption\n\nof {two} $paragraphs$ \\input{/etc/passwd}"
    table = Table(name="t", caption=caption, heads={"a": names[0], "b": "n"}, columns={"v": names[-1]}, rows=rows)
    formats.write([table], home / "work" / "tables")
    tex = (home / "work" / "tables" / "t.tex").read_text(encoding="utf-8")
    body = tex.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert len([line for line in body.splitlines() if line.endswith(r"\\")]) >= len(names)
    assert "\n\n" not in tex
    assert r"\input{" not in tex
    assert untouched(home)


def test_predictions_and_names_of_generators(home):
    names = [name for name in hostile(home) if is_plain(name)]
    text = submission(names, np.full((len(names), 2), 0.5), ("=1+1", "NV"))
    read = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert read["image"].tolist() == names
    for name in hostile(home):
        place = Path(os.path.normpath(home / "work" / refined_generator(name)))
        assert place.parent == home / "work"
