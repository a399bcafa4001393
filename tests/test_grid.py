from __future__ import annotations

from lesiongan.config import NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.grid import nested_order, nevus_to_melanoma_cells, noise_to_lesion_cells, shares
from lesiongan.taxonomy import ISIC_2019


def test_the_papers_tables_have_11_and_32_classifiers():
    assert len(noise_to_lesion_cells(NoiseToLesionConfig(), ISIC_2019.classes)) == 11  # Table 2, ISIC-0 among them
    assert len(nevus_to_melanoma_cells(NevusToMelanomaConfig())) == 1 + 32  # Table 3, the baseline beside it


def test_cells_have_different_file_names():
    cells = (
        nevus_to_melanoma_cells(NevusToMelanomaConfig())
        + noise_to_lesion_cells(NoiseToLesionConfig(), ISIC_2019.classes)[1:]
    )
    assert len({cell.slug for cell in cells}) == len(cells)


def test_amounts_are_shared_equally_over_classes():
    assert shares(2000, 8) == [250] * 8
    assert shares(10, 4) == [3, 3, 2, 2]


def test_amounts_are_nested_and_depend_on_the_seed():
    order = nested_order(100, 1)
    assert sorted(order) == list(range(100))
    assert (nested_order(100, 1) == order).all()
    assert (nested_order(100, 2) != order).any()
