"""The tables of the two experiments as data: one cell, one classifier (times the seeds)."""

from __future__ import annotations

import dataclasses

import numpy as np

from lesiongan.config import NevusToMelanomaConfig, NoiseToLesionConfig


@dataclasses.dataclass(frozen=True)
class Cell:
    """One classifier of an experiment's table.

    Attributes:
        name: what the table's row says.
        kind: `baseline`, `acgan` or `cyclegan`.
        generators: the generated sets that it draws from; none for the baseline.
        alpha: the filter's alpha where there is one, else 0.
        amount: how many generated images are added to the real ones.
    """

    name: str
    kind: str
    generators: tuple[str, ...] = ()
    alpha: float = 0.0
    amount: int = 0

    @property
    def slug(self) -> str:
        """The name as a file's name."""
        return "".join(c if c.isalnum() or c in ".-" else "-" for c in self.name)


BASELINE = Cell("real only", "baseline")


def alpha_generator(alpha: float) -> str:
    """The name of the CycleGAN trained at an alpha."""
    return f"alpha-{alpha:g}"


def nevus_to_melanoma_cells(config: NevusToMelanomaConfig) -> list[Cell]:
    """Experiment 2: every alpha with every amount, after the baseline (Table 3)."""
    return [BASELINE] + [
        Cell(f"alpha {alpha:g} + {amount}", "cyclegan", (alpha_generator(alpha),), alpha, amount)
        for amount in config.amounts
        for alpha in config.alphas
    ]


def noise_to_lesion_cells(config: NoiseToLesionConfig, classes: tuple[str, ...]) -> list[Cell]:
    """Experiment 1: every amount from the ACGAN alone and from ACGAN + CycleGAN, after the baseline (Table 2)."""
    refined = config.classes or classes
    return [BASELINE] + [
        Cell(
            f"{kind} + {amount}",
            kind,
            ("acgan",) if kind == "acgan" else tuple(f"refined-{c}" for c in refined),
            0.0,
            amount,
        )
        for amount in config.amounts
        for kind in ("acgan", "cyclegan")
    ]


def shares(amount: int, parts: int) -> list[int]:
    """`amount` images over `parts` classes as equally as whole numbers allow, the first ones getting one more."""
    return [amount // parts + (i < amount % parts) for i in range(parts)]


def nested_order(count: int, seed: int) -> np.ndarray:
    """One shuffled order of `count` images for a seed; the first n of it are the n that are used, so amounts are
    nested."""
    return np.random.default_rng([seed, count]).permutation(count)
