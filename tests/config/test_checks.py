"""Each group of options refuses what cannot work, in one line that names the option, and takes what can."""

from __future__ import annotations

import pytest

from lesiongan.base.errors import UsageError
from lesiongan.config.reader import assign
from lesiongan.config.run import Config


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        ("data.test=0.95", "both must be above 0 and together below 1"),
        ("data.by_source=HAM", "option 'data.by_source': give two beginnings"),
        ("data.resize=stretch", "'data.resize': 'stretch' is none of squash, crop, pad"),
        ("data.max_unusable=1.5", "'data.max_unusable': 1.5 is not from 0.0 to 1.0"),
        ("classifier.batch=0", "'classifier.batch': 0 is less than 1"),
        ("classifier.width=0", "'classifier.width': 0.0 is not positive"),
        ("classifier.backbone=efficientnet_lite0 classifier.stem=small", "small is for resnet50"),
        ("acgan.size=48", "'acgan.size': 48 is none of 32, 64, 128, 256"),
        ("acgan.ema=1", "'acgan.ema': 1.0 is not 0 or more and less than 1"),
        ("acgan.ada_target=0.6", "set acgan.augment=true too"),
        ("acgan.loss=hinge acgan.label_smoothing=0.1", "the hinge loss has no target"),
        ("acgan.r1=-1", "'acgan.r1': -1.0 is less than 0"),
        ("acgan.guidance=-1", "'acgan.guidance': -1.0 is less than 0"),
        ("acgan.guidance=1 acgan.export=best", "set acgan.export=last and acgan.patience=0"),
        ("cyclegan.guidance=1 cyclegan.patience=3", "set cyclegan.export=last and cyclegan.patience=0"),
        ("cyclegan.size=30", "'cyclegan.size': 30 is not a multiple of 4 from 32 on"),
        ("cyclegan.size=64 cyclegan.discriminator_scales=3", "would have 16 pixels and need 32"),
        ("cyclegan.batch=3 cyclegan.accumulate=2", "'cyclegan.batch': 3 is not a multiple"),
        ("nevus_to_melanoma.alphas=1.5", "1.5 is not above 0 and at most 1"),
        ("nevus_to_melanoma.alphas=", "without an alpha no CycleGAN makes images"),
        ("nevus_to_melanoma.alphas=0.5,0.5", "a value stands in it twice: 0.5, 0.5"),
        ("nevus_to_melanoma.amounts=0", "give at least one positive number"),
        ("nevus_to_melanoma.target=NV", "are the same class"),
        ("noise_to_lesion.amounts=,", "give at least one positive number"),
        ("noise_to_lesion.classes=MEL,MEL", "a value stands in it twice"),
        ("grid.seeds=0", "'grid.seeds': 0 is less than 1"),
        ("grid.synthetic=/a/x,/b/x", "two sources are called 'x'"),
        ("grid.controls=equal_steps", "is the baseline itself"),
        ("grid.controls=none_such", "'none_such' is none of equal_steps, oversampling"),
        ("evaluation.confidence=1", "'evaluation.confidence': 1.0 is not between 0 and 1"),
        ("grid.controls=class_weights classifier.class_balance=loss", "set that to none"),
    ],
)
def test_what_cannot_work_is_refused(assignments, said):
    with pytest.raises(UsageError, match=said) as refusal:
        assign(Config(), *assignments.split())
    assert "\n" not in str(refusal.value)


def test_values_that_only_fit_together_can_come_in_any_order():
    first, second = "grid.controls=equal_steps", "grid.budget=equal_epochs"
    assert assign(Config(), first, second) == assign(Config(), second, first)
    unbalanced = assign(Config(), "classifier.class_balance=loss")
    config = assign(unbalanced, "grid.controls=class_weights", "classifier.class_balance=none")
    assert config.grid.controls == ("class_weights",)


def test_a_files_group_and_an_assignment_meet_before_they_are_checked(tmp_path):
    file = tmp_path / "options.toml"
    file.write_text("[cyclegan]\nsize = 64\ndiscriminator_scales = 3\n")
    with pytest.raises(UsageError, match="discriminator_scales"):
        assign(Config(), file=file)
    assert assign(Config(), "cyclegan.size=128", file=file).cyclegan.discriminator_scales == 3
