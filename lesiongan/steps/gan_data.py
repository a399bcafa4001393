"""Which real images the GANs are built on."""

from __future__ import annotations


def gan_splits(with_validation: bool) -> tuple[str, ...]:
    """The paper builds the GANs of experiment 1 on training AND validation images; otherwise training images only."""
    return ("train", "validation") if with_validation else ("train",)
