"""The tables of the two experiments as data: one cell, one classifier (times the seeds).

A table has a baseline, a cell for every amount of every source of images, and what a sceptic asks for: `controls`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lesiongan.amounts import alpha_generator, refined_generator
from lesiongan.budgets import classifier_steps
from lesiongan.config import ClassifierConfig, Config, GridConfig, NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.errors import UsageError

#: Kinds of cells beside `acgan` and `cyclegan`; written here and read by `lesiongan.evaluation.predictions`, which must
#: not be a part of what a GAN's training depends on.
CONTROL, SYNTHETIC = "control", "synthetic"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One classifier of an experiment's table.

    Attributes:
        name: what the table's row says.
        kind: `baseline`, `acgan`, `cyclegan`, `synthetic` or `control`.
        generators: the generated sets that it draws from; none for the baseline.
        alpha: the filter's alpha where there is one, else 0.
        amount: how many images are added to the real ones.
        classes: the classes over which the amount is spread.
        control: which control it is (`GridConfig.controls`), "" for none.
        steps_as: where epochs are equal, it takes as many steps as a cell that adds so many images, if they are more.
        resolution: pixels that every image passes through; 0: it stays as it is.
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

    @property
    def slug(self) -> str:
        """The name as a file's name."""
        return "".join(c if c.isalnum() or c in ".-" else "-" for c in self.name)

    @property
    def counted(self) -> int:
        """The added images that its number of steps is counted with, where epochs are equal."""
        return max(self.amount, self.steps_as)


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """Where added images come from: a generator, or one a class.

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


#: The control `augmentation`: what is turned up to so much, on top of flips and quarter turns (`ClassifierConfig`).
STRONGER = {"angle": 45.0, "zoom": 0.3, "colour": 0.2}

BASELINE = Cell("real only", "baseline")


def synthetic_name(path: str) -> str:
    """What a folder of images made elsewhere is called in rows: its own name."""
    return re.sub(r"[^\w.-]+", "-", Path(path).name).strip("-") or "images"


def synthetic_generator(path: str) -> str:
    """The name of its set of images."""
    return f"{SYNTHETIC}-{synthetic_name(path)}"


def check_synthetic(paths: Sequence[str]) -> None:
    """Raises `UsageError` where two folders of images made elsewhere would be one row."""
    names = [synthetic_name(path) for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"option 'grid.synthetic': two sources are called {name!r}; rename one of the folders")


def nevus_to_melanoma_cells(config: NevusToMelanomaConfig) -> list[Cell]:
    """Experiment 2: every alpha with every amount, after the baseline (Table 3)."""
    return [BASELINE, *_cells(_alpha_sources(config), config.amounts, (config.target,))]


def noise_to_lesion_cells(config: NoiseToLesionConfig, classes: tuple[str, ...]) -> list[Cell]:
    """Experiment 1: every amount from the ACGAN alone and from ACGAN + CycleGAN, after the baseline (Table 2)."""
    refined = config.classes or classes
    return [BASELINE, *_cells(_noise_sources(refined), config.amounts, refined)]


def experiment_cells(experiment: str, config: Config, classes: tuple[str, ...]) -> list[Cell]:
    """The whole table of an experiment: its own cells, those of images made elsewhere, and the controls.

    Args:
        experiment: `nevus_to_melanoma` or `noise_to_lesion`.
        config: its groups `grid`, that of the experiment, and the sizes of ACGAN and classifier count.
        classes: the data's classes.
    """
    if experiment == "nevus_to_melanoma":
        sources = _alpha_sources(config.nevus_to_melanoma)
        own, amounts = nevus_to_melanoma_cells(config.nevus_to_melanoma), config.nevus_to_melanoma.amounts
    else:
        sources = _noise_sources(config.noise_to_lesion.classes or classes)
        own, amounts = noise_to_lesion_cells(config.noise_to_lesion, classes), config.noise_to_lesion.amounts
    among = target_classes(experiment, config, classes)
    elsewhere = [
        ImageSource(synthetic_name(path), SYNTHETIC, (synthetic_generator(path),)) for path in config.grid.synthetic
    ]
    resolution = config.acgan.size if config.acgan.size < config.classifier.size else 0
    controls = _controls(config.grid, [*sources, *elsewhere], amounts, among, resolution)
    return [*own, *_cells(elsewhere, amounts, among), *controls]


def target_classes(experiment: str, config: Config, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that an experiment adds images to."""
    if experiment == "nevus_to_melanoma":
        return (config.nevus_to_melanoma.target,)
    return config.noise_to_lesion.classes or tuple(classes)


def share(cell: Cell, experiment: str, config: NevusToMelanomaConfig, counts: Mapping[str, int]) -> float | None:
    """The share of added images by which the paper's tables name their rows; None for a cell without generated images.

    Table 2: g / (real training images + g). Table 3: g / (real training images of source and target + g).

    Args:
        counts: class -> real training images.
    """
    if cell.kind in (BASELINE.kind, CONTROL):
        return None
    among = (config.source, config.target) if experiment == "nevus_to_melanoma" else tuple(counts)
    return cell.amount / (sum(counts[c] for c in among) + cell.amount)


def parts(cells: Sequence[Cell], grid: GridConfig) -> list[tuple[int, tuple[str, ...]]]:
    """A grid in parts that machines can work at side by side: (seed, names of cells) each.

    Where cells of a seed go on from one training on real images (`warm_start`), they stay together.
    """
    names = tuple(cell.name for cell in cells)
    groups = [names] if grid.warm_start else [(name,) for name in names]
    return [(seed, group) for seed in range(grid.seeds) for group in groups]


def _alpha_sources(config: NevusToMelanomaConfig) -> list[ImageSource]:
    return [ImageSource(f"alpha {alpha:g}", "cyclegan", (alpha_generator(alpha),), alpha) for alpha in config.alphas]


def _noise_sources(classes: Sequence[str]) -> list[ImageSource]:
    refined = tuple(refined_generator(c) for c in classes)
    return [ImageSource("acgan", "acgan", ("acgan",)), ImageSource("cyclegan", "cyclegan", refined)]


def _cells(sources: Sequence[ImageSource], amounts: Sequence[int], classes: tuple[str, ...]) -> list[Cell]:
    return [
        Cell(f"{source.name} + {amount}", source.kind, source.generators, source.alpha, amount, classes)
        for amount in amounts
        for source in sources
    ]


def _controls(
    grid: GridConfig,
    sources: Sequence[ImageSource],
    amounts: Sequence[int],
    classes: tuple[str, ...],
    resolution: int,
) -> list[Cell]:
    """The controls that the configuration names, in the order of this list.

    equal_steps: the baseline with as many steps as the largest cell; none where all cells have equal steps.
    oversampling: every amount, as copies of real images of the classes that cells add to.
    class_weights, augmentation: the real images only, for as many steps as the largest cell.
    synthetic_only: each source's largest amount in place of the real images of its classes.
    acgan_resolution: real images only, and every cell of the ACGAN, where every image, those of validation and test
        too, passes through the ACGAN's resolution; none where that is not below the classifier's.
    """
    largest, found = max(amounts), []
    asked = set(grid.controls)
    if "equal_steps" in asked and grid.budget == "equal_epochs":
        found.append(Cell("real only, equal steps", CONTROL, control="equal_steps", steps_as=largest))
    if "oversampling" in asked:
        found += [
            Cell(f"oversampling + {amount}", CONTROL, amount=amount, classes=classes, control="oversampling")
            for amount in amounts
        ]
    for control, name in (("class_weights", "class weights"), ("augmentation", "augmentation")):
        if control in asked:
            found.append(Cell(name, CONTROL, control=control, steps_as=largest))
    if "synthetic_only" in asked:
        found += [
            dataclasses.replace(cell, name=f"synthetic only: {cell.name}", kind=CONTROL, control="synthetic_only")
            for cell in _cells(sources, [largest], classes)
        ]
    if "acgan_resolution" in asked and resolution:
        acgan = [source for source in sources if source.kind == "acgan"]
        cells = [BASELINE, *_cells(acgan, amounts, classes)] if acgan else []
        found += [
            dataclasses.replace(
                cell,
                name=f"{cell.name} at {resolution} px",
                kind=CONTROL,
                control="acgan_resolution",
                resolution=resolution,
            )
            for cell in cells
        ]
    return found


def cell_steps(config: ClassifierConfig, grid: GridConfig, cell: Cell, real: int) -> int:
    """The length of a cell's training. Equal epochs: more images are more steps, as in the paper; equal steps: only the
    images differ.

    Args:
        real: the real training images.
    """
    budget = grid.images or config.images or round(config.epochs * real)
    if grid.budget == "equal_epochs":
        budget = round(budget * (real + cell.counted) / real)
    steps = math.ceil(budget / config.batch)
    if grid.warm_start and cell.control == "synthetic_only":  # its start has not seen the real images
        steps += classifier_steps(config, real)
    return steps
