"""On a cluster the cells of a table are tasks of their own; on one machine a single task trains them all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.experiments.table import table_cells
from pipelines import definitions, kubeflow
from pipelines.presets import resolve

CLASSES = ISIC_2019.classes


def compiled(config, experiment: str, folder: Path, group: int) -> tuple[dict, dict[str, dict]]:
    """The compiled pipeline, and its loops by the tasks in them."""
    place = kubeflow.Placement()
    pipeline = definitions.experiment_pipeline(experiment, config, classes=CLASSES, group=group, place=place)
    kubeflow.compile_pipeline(pipeline, folder / "pipeline.yaml")
    spec = next(yaml.safe_load_all((folder / "pipeline.yaml").read_text()))
    loops = {}
    for component in (spec["root"], *spec["components"].values()):
        for task in component.get("dag", {}).get("tasks", {}).values():
            if "parameterIterator" in task:
                for body in spec["components"][task["componentRef"]["name"]]["dag"]["tasks"]:
                    loops[body] = task
    return spec, loops


def items(loop: dict) -> list[dict]:
    """The options of each turn of a loop."""
    return [json.loads(text) for text in json.loads(loop["parameterIterator"]["items"]["raw"])]


@pytest.mark.parametrize("experiment", ["nevus_to_melanoma", "noise_to_lesion"])
def test_each_cell_and_seed_is_a_task_of_its_own_on_a_cluster(tmp_path, experiment):
    config = resolve("paper", here=False, assignments=["grid.seeds=2", "grid.controls=equal_steps,class_weights"])
    spec, loops = compiled(config, experiment, tmp_path, group=1)
    cells = [cell.name for cell in table_cells(experiment, config, CLASSES)]
    turns = items(loops["train-grid-part"])
    assert [(turn["seeds"], turn["cells"]) for turn in turns] == [([s], [c]) for s in (0, 1) for c in cells]
    for loop in (loops["train-grid-part"], loops["train-cyclegan"]):
        assert "iteratorPolicy" not in loop  # no limit of how many run at once
    assert "exec-train-grid" not in spec["deploymentSpec"]["executors"]
    assert "exec-join-grid" in spec["deploymentSpec"]["executors"]


@pytest.mark.parametrize("group", [0, 1])
def test_without_alphas_no_gan_is_trained_and_the_cells_are_those_of_images_made_elsewhere(tmp_path, group):
    options = ["nevus_to_melanoma.alphas=", "grid.synthetic=/x/theirs"]
    config = resolve("small", here=False, assignments=options)
    spec, loops = compiled(config, "nevus_to_melanoma", tmp_path, group=group)
    executors = {name.removeprefix("exec-") for name in spec["deploymentSpec"]["executors"]}
    assert not executors & {"train-cyclegan", "translate-images", "path-rank-filter"}
    assert executors >= {"import-synthetic", "evaluator", "reporter", "infra-validator", "pusher"}
    assert set(loops) == ({"train-grid-part"} if group else set())
    reader = "join-sets" if group else "train-grid"
    assert set(spec["root"]["dag"]["tasks"][reader]["inputs"]["artifacts"]) >= {"imported"}
    cells = [cell.kind for cell in table_cells("nevus_to_melanoma", config, CLASSES)]
    assert cells == ["baseline", *["synthetic"] * len(config.nevus_to_melanoma.amounts)]


def test_cells_that_go_on_from_one_start_stay_together(tmp_path):
    config = resolve("small", here=False)
    _, loops = compiled(config, "nevus_to_melanoma", tmp_path, group=1)
    assert [(turn["seeds"], len(turn["cells"])) for turn in items(loops["train-grid-part"])] == [([0], 5), ([1], 5)]


def test_on_one_machine_all_cells_are_one_task_and_loops_take_turns(tmp_path):
    spec, loops = compiled(resolve("small", here=False), "noise_to_lesion", tmp_path, group=0)
    executors = spec["deploymentSpec"]["executors"]
    assert "exec-train-grid" in executors
    assert "exec-join-grid" not in executors
    assert loops["train-cyclegan"]["iteratorPolicy"] == {"parallelismLimit": 1}
    assert len(items(loops["train-cyclegan"])) == 1


def test_images_made_elsewhere_reach_the_grid_and_the_evaluator(tmp_path):
    config = resolve("small", here=False, assignments=["grid.synthetic=/mnt/a,/mnt/b"])
    for group in (0, 1):
        spec, _ = compiled(config, "nevus_to_melanoma", tmp_path, group=group)
        tasks = spec["root"]["dag"]["tasks"]
        options = json.loads(tasks["import-synthetic"]["inputs"]["parameters"]["options"]["runtimeValue"]["constant"])
        assert (options["synthetic"], options["classes"], options["largest"]) == (["/mnt/a", "/mnt/b"], ["MEL"], 3000)
        for name in ("join-sets" if group else "train-grid", "evaluator"):
            source = tasks[name]["inputs"]["artifacts"]["imported"]["taskOutputArtifact"]
            assert source == {"producerTask": "import-synthetic", "outputArtifactKey": "generated"}
