"""Which step waits for which, as the compiled pipelines say."""

from __future__ import annotations

import pytest

from pipelines import definitions
from pipelines.presets import resolve

CLASSES = ("MEL", "NV", "BCC")


def tasks(name: str, *assignments: str) -> dict[str, dict]:
    """All tasks of a pipeline by name, those within the loop too."""
    config = resolve("demo", assignments=assignments)
    spec = definitions.experiment_pipeline(name.replace("-", "_"), config, classes=CLASSES).pipeline_spec
    found = dict(spec.root.dag.tasks)
    for component in spec.components.values():
        found |= component.dag.tasks
    return found


def judge_of(task) -> str:
    """Where a task's judge comes from: the inputs of loops are named after the task and its output."""
    given = task.inputs.artifacts["judge"]
    return given.component_input_artifact or given.task_output_artifact.producer_task


@pytest.mark.parametrize("pipeline", ["nevus-to-melanoma", "noise-to-lesion"])
@pytest.mark.parametrize("option", ["export=best", "patience=3", "measure_every_images=1000", "guidance=0.5"])
def test_a_cyclegan_that_is_measured_or_guided_has_the_classifier_as_judge(pipeline, option):
    found = tasks(pipeline, "cyclegan.export=last", "acgan.export=last", f"cyclegan.{option}")
    assert "train-classifier" in judge_of(found["train-cyclegan"])
    if pipeline == "noise-to-lesion":
        assert "judge" not in found["train-acgan"].inputs.artifacts


@pytest.mark.parametrize("option", ["export=best", "patience=3", "measure_every_images=1000", "guidance=0.5"])
def test_an_acgan_that_is_measured_or_guided_waits_for_the_classifier(option):
    found = tasks("noise-to-lesion", "cyclegan.export=last", "acgan.export=last", f"acgan.{option}")
    assert judge_of(found["train-acgan"]) == "train-classifier"
    assert "train-classifier" in found["train-acgan"].dependent_tasks
    assert "judge" not in found["train-cyclegan"].inputs.artifacts


def test_otherwise_no_gan_depends_on_the_classifier():
    off = [f"{gan}.{option}" for gan in ("acgan", "cyclegan") for option in ("export=last", "patience=0")]
    off += ["acgan.measure_every_images=0", "cyclegan.measure_every_images=0"]
    found = tasks("noise-to-lesion", *off)
    assert "train-classifier" not in found["train-acgan"].dependent_tasks
    for name in ("train-acgan", "train-cyclegan"):
        assert "judge" not in found[name].inputs.artifacts
    assert "judge" not in tasks("nevus-to-melanoma", *off)["train-cyclegan"].inputs.artifacts


def test_guidance_changes_the_options_of_the_step_that_it_guides_and_no_others():
    def options(*assignments: str) -> dict[str, str]:
        """Of the tasks whose options are no loop's."""
        found = {
            name: task.inputs.parameters["options"]
            for name, task in tasks("noise-to-lesion", *assignments).items()
            if "options" in task.inputs.parameters
        }
        return {name: str(value.runtime_value.constant) for name, value in found.items()}

    plain, off, on = options(), options("acgan.guidance=0"), options("acgan.guidance=0.5")
    assert plain == off
    # the report shows the whole configuration
    assert {name for name in plain if plain[name] != on[name]} == {"train-acgan", "reporter"}
