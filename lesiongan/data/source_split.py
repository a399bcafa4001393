"""The split of a source as the configuration asks for it: its rule (`splits`), and `data.fewer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lesiongan.base.errors import UsageError
from lesiongan.config.data import DataConfig
from lesiongan.data import label_tables, splits
from lesiongan.data.csv_files import Anomaly
from lesiongan.data.sources import Source

FEWER = "data.fewer"  # where anomalies of that option are from


def split_rows(
    source: Source,
    config: DataConfig,
    seed: int,
    *,
    pairs: Sequence[tuple[int, int]] = (),
    anomalies: list[Anomaly] | None = None,
) -> np.ndarray:
    """The side of each row of a source as `config` says: `[n]` strings, each one of `splits.SPLITS` (or "", where a
    given split does not name the image, or `fewer` leaves it out).

    Args:
        pairs: positions of rows that `by_lesion` keeps on one side.
        anomalies: takes the images that a given split does not name, the names in it that are not in the data, and the
            images that `fewer` leaves out.

    Raises:
        UsageError: the source cannot be split so, or `fewer` names a class that it does not have.
    """
    sides = _all_sides(source, config, seed, pairs, anomalies)
    shares = {_label(source, name): share for name, share in config.kept_shares().items()}
    if not shares:
        return sides
    groups = splits.join_groups(source.rows["lesion_id"], source.rows["patient_id"], extra_pairs=pairs)
    kept = splits.fewer(sides, source.rows["label"].to_numpy(), groups, shares, seed)
    if anomalies is not None:
        left_out = source.rows["image_id"][kept != sides]
        anomalies += [Anomaly(image_id, FEWER, "left out of training") for image_id in left_out]
    return kept


def _label(source: Source, name: str) -> int:
    classes = source.taxonomy.classes
    if name not in classes:
        raise UsageError(f"option {FEWER!r}: {name!r} is none of the data's classes {', '.join(classes)}")
    return classes.index(name)


def _all_sides(
    source: Source, config: DataConfig, seed: int, pairs: Sequence[tuple[int, int]], anomalies: list[Anomaly] | None
) -> np.ndarray:
    labels, classes = source.rows["label"].to_numpy(), source.taxonomy.classes
    if config.split == "by_image":
        return splits.by_image(labels, config.validation, config.test, seed, classes=classes)
    if config.split == "by_lesion":
        groups = splits.join_groups(source.rows["lesion_id"], source.rows["patient_id"], extra_pairs=pairs)
        return splits.by_lesion(labels, groups, config.validation, config.test, seed, classes=classes)
    path, collected = Path(config.split), [] if anomalies is None else anomalies
    ids = source.rows["image_id"].tolist()
    assignment = label_tables.read_split(path, collected)
    sides = splits.given(labels, ids, assignment, classes=classes)
    collected += [Anomaly(ids[i], path.name, "the given split does not name it") for i in np.flatnonzero(sides == "")]
    collected += [Anomaly(name, path.name, "no image of the data has this id") for name in assignment.keys() - set(ids)]
    return sides


def ids_not_known(source: Source, config: DataConfig) -> str:
    """What to say where a split by lesion has no lesions to go by; "" where it has."""
    if config.split != "by_lesion" or source.origin == "phantom":
        return ""
    known = int(((source.rows["lesion_id"] != "") | (source.rows["patient_id"] != "")).sum())
    if known == len(source.rows):
        return ""
    kept = "only nearly identical pictures are kept on one side"
    if not known:
        return f"no lesion or patient ids: the split by lesion is one by image, {kept}"
    return f"{len(source.rows) - known:,} of {len(source.rows):,} images have no lesion or patient id: of them {kept}"
