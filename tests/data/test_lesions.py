"""Which images are the first of their lesion."""

from __future__ import annotations

from lesiongan.data.lesions import first_of_each_lesion

LESIONS = {"a": "L1", "b": "L2", "c": "L1", "d": "", "e": "", "f": "L2"}


def test_the_first_image_of_each_lesion_and_every_image_without_one():
    assert first_of_each_lesion("abcdef", LESIONS).tolist() == [0, 1, 3, 4]
    assert first_of_each_lesion("fcba", LESIONS).tolist() == [0, 1]  # the order of the images decides
    assert first_of_each_lesion("xy", LESIONS).tolist() == [0, 1]  # of which nothing is known
    assert first_of_each_lesion("", LESIONS).tolist() == []


def test_a_lesion_called_as_an_image_is_not_that_image():
    assert first_of_each_lesion(("a", "L1"), LESIONS).tolist() == [0, 1]


def test_generated_images_go_by_the_lesion_that_they_were_made_of():
    sources = {"g0": "a", "g1": "c", "g2": "d", "g3": "e", "g4": "", "g5": "", "g6": "noise1", "g7": "noise1"}
    ids = [
        f"g{i}" for i in range(9)
    ]  # g2, g3: sources without lesion; g4, g5, g8: made of none; g6, g7: of an unlisted
    assert first_of_each_lesion(ids, LESIONS, sources).tolist() == [0, 2, 3, 4, 5, 6, 8]
