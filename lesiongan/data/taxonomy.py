"""The diagnoses: the eight of ISIC 2019 by default, or whatever classes a user's collection has.

Labels are indices into `Taxonomy.classes`; every array of class probabilities has this order.
"""

from __future__ import annotations

import dataclasses
import re

from lesiongan.base.errors import UsageError
from lesiongan.base.shown import is_plain

# A qualitative palette that stays apart for colour-blind readers (Okabe and Ito 2008), one colour per class in
# every plot.
_PALETTE = ("#D55E00", "#0072B2", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#B22222", "#8C6BB1")
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """An ordered set of classes.

    Attributes:
        classes: abbreviations, in label order (label = position).
        names: the names spelled out, same order.
        colours: one hex colour per class for plots, same order.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...]

    def __post_init__(self):
        if not len(self.classes) == len(self.names) == len(self.colours):
            raise ValueError(f"classes, names and colours must be equally many, got {self}")
        for name in (*self.classes, *self.names):
            if not isinstance(name, str) or not name or not is_plain(name):
                raise UsageError(f"class {name!r}: a class's name is a text of one line; rename it")
        if not all(isinstance(colour, str) and _COLOUR.fullmatch(colour) for colour in self.colours):
            raise ValueError(f"colours must be like #D55E00, got {self.colours}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"class abbreviations must differ, got {self.classes}")

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, abbreviation: str) -> int:
        """The label of a class; raises `ValueError` that lists the known ones."""
        if abbreviation not in self.classes:
            raise ValueError(f"unknown class {abbreviation!r}; known: {', '.join(self.classes)}")
        return self.classes.index(abbreviation)

    def to_dict(self) -> dict:
        return {"classes": list(self.classes), "names": list(self.names), "colours": list(self.colours)}

    @classmethod
    def from_dict(cls, data: dict) -> Taxonomy:
        return cls(*(tuple(data[key]) for key in ("classes", "names", "colours")))

    @classmethod
    def of(cls, classes) -> Taxonomy:
        """A taxonomy over any classes; those of ISIC 2019 keep their names and colours."""
        classes = tuple(classes)
        known = dict(zip(ISIC_2019.classes, zip(ISIC_2019.names, ISIC_2019.colours, strict=True), strict=True))
        free = [c for c in _PALETTE if c not in {known[k][1] for k in classes if k in known}]
        names, colours = [], []
        for position, abbreviation in enumerate(classes):
            if abbreviation in known:
                name, colour = known[abbreviation]
            else:
                name, colour = abbreviation, (free.pop(0) if free else _PALETTE[position % len(_PALETTE)])
            names.append(name)
            colours.append(colour)
        return cls(classes, tuple(names), tuple(colours))


#: The eight diagnoses in the column order of ISIC_2019_Training_GroundTruth.csv (its ninth, UNK, is never 1 in
#: training).
ISIC_2019 = Taxonomy(
    classes=("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
    names=(
        "melanoma",
        "melanocytic nevus",
        "basal cell carcinoma",
        "actinic keratosis",
        "benign keratosis",
        "dermatofibroma",
        "vascular lesion",
        "squamous cell carcinoma",
    ),
    colours=_PALETTE,
)
