"""A collection of several clinics' images divided by clinic: train on one, test on another.

In ISIC 2019 the prefix of a lesion id says where the image is from: HAM10000, BCN_20000 or MSK (three classes only).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.lesions import source_of
from lesiongan.data.sources import Source
from lesiongan.data.splits import SPLITS
from lesiongan.data.taxonomy import Taxonomy

_ELSEWHERE = "its lesion id begins with none of the beginnings asked for"


def take_apart(source: Source, prefixes: Sequence[str], minimum: int) -> tuple[Source, dict[str, Source]]:
    """The part of a source to be split as usual, and the other parts as test sets of their own.

    Args:
        source: one whose rows have lesion ids.
        prefixes: of lesion ids, two or more: the first part's, then each test set's.
        minimum: images per class, present or not, that each part must have; other classes are left out of all parts.

    Returns:
        The first part, with every row that is in no part among its anomalies, and the other parts by the name of their
        split, `<prefix>_test`.

    Raises:
        UsageError: a prefix that no lesion id has or that overlaps another one, or fewer than two classes of which all
            parts have enough images.
    """
    names = ", ".join(prefixes)
    lesions = source.rows["lesion_id"].to_numpy(str)
    member = np.stack([np.char.startswith(lesions, prefix) for prefix in prefixes])
    for prefix, rows in zip(prefixes, member, strict=True):
        if not rows.any():
            known = sorted({source_of(lesion) for lesion in lesions if lesion})
            hint = f"lesion ids begin with {', '.join(known[:8])}" if known else "it has no lesion ids"
            raise UsageError(f"option 'data.by_source': no lesion id begins with {prefix!r}; {hint}")
    if (member.sum(axis=0) > 1).any():
        raise UsageError(f"option 'data.by_source': {names} overlap, a lesion id begins with two of them")
    part_of = np.where(member.any(axis=0), member.argmax(axis=0), -1)
    classes = source.taxonomy.classes
    labels = source.rows["label"].to_numpy()
    counts = np.stack([np.bincount(labels[rows], minlength=len(classes)) for rows in member])
    fewest = counts.min(axis=0)
    enough = fewest >= minimum
    if enough.sum() < 2:
        best = ", ".join(f"{c} {n}" for c, n in zip(classes, fewest, strict=True))
        raise UsageError(
            f"option 'data.by_source': {names} have {int(enough.sum())} classes in common with at least {minimum} "
            f"images in each (fewest in a part: {best}); lower it with --set data.source_minimum=NUMBER"
        )
    taxonomy = _subset(source.taxonomy, enough)
    used = (part_of >= 0) & enough[labels]
    rows = source.rows.assign(label=(np.cumsum(enough) - 1)[labels])
    left = zip(source.rows["image_id"][~used], part_of[~used], labels[~used], strict=True)
    anomalies = [
        Anomaly(
            image_id, "data.by_source", f"a part has too few of class {classes[label]}" if part >= 0 else _ELSEWHERE
        )
        for image_id, part, label in left
    ]
    parts = [
        dataclasses.replace(source, taxonomy=taxonomy, rows=rows[used & (part_of == i)].reset_index(drop=True))
        for i in range(len(prefixes))
    ]
    first = dataclasses.replace(parts[0], anomalies=(*source.anomalies, *anomalies))
    return first, dict(zip(map(_split_name, prefixes[1:]), parts[1:], strict=True))


def _subset(taxonomy: Taxonomy, mask: np.ndarray) -> Taxonomy:
    """A taxonomy of the marked classes, in the same order, with their names and colours."""

    def chosen(values: Sequence) -> tuple:
        return tuple(value for value, taken in zip(values, mask, strict=True) if taken)

    return dataclasses.replace(
        taxonomy, **{field.name: chosen(getattr(taxonomy, field.name)) for field in dataclasses.fields(taxonomy)}
    )


def _split_name(prefix: str) -> str:
    name = re.sub(r"\W+", "_", prefix).strip("_").lower() or "other"
    return f"{name}_test" if f"{name}_test" not in SPLITS else f"further_{name}"
