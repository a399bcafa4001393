"""The leak audit on a case that is counted by hand."""

from __future__ import annotations

import pandas as pd

from lesiongan.data.leaks import COLUMNS, audit
from lesiongan.data.near_duplicates import Pair


def test_a_case_counted_by_hand():
    rows = pd.DataFrame(
        {
            "image_id": list("abcdefg"),
            "label": [0, 0, 1, 1, 0, 1, 1],
            "lesion_id": ["L1", "L1", "L2", "L2", "", "L3", "L3"],
            "patient_id": ["P", "P", "P", "P", "", "Q", ""],
            "split": ["train", "test", "train", "train", "test", "validation", "test"],
        }
    )
    pairs = [Pair(0, 1, 0.99), Pair(2, 3, 1.0), Pair(3, 4, 0.97), Pair(2, 4, 0.97), Pair(5, 6, 0.98)]
    numbers, table = audit(rows, ("MEL", "NV"), pairs)
    assert numbers == {
        "lesions": 3,
        "lesions_across": 2,  # L1 and L3
        "images_with_lesion_in_training": 1,  # b
        "patients": 2,
        "patients_across": 1,  # P
        "images_with_patient_in_training": 1,  # b
        "images_without_lesion_id": 1,
        "near_duplicates": 5,
        "near_duplicates_of_different_lesions": 2,  # d-e and c-e
        "near_duplicates_of_different_classes": 2,
        "near_duplicates_across": 4,
        "images_with_near_duplicate_in_training": 2,  # b and e
    }
    assert tuple(table.columns) == COLUMNS
    assert table["image"].tolist() == ["a", "d", "c", "f", "c"]  # those across the split first
    assert table.iloc[1].tolist() == ["d", "train", "NV", "e", "test", "MEL", False, 0.97]


def test_nothing_to_find():
    rows = pd.DataFrame({"image_id": ["a"], "label": [0], "lesion_id": [""], "patient_id": [""], "split": ["train"]})
    numbers, table = audit(rows, ("MEL",), [])
    assert table.empty
    assert {name: value for name, value in numbers.items() if value} == {"images_without_lesion_id": 1}
