"""Training, validation and test: by images as in the paper, or by lesions so that no lesion stands on two sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lesiongan.base.errors import UsageError

#: The sides, in the order of every count and code in this module.
SPLITS = ("train", "validation", "test")
#: The rules by which a split can be made.
RULES = ("by_image", "by_lesion")
#: Usual names of the three.
NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def by_image(
    labels: np.ndarray, validation: float, test: float, seed: int, *, classes: Sequence[str] = ()
) -> np.ndarray:
    """The paper's split: random over images, stratified by class (Table 1).

    scikit-learn's `train_test_split` sets validation and test aside, then divides that part with the test set second.
    With ISIC 2019 and 0.1 / 0.1 this gives all 24 numbers of Table 1, with any seed.

    Args:
        labels: int `[n]`.
        validation, test: shares of the images, each above 0, together below 1.
        classes: the classes' names, for error messages.

    Returns:
        `[n]` strings, each one of `SPLITS`.

    Raises:
        UsageError: the shares are wrong, or a class has too few images to be on each side.
    """
    from sklearn.model_selection import train_test_split  # costs a second to import

    labels = np.asarray(labels)
    _check_shares(validation, test)
    _check_enough(labels, np.arange(len(labels)), classes, "images")
    sides = np.zeros(len(labels), np.int64)
    try:
        _, aside = train_test_split(
            np.arange(len(labels)), test_size=validation + test, stratify=labels, random_state=seed
        )
        _, last = train_test_split(
            aside, test_size=test / (validation + test), stratify=labels[aside], random_state=seed
        )
        sides[aside] = 1
        sides[last] = 2
        empty = counts(labels, sides).min(axis=1) == 0
    except ValueError:  # a class, or all of them together, is too small for scikit-learn to stratify
        empty = np.ones(labels.max() + 1, bool)
    if empty.any():
        present = np.bincount(labels)
        worst = min(np.flatnonzero(empty & (present > 0)).tolist(), key=present.__getitem__)
        raise UsageError(
            f"class {_name(worst, classes)} has {present[worst]} images, too few for a by_image split of "
            f"{validation:g} / {test:g}: add images, leave the class out, or --set data.split=by_lesion"
        )
    return np.array(SPLITS)[sides]


def by_lesion(
    labels: np.ndarray,
    groups: np.ndarray,
    validation: float,
    test: float,
    seed: int,
    *,
    classes: Sequence[str] = (),
) -> np.ndarray:
    """A stratified split of whole groups: no group is on two sides.

    Groups are dealt out from the large to the small, each to the side whose quota of the group's class is filled least
    (Sainte-Laguë's rule of apportionment, (filled + size / 2) / quota), so that the single images come last and level
    each class. The few largest groups of a class always fall to training: one of them in a small test set would decide
    its result. Then a class that is missing on a side gets its smallest movable group.

    Args:
        labels: int `[n]`.
        groups: int `[n]`, see `join_groups`.
        validation, test: shares of the images, each above 0, together below 1.
        classes: the classes' names, for error messages.

    Returns:
        `[n]` strings, each one of `SPLITS`.

    Raises:
        UsageError: the shares are wrong, or a class has fewer than three groups.
    """
    labels = np.asarray(labels)
    _check_shares(validation, test)
    _, groups = np.unique(np.asarray(groups), return_inverse=True)
    _check_enough(labels, groups, classes, "lesions")

    # table[g, c]: images of class c in group g.
    table = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(table, (groups, labels), 1)
    sizes = table.sum(axis=1)
    # Random among groups of nearly one size, but never a group of two after a single image.
    rng = np.random.default_rng(seed)
    order = np.argsort(-sizes * rng.uniform(1, 2, len(sizes)), kind="stable")

    shares = np.array([1 - validation - test, validation, test])
    quota = shares[:, None] * np.maximum(table.sum(axis=0), 1)  # [3, classes]
    filled = np.zeros_like(quota)
    sides = np.zeros(len(sizes), np.int64)
    for group in order:
        members = table[group]
        fill = ((filled + members / 2) / quota) @ members
        sides[group] = np.argmin(fill)
        filled[sides[group]] += members
    _fill_empty(sides, table, sizes)
    return np.array(SPLITS)[sides[groups]]


def given(
    labels: np.ndarray, ids: Sequence[str], assignment: Mapping[str, str], *, classes: Sequence[str] = ()
) -> np.ndarray:
    """A split as somebody made it, taken as it is.

    Args:
        labels: int `[n]`.
        ids: the image ids, n of them.
        assignment: image id -> side.
        classes: the classes' names, for error messages.

    Returns:
        `[n]` strings, each one of `SPLITS`, or "" for an image that the split does not name.

    Raises:
        UsageError: a side is empty, or a class has no image to train on.
    """
    labels = np.asarray(labels)
    sides = np.array([assignment.get(image_id, "") for image_id in ids], object).astype(str)
    for side in SPLITS:
        if not (sides == side).any():
            raise UsageError(f"the given split has no image of the data on the side {side}; name some")
    for label in np.unique(labels):
        if not (labels[sides == "train"] == label).any():
            raise UsageError(
                f"the given split trains on no image of class {_name(label, classes)}; name some, or leave "
                f"the class out"
            )
    return sides


def fewer(
    sides: np.ndarray, labels: np.ndarray, groups: np.ndarray, shares: Mapping[int, float], seed: int
) -> np.ndarray:
    """The same split with fewer training images of some classes; the other sides stay as they are.

    Whole groups are left out at random until the share is reached, one of them kept at least. A smaller share keeps a
    part of what a larger one keeps, so that results against the share differ by what was added alone.

    Args:
        sides: `[n]` strings, each one of `SPLITS` or "".
        labels: int `[n]`.
        groups: int `[n]`, see `join_groups`.
        shares: label -> share of its training images to keep, in (0, 1].

    Returns:
        `[n]` strings, "" for what is left out.
    """
    sides = np.array(sides)
    for label, share in shares.items():
        rows = np.flatnonzero((sides == "train") & (labels == label))
        members, sizes = np.unique(groups[rows], return_counts=True)
        order = np.random.default_rng([seed, label]).permutation(len(members))
        kept_before = np.cumsum(sizes[order]) - sizes[order]
        kept = members[order[kept_before < share * len(rows)]]
        sides[rows[~np.isin(groups[rows], kept)]] = ""
    return sides


def join_groups(
    *keys: Sequence[str] | pd.Series | np.ndarray, extra_pairs: Iterable[tuple[int, int]] = ()
) -> np.ndarray:
    """Groups of images that must stay together: the connected components over shared keys.

    Args:
        keys: one or several columns of `n` values (lesion ids, patient ids); equal values join their images, empty
            values and NaN join nothing.
        extra_pairs: pairs of positions that belong together as well, for example near-duplicate pictures.

    Returns:
        int `[n]`, the group of each image; an image that nothing joins is a group of its own.
    """
    n = len(keys[0])
    images, joints, width = [], [], n
    for key in keys:
        values = pd.Series(np.asarray(key, dtype=object))
        values = values.where(values.astype(str).str.strip() != "")
        codes, unique = pd.factorize(values)  # -1: empty
        present = np.flatnonzero(codes >= 0)
        images.append(present)
        joints.append(codes[present] + width)
        width += len(unique)
    pairs = np.array(list(extra_pairs), dtype=np.int64).reshape(-1, 2)
    images.append(pairs[:, 0])
    joints.append(pairs[:, 1])
    rows, columns = np.concatenate(images), np.concatenate(joints)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(width, width))
    return connected_components(graph, directed=False)[1][:n]


def counts(labels: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """int `[classes, 3]`: images of each class on each side; `sides` holds names or positions of `SPLITS`. What is on
    none of the three is not counted."""
    sides = np.asarray(sides)
    if sides.dtype.kind not in "iu":
        sides = pd.Categorical(sides, categories=SPLITS).codes
    labels = np.asarray(labels)
    table = np.zeros((int(np.max(labels)) + 1, 3), np.int64)
    np.add.at(table, (labels[sides >= 0], sides[sides >= 0]), 1)
    return table


def _fill_empty(sides: np.ndarray, table: np.ndarray, sizes: np.ndarray) -> None:
    """Gives each side a group of each class, where a move does not take the last one of a class away elsewhere."""
    has = table > 0
    for label in range(table.shape[1]):
        for side in range(3):
            members = np.flatnonzero(has[:, label])
            if not len(members) or (sides[members] == side).any():
                continue
            on_side = np.stack([has[sides == s].sum(axis=0) for s in range(3)])  # groups of each class on each side
            movable = [g for g in members if (on_side[sides[g]][has[g]] > 1).all()]
            if movable:
                sides[min(movable, key=lambda g: (sizes[g], g))] = side


def _check_shares(validation: float, test: float) -> None:
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise UsageError(
            f"data.validation={validation:g} and data.test={test:g}: each must be above 0, and both together below 1"
        )


def _check_enough(labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], unit: str) -> None:
    if not len(labels):
        raise UsageError("there is no labelled image to split")
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    for label, number in zip(*np.unique(pairs[:, 0], return_counts=True), strict=True):
        if number < 3:
            raise UsageError(
                f"class {_name(label, classes)} has {number} {unit}, and a split into training, validation and test "
                f"needs at least 3: add images of it or leave the class out"
            )


def _name(label: int, classes: Sequence[str]) -> str:
    return classes[label] if label < len(classes) else str(label)
