"""The leak audit: lesions, patients and photographs that the training side of a split shares with the others.

A test set is honest only if no lesion, patient or photograph in it was trained on. The paper's split by images does not
ensure that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lesiongan.data.near_duplicates import Pair

#: The columns of leaks.csv: one row per pair of near-duplicates.
COLUMNS = ("image", "split", "label", "duplicate", "duplicate_split", "duplicate_label", "same_lesion", "correlation")


def audit(rows: pd.DataFrame, classes: Sequence[str], pairs: Sequence[Pair]) -> tuple[dict[str, int], pd.DataFrame]:
    """Counts lesions, patients and near-duplicate pictures on several sides of a split.

    Args:
        rows: the images that are present, with image_id, label (int), lesion_id, patient_id, split.
        classes: the classes' names.
        pairs: near-duplicates, by position in `rows`.

    Returns:
        Numbers by name, and a table of all pairs (`COLUMNS`), those across the split first. `..._across` counts what is
        on more than one side; `..._in_training` counts images of other sides of which training holds another picture.
    """
    split = rows["split"].to_numpy()
    numbers: dict[str, int] = {}
    for name, plural in (("lesion", "lesions"), ("patient", "patients")):
        known = rows[f"{name}_id"].to_numpy() != ""
        sides = pd.DataFrame({"id": rows[f"{name}_id"].to_numpy()[known], "split": split[known]})
        numbers[plural] = int(sides["id"].nunique())
        numbers[f"{plural}_across"] = int((sides.groupby("id")["split"].nunique() > 1).sum())
        trained = set(sides.loc[sides["split"] == "train", "id"])
        elsewhere = sides[(sides["split"] != "train") & sides["id"].isin(trained)]
        numbers[f"images_with_{name}_in_training"] = len(elsewhere)
    numbers["images_without_lesion_id"] = int((rows["lesion_id"] == "").sum())

    first, second = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    across = split[first] != split[second]
    labels, lesions = rows["label"].to_numpy(), rows["lesion_id"].to_numpy()
    same_lesion = (lesions[first] == lesions[second]) & (lesions[first] != "")
    outside = [np.where(split[a] != "train", a, -1)[split[b] == "train"] for a, b in ((first, second), (second, first))]
    numbers |= {
        "near_duplicates": len(pairs),
        "near_duplicates_of_different_lesions": int((~same_lesion).sum()),
        "near_duplicates_of_different_classes": int((labels[first] != labels[second]).sum()),
        "near_duplicates_across": int(across.sum()),
        "images_with_near_duplicate_in_training": len(set(np.concatenate(outside)) - {-1}),
    }
    ids, names = rows["image_id"].to_numpy(), np.array(classes, object)
    columns = (ids, split, names[labels])
    table = pd.DataFrame(
        [
            (*(column[a] for column in columns), *(column[b] for column in columns), bool(same), round(correlation, 4))
            for (a, b, correlation), same in zip(pairs, same_lesion, strict=True)
        ],
        columns=list(COLUMNS),
    )
    return numbers, table.iloc[np.argsort(~across, kind="stable")]
