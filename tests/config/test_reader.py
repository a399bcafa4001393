from __future__ import annotations

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.config.reader import assign, from_json, to_json, update
from lesiongan.config.run import Config
from pipelines.presets import PRESETS, resolve


def test_values_are_parsed_by_the_options_type():
    config = assign(Config(), "cyclegan.images=2_000")
    config = assign(config, "nevus_to_melanoma.alphas=1/8,0.5")
    config = assign(config, "data.allow_missing=true")
    config = assign(config, "noise_to_lesion.classes=MEL,DF")
    assert config.cyclegan.images == 2000
    assert config.nevus_to_melanoma.alphas == (0.125, 0.5)
    assert config.data.allow_missing is True
    assert config.noise_to_lesion.classes == ("MEL", "DF")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("cyclegan.imagse=3", "unknown option 'cyclegan.imagse'"),
        ("cycle.images=3", "unknown option 'cycle'"),
        ("cyclegan.images=many", "not of type int"),
        ("cyclegan.images=2.5", "not of type int"),
        ("cyclegan.learning_rate=nan", "not of type float"),
        ("nevus_to_melanoma.alphas=1/0", "not of type float"),
        ("cyclegan.upsampling=nearest", "none of transposed, resize"),
        ("cyclegan=3", "a group of options"),
        ("cyclegan.images", "key=value"),
        ("data.allow_missing=maybe", "not of type bool"),
    ],
)
def test_wrong_options_are_one_clear_line(assignment, said):
    with pytest.raises(UsageError, match=said) as caught:
        assign(Config(), assignment)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_survives_json(name):
    config = resolve(name)
    assert from_json(Config, to_json(config)) == config


def test_a_file_and_then_assignments_change_a_preset(tmp_path):
    file = tmp_path / "options.toml"
    file.write_text("[cyclegan]\nimages = 7\nidentity = 0.25\n")
    config = resolve("demo", config_file=str(file), assignments=["cyclegan.images=8"])
    assert (config.cyclegan.images, config.cyclegan.identity) == (8, 0.25)
    file.write_text("[cyclegan\n")
    with pytest.raises(UsageError, match="not TOML"):
        resolve("demo", config_file=str(file))
    with pytest.raises(UsageError, match="No such file"):
        resolve("demo", config_file=str(tmp_path / "none.toml"))


def test_files_that_options_name_get_their_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("image,split\n")
    assignments = ["data.split=mine.csv", "data.further_tests=a,b"]
    config = resolve("demo", assignments=assignments)
    assert config.data.split == str(tmp_path / "mine.csv")
    assert config.data.further_tests == (str(tmp_path / "a"), str(tmp_path / "b"))
    for option in ("data.split=by_patient", "data.diagnoses=gone.csv"):
        with pytest.raises(UsageError, match="there is no file"):
            resolve("demo", assignments=[option])
    # for a cluster, whose files are elsewhere
    assert resolve("demo", assignments=["data.split=/mnt/split.csv"], here=False).data.split == "/mnt/split.csv"


def test_the_paper_preset_is_the_paper():
    config = resolve("paper")
    assert config.recipe == "paper"
    assert (config.acgan.size, config.cyclegan.size, config.classifier.size) == (128, 256, 224)
    assert config.data.split == "by_image"
    assert config.cyclegan.identity == 0.0  # the paper's printed objective has none
    assert config.cyclegan.upsampling == "transposed"
    assert config.noise_to_lesion.with_validation
    assert not config.acgan.aux_on_fake
    # Tables 2 and 3: 11 and 32 classifiers
    assert 1 + 2 * len(config.noise_to_lesion.amounts) == 11
    assert len(config.nevus_to_melanoma.alphas) * len(config.nevus_to_melanoma.amounts) == 32


@pytest.mark.parametrize(
    "assignment",
    [
        "acgan.size=48",
        "nevus_to_melanoma.alphas=1.5",
        "nevus_to_melanoma.amounts=0",
        "grid.seeds=0",
        "data.test=0.95",
        "cyclegan.size=30",
    ],
)
def test_values_that_cannot_work_are_refused(assignment):
    with pytest.raises(UsageError):
        resolve("demo", assignments=[assignment])


def test_update_leaves_the_original_alone():
    config = Config()
    assert update(config, {"cyclegan": {"images": 5}}).cyclegan.images == 5
    assert config == Config()
