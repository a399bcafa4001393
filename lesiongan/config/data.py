"""How a collection is read, split and made into squares (ExampleGen)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lesiongan.base.errors import UsageError
from lesiongan.config.checks import at_least, known_choices, require, within


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """ExampleGen."""

    kind: str = ""  # the layout of the source, a name of `lesiongan.data.sources.KINDS`; "" finds it from the files
    split: str = "by_lesion"  # by_image, by_lesion, or the path of a CSV of image, split that is taken as it is
    join_near_duplicates: bool = True  # by_lesion: nearly the same pictures stay on one side, whatever their lesion_id
    validation: float = 0.1  # share of the images
    test: float = 0.1  # share of the images
    resize: Literal["squash", "crop", "pad"] = "squash"  # how a picture becomes a square
    exact_resize: bool = (
        True  # from the fully decoded image; False lets the JPEG decoder scale first (DCT), much faster
    )
    max_unusable: float = 0.01  # share of the files that may be unusable before the run fails
    max_refused: float = 0.1  # share of the table's rows without a class of their own before the run fails
    allow_missing: bool = False  # allow more than half of the rows to have no image
    diagnoses: str = ""  # a CSV of diagnosis, class in place of the built-in table; for sources with diagnoses in words
    further_tests: tuple[str, ...] = ()  # more test sets: sources of their own, each a split of its own
    by_source: tuple[str, ...] = ()  # prefixes of lesion ids (HAM,BCN): split the first, test on each other one too
    source_minimum: int = 30  # images per class that each part of `by_source` must have; other classes are left out
    phantoms: int = 1600  # how many phantoms to draw, where the source is `phantoms`
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
