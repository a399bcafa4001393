"""The report's pages: templates of this package on those of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from lesiongan.evaluation.verdict import p_text
from lesiongan.tables import rendering


def render(template: str, **values: Any) -> str:
    """See `lesiongan.tables.rendering.render`."""
    filters: dict[str, Callable[..., Any]] = {"svg": Markup, "duration": duration, "p_text": p_text}
    return rendering.render(template, packages=("lesiongan.reporting",), filters=filters, **values)


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
