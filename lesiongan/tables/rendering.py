"""Pages from templates: one environment, and how numbers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2

from lesiongan.evaluation.verdict import p_text


def render(
    template: str, *, packages: Sequence[str] = (), filters: Mapping[str, Callable] | None = None, **values
) -> str:
    """A page of HTML that needs no other file and no network; what a template names and `values` lacks is an error.

    Args:
        template: its file's name.
        packages: where templates are looked for first, before this package.
        filters: beside those of this module.
        values: what the template gets.
    """
    loaders = [jinja2.PackageLoader(package, ".") for package in (*packages, "lesiongan.tables")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": signed, "places": places, "plain": plain, "p": _equals, **(filters or {})}
    return environment.get_template(template).render(**values)


def signed(value: float) -> str:
    """Three decimals with a sign (a minus as wide as the plus)."""
    return f"{value:+.3f}".replace("-", "−")


def places(value: float | None, digits: int = 3) -> str:
    """So many decimals, with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def plain(value: Any) -> str:
    """A number with four significant digits, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _equals(value: float) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"
