"""What an amount of added images is made of: how many of each class, and which ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesiongan.base.file_names import file_name

#: What the names of sets that a CycleGAN refined begin with, before the class.
REFINED = "refined"


def alpha_generator(alpha: float) -> str:
    """The name of the CycleGAN trained at an alpha, and of its images."""
    return f"alpha-{alpha:g}"


def refined_generator(abbreviation: str) -> str:
    """The name of the CycleGAN that refines the ACGAN's images of a class, and of its images."""
    return f"{REFINED}-{file_name(abbreviation)}"


def spread(amount: int, counts: Sequence[int] | np.ndarray, distribution: str = "equal") -> list[int]:
    """`amount` images over classes; what a class gets never falls when the amount grows, so that amounts are nested.

    Args:
        counts: real training images of each class.
        distribution: `equal`: as equally as whole numbers allow, the first classes getting one more. `proportional`: to
            the real images (Sainte-Laguë's rule, which is monotone). `levelling`: each to the class that has fewest by
            then, so that the classes become equal.
    """
    if distribution == "equal":
        return [amount // len(counts) + (i < amount % len(counts)) for i in range(len(counts))]
    allotted, real = np.zeros(len(counts), np.int64), np.maximum(np.asarray(counts, np.int64), 1)
    for _ in range(amount):
        allotted[np.argmin(real + allotted if distribution == "levelling" else (allotted + 0.5) / real)] += 1
    return allotted.tolist()


def nested_order(count: int, seed: int) -> np.ndarray:
    """One shuffled order of `count` images for a seed; the first n of it are the n that are used, so amounts are
    nested."""
    return np.random.default_rng([seed, count]).permutation(count)
