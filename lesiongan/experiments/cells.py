"""The tables of the two experiments as data: one cell, one classifier (times the seeds).

A table has a baseline, a cell for every amount of every source of images, and what a sceptic asks for: `controls`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.experiments import ExperimentConfig, NevusToMelanomaConfig
from lesiongan.config.grid import GridConfig, synthetic_name
from lesiongan.experiments.amounts import alpha_generator, refined_generator

#: Kinds of cells beside `acgan` and `cyclegan`; written here and read by `lesiongan.evaluation.predictions`, which must
#: not be a part of what a GAN's training depends on.
CONTROL, SYNTHETIC, SELECTION = "control", "synthetic", "selection"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One classifier of an experiment's table.

    Attributes:
        name: what the table's row says.
        kind: `baseline`, `acgan`, `cyclegan`, `synthetic`, `selection` or `control`.
        generators: the generated sets that it draws from; none for the baseline.
        alpha: the filter's alpha where there is one, else 0.
        amount: how many images are added to the real ones.
        classes: the classes over which the amount is spread.
        control: which control it is (`GridConfig.controls`), "" for none.
        steps_as: where epochs are equal, it takes as many steps as a cell that adds so many images, if they are more.
        resolution: pixels that every image passes through; 0: it stays as it is.
        selection: by which rule its images are chosen from all that were made (`selection`); "": at random.
    """

    name: str
    kind: str
    generators: tuple[str, ...] = ()
    alpha: float = 0.0
    amount: int = 0
    classes: tuple[str, ...] = ()
    control: str = ""
    steps_as: int = 0
    resolution: int = 0
    selection: str = ""

    @property
    def slug(self) -> str:
        """The name as a file's name."""
        return "".join(c if c.isalnum() or c in ".-" else "-" for c in self.name)

    @property
    def counted(self) -> int:
        """The added images that its number of steps is counted with, where epochs are equal."""
        return max(self.amount, self.steps_as)


@dataclasses.dataclass(frozen=True)
class Series:
    """Cells that differ in their amount alone: where their images come from, a generator or one per class.

    Attributes:
        name: what rows call it.
        kind: the kind of its cells.
        generators: the names of its sets.
        alpha: the filter's alpha where there is one, else 0.
    """

    name: str
    kind: str
    generators: tuple[str, ...]
    alpha: float = 0.0


#: What the control `augmentation` adds to flips and quarter turns (`ClassifierConfig`).
STRONGER = {"angle": 45.0, "zoom": 0.3, "colour": 0.2}

BASELINE = Cell("real only", "baseline")


def synthetic_generator(path: str) -> str:
    """The name of the set of images from a folder of images made elsewhere."""
    return f"{SYNTHETIC}-{synthetic_name(path)}"


def experiment_cells(
    experiment: ExperimentConfig, grid: GridConfig, classes: tuple[str, ...], *, resolution: int = 0
) -> list[Cell]:
    """The whole table of an experiment: its own cells, those of images made elsewhere, and the controls.

    Experiment 2 has every alpha with every amount (Table 3); experiment 1 every amount from the ACGAN alone and from
    ACGAN + CycleGAN (Table 2); both after the baseline. With `grid.selections` each of these cells has another one
    beside it, of as many images that a rule has chosen.

    Args:
        experiment: the group of the experiment.
        grid: its controls, and the folders of images made elsewhere.
        classes: the data's classes.
        resolution: pixels of the ACGAN's images where they are fewer than the classifier's, else 0
            (`limiting_resolution`).
    """
    targets = target_classes(experiment, classes)
    own = _own_series(experiment, targets)
    elsewhere = [Series(synthetic_name(path), SYNTHETIC, (synthetic_generator(path),)) for path in grid.synthetic]
    controls = _controls(grid, [*own, *elsewhere], experiment.amounts, targets, resolution)
    added = [*_cells(own, experiment.amounts, targets), *_cells(elsewhere, experiment.amounts, targets)]
    selected = [_selected(cell, rule) for rule in grid.selections for cell in added]
    return [BASELINE, *added, *selected, *controls]


def limiting_resolution(acgan: int, classifier: int) -> int:
    """Pixels of the ACGAN's images (0: there is none) where they are fewer than the classifier's, else 0."""
    return acgan if acgan < classifier else 0


def target_classes(experiment: ExperimentConfig, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that an experiment adds images to."""
    if isinstance(experiment, NevusToMelanomaConfig):
        return (experiment.target,)
    return experiment.classes or tuple(classes)


def share(cell: Cell, experiment: ExperimentConfig, counts: Mapping[str, int]) -> float | None:
    """The share of added images by which the paper's tables name their rows; None for a cell without generated images.

    Table 2: g / (real training images + g). Table 3: g / (real training images of source and target + g).

    Args:
        counts: class -> real training images.
    """
    if cell.kind in (BASELINE.kind, CONTROL):
        return None
    among: tuple[str, ...] = tuple(counts)
    if isinstance(experiment, NevusToMelanomaConfig):
        among = (experiment.source, experiment.target)
    return cell.amount / (sum(counts[c] for c in among) + cell.amount)


def parts(
    cells: Sequence[Cell], grid: GridConfig, seeds: Sequence[int] = (), *, started: Sequence[int] = ()
) -> list[tuple[int, tuple[str, ...]]]:
    """A grid in parts that machines or processes can train in parallel: (seed, names of cells) each.

    Where cells of a seed go on from one training on real images (`warm_start`), they stay together; not those of the
    seeds for which that training is there already (`started`), which come last, as the shorter ones.

    Args:
        seeds: of the grid; empty: all.
    """
    names = tuple(cell.name for cell in cells)
    groups = [names] if grid.warm_start else [(name,) for name in names]
    seeds = seeds or range(grid.seeds)
    together = [(seed, group) for seed in seeds if seed not in started for group in groups]
    return together + [(seed, (name,)) for seed in seeds if seed in started for name in names]


def _own_series(experiment: ExperimentConfig, targets: Sequence[str]) -> list[Series]:
    if isinstance(experiment, NevusToMelanomaConfig):
        return [Series(f"alpha {alpha:g}", "cyclegan", (alpha_generator(alpha),), alpha) for alpha in experiment.alphas]
    refined = tuple(refined_generator(c) for c in targets)
    return [Series("acgan", "acgan", ("acgan",)), Series("cyclegan", "cyclegan", refined)]


def _cells(series: Sequence[Series], amounts: Sequence[int], classes: tuple[str, ...]) -> list[Cell]:
    return [
        Cell(f"{each.name} + {amount}", each.kind, each.generators, each.alpha, amount, classes)
        for amount in amounts
        for each in series
    ]


def _selected(cell: Cell, rule: str) -> Cell:
    source, _, amount = cell.name.rpartition(" + ")
    return dataclasses.replace(cell, name=f"{source} by {rule} + {amount}", kind=SELECTION, alpha=0.0, selection=rule)


def _controls(
    grid: GridConfig,
    series: Sequence[Series],
    amounts: Sequence[int],
    classes: tuple[str, ...],
    resolution: int,
) -> list[Cell]:
    """The controls that the configuration names, in the order of this list.

    equal_steps: the baseline with as many steps as the largest cell; none where all cells have equal steps.
    oversampling: every amount, as copies of real images of the classes that cells add to.
    class_weights, augmentation: the real images only, for as many steps as the largest cell.
    synthetic_only: each series' largest amount in place of the real images of its classes.
    acgan_resolution: real images only, and every cell of the ACGAN, where every image, those of validation and test
        too, passes through the ACGAN's resolution; none where that is not below the classifier's.
    """
    largest, controls = max(amounts), []
    asked = set(grid.controls)
    if "equal_steps" in asked and grid.budget == "equal_epochs":
        controls.append(Cell("real only, equal steps", CONTROL, control="equal_steps", steps_as=largest))
    if "oversampling" in asked:
        controls += [
            Cell(f"oversampling + {amount}", CONTROL, amount=amount, classes=classes, control="oversampling")
            for amount in amounts
        ]
    for control, name in (("class_weights", "class weights"), ("augmentation", "augmentation")):
        if control in asked:
            controls.append(Cell(name, CONTROL, control=control, steps_as=largest))
    if "synthetic_only" in asked:
        controls += [
            dataclasses.replace(cell, name=f"synthetic only: {cell.name}", kind=CONTROL, control="synthetic_only")
            for cell in _cells(series, [largest], classes)
        ]
    if "acgan_resolution" in asked and resolution:
        acgan = [each for each in series if each.kind == "acgan"]
        cells = [BASELINE, *_cells(acgan, amounts, classes)] if acgan else []
        controls += [
            dataclasses.replace(
                cell,
                name=f"{cell.name} at {resolution} px",
                kind=CONTROL,
                control="acgan_resolution",
                resolution=resolution,
            )
            for cell in cells
        ]
    return controls


def cell_steps(config: ClassifierConfig, grid: GridConfig, cell: Cell, real: int) -> int:
    """Steps of a cell's training. Equal epochs: more images are more steps, as in the paper; equal steps: only the
    images differ.

    Args:
        real: the real training images.
    """
    budget = grid.images or config.images or round(config.epochs * real)
    if grid.budget == "equal_epochs":
        budget = round(budget * (real + cell.counted) / real)
    steps = math.ceil(budget / config.batch)
    if grid.warm_start and cell.control == "synthetic_only":  # its start has not seen the real images
        steps += config.steps(real)
    return steps
