"""How figures are drawn: as inline SVG whose text and lines take the page's colour, so that one picture serves light,
dark and print; and the same as files for a paper."""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Sized
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# Stands for the page's text colour while drawing; SVG's `currentColor` takes its place afterwards.
INK = "#010203"
COLOURS = ("#2f7fc1", "#d9822b", "#2f9e6e", "#b5507a", "#8067b7", "#8a8a8a")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names come from the data; a `$` in one is a dollar
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
POINTS = 160  # of a curve; more cannot be seen
FEW = 10  # points of a curve, up to which a line through them would suggest a course that nobody measured
FORMATS = ("pdf", "svg", "png")

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every letter that it puts into a PDF
WIDTH = 4.7  # inches; about the width of a phone, so that text stays readable there


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def thinned(points: list[tuple]) -> list[tuple]:
    """At most `POINTS` points, each the mean of its neighbours."""
    size = math.ceil(len(points) / POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [tuple(sum(values) / len(group) for values in zip(*group, strict=True)) for group in groups]


def short(text: str, length: int = 28) -> str:
    text = str(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def joined(points: Sized) -> str:
    """The line style of a curve: none where it has few points."""
    return "none" if len(points) <= FEW else "-"


class Drawing(str):
    """A figure as a page shows it: the text is inline SVG, and `file` gives it as a file.

    Attributes:
        name: unique among the figures of a page, and the stem of its files.
    """

    figure: Figure
    name: str

    def __new__(cls, figure: Figure, name: str, description: str) -> Drawing:
        figure.draw_without_rendering()  # which lays it out: once, not twice for each of its files
        figure.set_layout_engine(None)
        drawing = super().__new__(cls, _inline(figure, name, description))
        drawing.figure, drawing.name = figure, name
        return drawing

    def file(self, ending: str) -> bytes:
        """The bytes of a file of one of `FORMATS`; the same figure gives the same bytes."""
        stream = io.BytesIO()
        dates: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
        # Type 3 fonts, the default in PDF, are refused by publishers; text in SVG stays text, to be edited.
        fonts = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": self.name}
        with rc_context(STYLE | fonts):
            self.figure.savefig(stream, format=ending, dpi=300, metadata=dates[ending])
        return stream.getvalue()


def slug(text: str) -> str:
    """A name as it may stand in an id and in a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "figure"


def _inline(figure: Figure, name: str, description: str) -> str:
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(
            stream,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace(INK, "currentColor")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    # Ids must differ between the figures of a page.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    # Coordinates to a hundredth of a point; text stays as it is.
    text = re.sub(r'\b(?:d|x|y|transform)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    width = figure.get_figwidth() * 96
    head = f'<svg role="img" aria-label="{escape(description, quote=True)}" style="max-width:{width:.0f}px"'
    return re.sub(
        r'<svg((?: [\w:]+="[^"]*")*)',
        lambda m: head + re.sub(r' (?:width|height|version)="[^"]*"', "", m[1]),
        text,
        count=1,
    )
