"""How a collection is read, split and made into squares (ExampleGen)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lesiongan.base.errors import UsageError
from lesiongan.config.checks import all_differ, at_least, fraction, known_choices, require, within


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """ExampleGen."""

    kind: str = ""  # the layout of the source, where several would fit (docs/data.md); empty: found from the files
    split: str = "by_lesion"  # `by_lesion`, `by_image` (the paper's), or a CSV of image, split
    # `by_lesion` keeps nearly the same pictures on one side, whatever their lesion_id
    join_near_duplicates: bool = True
    validation: float = 0.1  # share of the images on the validation side
    test: float = 0.1  # share of the images on the test side
    # how a picture becomes a square: `squash` (as in the paper), `crop`, `pad`
    resize: Literal["squash", "crop", "pad"] = "squash"
    exact_resize: bool = (  # resize the fully decoded image; `false` lets the JPEG decoder scale first
        True  # from the fully decoded image; False lets the JPEG decoder scale first (DCT), much faster
    )
    max_unusable: float = 0.01  # share of the files that may be unusable before the run fails
    # share of the table's rows that have no class of their own (none, two, an unknown diagnosis) before the run fails
    max_refused: float = 0.1
    allow_missing: bool = False  # more than half of the rows may lack their image (`--allow-missing`)
    diagnoses: str = ""  # a CSV of diagnosis, class in place of the built-in table
    further_tests: tuple[str, ...] = ()  # more test sets, sources of their own
    by_source: tuple[str, ...] = ()  # beginnings of lesion ids (`HAM,BCN`): split the first, test on each other one too
    # `CLASS:SHARE` (`MEL:1/8`): train on that share of the class's training images, whole lesions chosen at random
    fewer: tuple[str, ...] = ()
    source_minimum: int = 30  # images of a class that each part of `by_source` must have; other classes are left out
    phantoms: int = 1600  # how many phantoms are drawn where the source is `phantoms`
    phantom_size: int = 96  # pixels of a drawn phantom

    def __post_init__(self):
        known_choices(self, "data")
        within(self, "data", 0.0, 1.0, ("max_unusable", "max_refused"))
        at_least(self, "data", 1, ("source_minimum", "phantoms"))
        if self.validation <= 0 or self.test <= 0 or self.validation + self.test >= 1:
            raise UsageError("options 'data.validation' and 'data.test': both must be above 0 and together below 1")
        prefixes = ", ".join(self.by_source)
        require(
            len(self.by_source) != 1,
            "data.by_source",
            f"give two beginnings of lesion ids or more (HAM,BCN), got {prefixes!r}",
        )
        all_differ("data", "fewer", (name for name, _ in self._fewer()))

    def kept_shares(self) -> dict[str, float]:
        """Class -> the share of its training images that `fewer` keeps, in (0, 1]."""
        return dict(self._fewer())

    def _fewer(self) -> list[tuple[str, float]]:
        pairs = []
        for entry in self.fewer:
            name, _, text = entry.rpartition(":")
            share = fraction(text)
            why = f"give CLASS:SHARE with a share above 0 and up to 1 (MEL:1/8), got {entry!r}"
            require(bool(name) and share is not None and 0 < share <= 1, "data.fewer", why)
            pairs.append((name.strip(), float(share or 0)))
        return pairs
