"""What a run on a cluster is said to take, against the plan for one machine and the compiled pipeline."""

from __future__ import annotations

import pytest

from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.experiments.table import table_cells
from pipelines import cluster_plan, definitions, plan
from pipelines.cluster_plan import Stage
from pipelines.cluster_profile import ClusterProfile, GPUProfile
from pipelines.costs import COMPILATION, Measured, works
from pipelines.plan import Counts
from pipelines.presets import resolve

CLASSES = ISIC_2019.classes
COUNTS = Counts(dict.fromkeys(CLASSES, 1000), dict.fromkeys(CLASSES, 100), 2000, 10_000)
EXPERIMENTS = ("nevus_to_melanoma", "noise_to_lesion")


def of(experiment: str, *assignments: str, at_once: int = 0, preset: str = "paper"):
    config = resolve(preset, here=False, assignments=assignments)
    pipeline = definitions.experiment_pipeline(experiment, config, classes=CLASSES, group=1, at_once=at_once)
    return config, pipeline


def a_second_each(config):
    """A measured step of each network that takes a second."""
    return "a clock", {name: Measured(work.multiply_adds, 1.0) for name, work in works(config).items()}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("warm_start", ["false", "true"])
def test_trainings_take_together_what_they_take_on_one_machine(experiment, warm_start):
    config, pipeline = of(experiment, "grid.seeds=3", f"grid.warm_start={warm_start}")
    cells = table_cells(experiment, config, CLASSES)
    stages = cluster_plan.trained_together(experiment, config, COUNTS, cells, 0, a_second_each(config))
    steps = sum(part.steps for part in plan.trainings(experiment, config, COUNTS, cells))
    found = cluster_plan.tasks(pipeline)
    # each task compiles once: the classifiers of the table, the CycleGANs, and what is trained before them
    classifiers, cyclegans = found["train-grid-part"] + 1, found["train-cyclegan"]
    compiled = classifiers * COMPILATION["classifier"] + cyclegans * COMPILATION["cyclegan"]
    compiled += COMPILATION["acgan"] if experiment == "noise_to_lesion" else 0
    assert sum(sum(stage.seconds) for stage in stages) == pytest.approx(steps + compiled, abs=cyclegans)


def test_a_loop_is_counted_by_its_turns():
    config, pipeline = of("nevus_to_melanoma", "nevus_to_melanoma.alphas=0.5,1", "grid.seeds=2", "grid.controls=")
    found = cluster_plan.tasks(pipeline)
    assert (found["train-cyclegan"], found["translate-images"], found["example-gen"]) == (2, 2, 1)
    assert found["train-grid-part"] == 2 * len(table_cells("nevus_to_melanoma", config, CLASSES))


@pytest.mark.parametrize(
    ("seconds", "limit", "longest"),
    [
        ((3.0, 2.0, 1.0), 0, 3.0),
        ((3.0, 2.0, 1.0), 1, 6.0),
        ((3.0, 2.0, 1.0), 2, 3.0),
        ((1.0,) * 5, 2, 3.0),
        ((4.0,), 9, 4.0),
    ],
)
def test_how_long_a_stage_takes(seconds, limit, longest):
    assert Stage(seconds, limit).longest == longest


def test_the_lines_say_gpus_and_hours_of_all_of_them():
    config, pipeline = of("noise_to_lesion", at_once=4)
    two = ClusterProfile(at_once=4, gpu=GPUProfile(train=2))
    text = [
        "\n".join(cluster_plan.lines("noise_to_lesion", config, COUNTS, profile, pipeline, a_second_each(config)))
        for profile in (two, ClusterProfile(at_once=4, gpu=GPUProfile(train=0)))
    ]
    assert "up to 4 trainings side by side, each with 2 GPUs" in text[0]
    assert "GPU hours of training" in text[0]
    assert "as on a clock" in text[0]
    assert "each with 0 GPUs" in text[1]
    assert "GPU hours" not in text[1]
