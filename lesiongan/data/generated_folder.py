"""A folder of generated pictures, as `lesiongan generate` writes it, among the sources."""

from __future__ import annotations

from pathlib import Path

#: Where pictures lie, and the tables and the sheet beside their folder.
IMAGES, TRUTH, PROVENANCE, SHEET = "images", "ground_truth.csv", "provenance.csv", "contact_sheet.png"
#: IPTC's digital source type of a picture that a program drew without having learned from any.
DRAWN_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
#: What is said where such a folder stands in place of real images.
NOTICE = "generated pictures (provenance.csv says by what): what is measured on them says nothing of real lesions"


def is_generated(folder: Path) -> bool:
    """Whether the folder says of itself that its pictures are generated."""
    try:
        with (folder / PROVENANCE).open(encoding="utf-8", errors="replace") as file:
            return "digital_source_type" in file.readline()
    except OSError:
        return False
