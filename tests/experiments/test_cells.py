"""The tables of the experiments: which cells, which controls, which shares."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import lesiongan
from lesiongan.base.errors import UsageError
from lesiongan.config.experiments import ExperimentConfig, NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.config.grid import GridConfig
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.experiments.amounts import nested_order, spread
from lesiongan.experiments.cells import Cell, experiment_cells, parts, share, target_classes
from lesiongan.experiments.table import table_cells
from pipelines.presets import resolve

CLASSES = ISIC_2019.classes
PACKAGE = Path(lesiongan.__file__).parent


def configured(*assignments: str) -> Config:
    return assign(Config(), *assignments)


def cells_of(experiment: ExperimentConfig) -> list[Cell]:
    return experiment_cells(experiment, GridConfig(), CLASSES)


def controls(experiment: str, config: Config) -> list[str]:
    return [cell.name for cell in table_cells(experiment, config, CLASSES) if cell.kind == "control"]


def rows_of(table: str) -> list[dict[str, str]]:
    with next(PACKAGE.rglob(table)).open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_the_papers_tables_have_11_and_32_classifiers():
    assert len(cells_of(NoiseToLesionConfig())) == 11  # Table 2, ISIC-0 among them
    assert len(cells_of(NevusToMelanomaConfig())) == 1 + 32  # Table 3, the baseline beside it


def test_the_paper_preset_has_one_more_baseline_of_equal_steps():
    for experiment in ("nevus_to_melanoma", "noise_to_lesion"):
        assert controls(experiment, resolve("paper")) == ["real only, equal steps"]


def test_shares_are_those_of_the_papers_tables():
    counts = {row["class"]: int(row["train"]) for row in rows_of("table1.csv")}
    noise, pair = NoiseToLesionConfig(), NevusToMelanomaConfig()
    assert sum(counts.values()) == 20264
    assert counts["NV"] + counts["MEL"] == 13918
    for experiment, total in ((noise, 20264), (pair, 13918)):
        for cell in cells_of(experiment)[1:]:
            assert share(cell, experiment, counts) == pytest.approx(cell.amount / (total + cell.amount))
    # the labels of Table 2 as they are printed, e.g. acgan-0.441
    labels = {f"{float(row['model'].partition('-')[2]):.3f}" for row in rows_of("table2.csv")[1:]}
    assert {f"{share(cell, noise, counts):.3f}" for cell in cells_of(noise)[1:]} == labels
    printed = {int(row["synthetic_images"]): float(row["synthetic_share"]) for row in rows_of("table3.csv")}
    for cell in cells_of(pair)[1:]:
        assert share(cell, pair, counts) == pytest.approx(printed[cell.amount], abs=5e-4)
    assert share(cells_of(pair)[0], pair, counts) is None


def test_another_pair_of_classes_is_an_option():
    config = configured("nevus_to_melanoma.source=BKL", "nevus_to_melanoma.target=BCC", "nevus_to_melanoma.alphas=0.3")
    cells = table_cells("nevus_to_melanoma", config, CLASSES)[1:]
    assert {cell.classes for cell in cells} == {("BCC",)}
    assert {cell.generators for cell in cells} == {("alpha-0.3",)}
    counts = {"BKL": 200, "BCC": 300, "MEL": 1000}
    first = share(cells[0], config.nevus_to_melanoma, counts)
    assert first == pytest.approx(500 / (500 + 500))
    assert target_classes(config.noise_to_lesion, ("A", "B")) == ("A", "B")


def test_every_cell_of_every_kind_has_a_file_name_of_its_own():
    config = configured(
        "grid.controls=equal_steps,oversampling,class_weights,augmentation,synthetic_only,acgan_resolution",
        "grid.budget=equal_epochs",
        "grid.synthetic=/somewhere/theirs,/elsewhere/ours",
    )
    for experiment in ("nevus_to_melanoma", "noise_to_lesion"):
        cells = table_cells(experiment, config, CLASSES)
        assert len({cell.slug for cell in cells}) == len({cell.name for cell in cells}) == len(cells)


def test_images_made_elsewhere_get_the_same_amounts_and_controls():
    config = configured(
        "grid.synthetic=/x/diffusion model", "noise_to_lesion.amounts=10,20", "grid.controls=synthetic_only"
    )
    cells = {cell.name: cell for cell in table_cells("noise_to_lesion", config, CLASSES)}
    theirs = [cells[f"diffusion-model + {amount}"] for amount in (10, 20)]
    assert [(cell.kind, cell.amount, cell.generators) for cell in theirs] == [
        ("synthetic", amount, ("synthetic-diffusion-model",)) for amount in (10, 20)
    ]
    ours = cells["acgan + 20"]
    assert theirs[1].classes == ours.classes == CLASSES
    assert [name for name in cells if name.startswith("synthetic only")] == [
        "synthetic only: acgan + 20", "synthetic only: cyclegan + 20", "synthetic only: diffusion-model + 20",
    ]  # fmt: skip


def test_two_folders_of_one_name_are_refused():
    GridConfig(synthetic=("/a/x", "/b/y"))
    with pytest.raises(UsageError, match="called 'x'"):
        GridConfig(synthetic=("/a/x", "/b/x"))


def test_controls_are_counted_apart_and_take_the_steps_of_what_they_stand_beside():
    config = configured(
        "grid.controls=oversampling,class_weights,augmentation,equal_steps",
        "grid.budget=equal_epochs",
        "noise_to_lesion.amounts=10,40",
    )
    cells = {c.name: c for c in table_cells("noise_to_lesion", config, CLASSES) if c.kind == "control"}
    steps = {name: (cell.amount, cell.counted) for name, cell in cells.items()}
    assert steps == {
        "real only, equal steps": (0, 40),
        "oversampling + 10": (10, 10),
        "oversampling + 40": (40, 40),
        "class weights": (0, 40),
        "augmentation": (0, 40),
    }
    with pytest.raises(UsageError, match="equal_steps is the baseline itself"):
        assign(config, "grid.budget=equal_steps")


def test_the_acgans_resolution_is_a_control_of_its_cells_only_where_it_is_lower():
    config = configured("grid.controls=acgan_resolution", "acgan.size=64", "noise_to_lesion.amounts=8,16")
    names = ["real only at 64 px", "acgan + 8 at 64 px", "acgan + 16 at 64 px"]
    assert controls("noise_to_lesion", config) == names
    cells = table_cells("noise_to_lesion", config, CLASSES)
    assert {cell.resolution for cell in cells if cell.name in names} == {64}
    assert controls("noise_to_lesion", assign(config, "classifier.size=64")) == []
    assert controls("nevus_to_melanoma", config) == []


def test_amounts_are_spread_equally_over_classes():
    assert spread(2000, [5] * 8) == [250] * 8
    assert spread(10, [1, 1, 1, 1]) == [3, 3, 2, 2]


def test_amounts_in_proportion_and_levelling():
    assert spread(100, [30, 20, 50], "proportional") == [30, 20, 50]
    # 10, 4 and 2 images: six more make it 10, 6, 6, eight more 10, 7, 7
    assert spread(6, [10, 4, 2], "levelling") == [0, 2, 4]
    assert spread(8, [10, 4, 2], "levelling") == [0, 3, 5]


@pytest.mark.parametrize("distribution", ["equal", "proportional", "levelling"])
def test_what_a_class_gets_never_falls_when_the_amount_grows(distribution):
    counts = [10300, 3618, 191, 502]
    before = np.zeros(4)
    for amount in range(1, 200):
        given = np.array(spread(amount, counts, distribution))
        assert given.sum() == amount
        assert (given >= before).all()
        before = given


def test_amounts_are_nested_and_depend_on_the_seed():
    order = nested_order(100, 1)
    assert sorted(order) == list(range(100))
    assert (nested_order(100, 1) == order).all()
    assert (nested_order(100, 2) != order).any()


def test_a_grid_in_parts_is_the_whole_grid():
    cells = cells_of(NevusToMelanomaConfig(alphas=(0.5,), amounts=(1, 2)))
    names = [cell.name for cell in cells]
    assert parts(cells, GridConfig(seeds=2)) == [(seed, (name,)) for seed in (0, 1) for name in names]
    # cells that go on from one start stay beside it
    assert parts(cells, GridConfig(seeds=2, warm_start=True)) == [(seed, tuple(names)) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["nevus_to_melanoma.amounts=5,5"], "stands in it twice: 5, 5"),
        (["nevus_to_melanoma.target=NV"], "are the same class"),
        (["grid.controls=equal_steps"], "equal_steps is the baseline itself"),
        (["grid.controls=class_weights", "classifier.class_balance=loss"], "class_weights says nothing"),
        (["grid.controls=nonsense"], "none of equal_steps, oversampling"),
        (["grid.synthetic=/no/such/folder"], "there is no such folder"),
    ],
)
def test_a_grid_that_says_nothing_is_refused(assignments, said):
    with pytest.raises(UsageError, match=said):
        resolve("small", assignments=assignments)
