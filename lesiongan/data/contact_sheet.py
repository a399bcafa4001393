"""Contact sheets: rows of small pictures with labels, as PNG files for reports and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 3
_LONGEST = 40  # letters of a label
_BACKGROUND = (245, 245, 245)
_INK = (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 96,
) -> np.ndarray:
    """Lays pictures out in rows.

    Args:
        rows: pictures, uint8 `[h, w, 3]` each; rows may differ in length.
        row_labels: a text before each row.
        column_labels: a text above each column.
        cell: pixels of a picture's side on the sheet; small pictures are enlarged without smoothing, so that pixels
            stay visible.

    Returns:
        uint8 `[height, width, 3]`.
    """
    font = ImageFont.load_default(size=12)
    row_labels, column_labels = [_short(t) for t in row_labels], [_short(t) for t in column_labels]
    left = _GAP + (max((int(font.getlength(t)) for t in row_labels), default=0) + 2 * _GAP if row_labels else 0)
    top = 20 if column_labels else _GAP
    columns = max((len(row) for row in rows), default=1)
    sheet = Image.new("RGB", (left + columns * (cell + _GAP), top + len(rows) * (cell + _GAP)), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for j, text in enumerate(column_labels):
        draw.text((left + j * (cell + _GAP) + cell // 2, 4), text, fill=_INK, font=font, anchor="ma")
    for i, row in enumerate(rows):
        y = top + i * (cell + _GAP)
        if i < len(row_labels):
            draw.text((_GAP, y + cell // 2), row_labels[i], fill=_INK, font=font, anchor="lm")
        for j, picture in enumerate(row):
            image = Image.fromarray(np.asarray(picture, dtype=np.uint8))
            if image.size != (cell, cell):
                enlarged = image.width < cell
                image = image.resize((cell, cell), Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC)
            sheet.paste(image, (left + j * (cell + _GAP), y))
    return np.asarray(sheet)


def _short(text: str) -> str:
    """A name of thousands of letters would make a sheet as wide."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def save_sheet(picture: np.ndarray, path: str | Path) -> None:
    """Writes a uint8 `[h, w, 3]` picture as PNG, making its folder."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, optimize=True)
