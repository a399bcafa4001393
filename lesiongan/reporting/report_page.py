"""The report's pages: templates of this package on those of the tables."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from lesiongan.evaluation.verdict import p_text
from lesiongan.reporting.drawing import Drawing
from lesiongan.tables import formats, rendering
from lesiongan.tables.layout import Table


def render(template: str, **values: Any) -> str:
    """See `lesiongan.tables.rendering.render`."""
    filters: dict[str, Callable[..., Any]] = {"svg": Markup, "duration": duration, "p_text": p_text}
    filters |= {"figure_files": figure_files, "table_files": table_files}
    return rendering.render(template, packages=("lesiongan.reporting",), filters=filters, **values)


def figure_files(figure: Drawing) -> list[tuple[str, str, str]]:
    """(what it is called, the file's name, a data URI) of each form that a figure can be saved in from the page."""
    return [
        (ending.upper(), f"{figure.name}.{ending}", _data_uri(kind, figure.file(ending)))
        for ending, kind in (("pdf", "application/pdf"), ("svg", "image/svg+xml"))
    ]


def table_files(table: Table) -> list[tuple[str, str, str]]:
    """The same of a table: LaTeX compact and full, and CSV."""
    forms = (
        ("LaTeX", f"{table.name}_compact.tex", "application/x-tex", formats.latex(table, compact=True)),
        ("LaTeX with differences", f"{table.name}.tex", "application/x-tex", formats.latex(table)),
        ("CSV", f"{table.name}.csv", "text/csv", formats.csv(table)),
    )
    return [(label, name, _data_uri(kind, text.encode())) for label, name, kind, text in forms]


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"
