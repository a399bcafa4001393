"""The classifiers of an experiment's table."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Literal

from lesiongan.config.checks import all_differ, at_least, known_choices, require


@dataclasses.dataclass(frozen=True)
class GridConfig:
    """The classifiers of an experiment's table: one per cell and seed."""

    seeds: int = 1  # trainings per cell
    # only the images differ; `equal_epochs`: more images are more steps, as in the paper
    budget: Literal["equal_epochs", "equal_steps"] = "equal_steps"
    warm_start: bool = False  # each seed trains once on real images, every cell goes on from there for equal steps
    images: int = 0  # budget of a cell in images seen; 0: as the classifier's own
    learning_rate: float = 0.0  # peak of a cell's 1cycle; 0: as the classifier's own
    synthetic_weight: float = (  # how often an added image is drawn, beside 1 for a real one
        1.0  # how often an added image is drawn, beside 1 for a real one; at 1 epochs are permutations
    )
    # further classifiers: `equal_steps`, `oversampling`, `class_weights`, `augmentation`, `synthetic_only`,
    # `acgan_resolution` (docs/experiments.md)
    controls: tuple[
        Literal["equal_steps", "oversampling", "class_weights", "augmentation", "synthetic_only", "acgan_resolution"],
        ...,
    ] = ()  # further classifiers at the same numbers of steps, counted apart (`lesiongan.experiments.cells`)
    # further cells at every amount, whose images are the first ones of their pool by `confidence`, `novelty` or
    # `diversity` (docs/experiments.md); the other cells' are at random
    selections: tuple[Literal["confidence", "novelty", "diversity"], ...] = ()
    pool: float = 2.0  # images that are made for `selections` to choose from, over what the largest cell adds
    synthetic: tuple[str, ...] = ()  # images made elsewhere, sources of their own (`--synthetic`)
    # suspected copies of training images are not handed on by the Generator, which makes a few more images for it
    withhold_copies: bool = False
    # those that copy a held-out image end the run; `drop` leaves them out
    synthetic_copies: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self):
        known_choices(self, "grid")
        at_least(self, "grid", 1, ("seeds",))
        at_least(self, "grid", 0, ("images", "learning_rate"))
        require(self.synthetic_weight > 0, "grid.synthetic_weight", f"{self.synthetic_weight} is not positive")
        all_differ("grid", "controls", self.controls)
        all_differ("grid", "selections", self.selections)
        at_least(self, "grid", 1, ("pool",))
        names = [synthetic_name(path) for path in self.synthetic]
        for name in names:
            require(
                names.count(name) == 1,
                "grid.synthetic",
                f"two sources are called {name!r}; rename one of the folders",
            )
        require(
            "equal_steps" not in self.controls or self.budget != "equal_steps",
            "grid.controls",
            "equal_steps is the baseline itself where grid.budget is equal_steps",
        )


def made_for(grid: GridConfig, largest: int) -> int:
    """How many images a source must make where the largest cell adds so many."""
    return math.ceil(largest * grid.pool) if grid.selections else largest


def synthetic_name(path: str) -> str:
    """What a folder of images made elsewhere is called in rows: its own name."""
    return re.sub(r"[^\w.-]+", "-", Path(path).name).strip("-") or "images"
