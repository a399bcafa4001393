"""Which images show the same lesion: several of one are no independent draws, and as near to each other as copies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np


def source_of(lesion_id: str) -> str:
    """Where a lesion was photographed, as far as its id says: its beginning, in ISIC 2019 `HAM`, `BCN` or `MSK`; ""
    where there is no id."""
    return re.split(r"[_\W]", lesion_id)[0]


def first_of_each_lesion(
    ids: Sequence[str], lesions: Mapping[str, str], sources: Mapping[str, str] | None = None
) -> np.ndarray:
    """The places of the images that are the first of their lesion, ascending, int64.

    Args:
        ids: of the images, in their order.
        lesions: image id -> lesion id; an image that has none there, or "", is a lesion of its own.
        sources: of generated images: id -> id of the image that it was made of, whose lesion it shows; one that has
            none there, or "", is a lesion of its own.
    """
    origins = ids if sources is None else [sources.get(i) or i for i in ids]
    # The pair keeps lesion ids and image ids apart.
    keys = [(bool(lesions.get(origin)), lesions.get(origin) or origin) for origin in origins]
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    return np.array(sorted(first.values()), np.int64)
