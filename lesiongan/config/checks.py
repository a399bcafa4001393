"""How an option's value is refused: one line that names the option, the value, and what is allowed."""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Iterable
from typing import Any, Literal

from lesiongan.base.errors import UsageError


def require(holds: bool, option: str, why: str) -> None:
    """Raises `UsageError` unless the value of an option holds."""
    if not holds:
        raise UsageError(f"option {option!r}: {why}")


def at_least(config: Any, group: str, minimum: float, names: Iterable[str]) -> None:
    """Raises `UsageError` where one of the named options is below the minimum."""
    for name in names:
        value = getattr(config, name)
        require(value >= minimum, f"{group}.{name}", f"{value} is less than {minimum}; give {minimum} or more")


def within(config: Any, group: str, low: float, high: float, names: Iterable[str]) -> None:
    """Raises `UsageError` where one of the named options is not in [low, high]."""
    for name in names:
        value = getattr(config, name)
        require(low <= value <= high, f"{group}.{name}", f"{value} is not from {low} to {high}")


def all_differ(group: str, name: str, values: Iterable[Any]) -> None:
    """Raises `UsageError` where a value stands twice in a list: two rows of a table would be the same."""
    values = tuple(values)
    listed = ", ".join(map(str, values))
    require(len(set(values)) == len(values), f"{group}.{name}", f"a value stands in it twice: {listed}")


def fraction(text: str) -> float | None:
    """The number that a text says, as `0.125` or as `1/8`; None where it says none that is finite."""
    top, _, bottom = text.partition("/")
    try:
        number = float(top) / float(bottom) if bottom else float(top)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def known_choices(config: Any, group: str = "") -> None:
    """Raises `UsageError` where an option with a list of choices has another value."""
    for name, choices in _choices(config.__class__).items():
        value = getattr(config, name)
        for each in value if isinstance(value, tuple) else (value,):
            require(
                each in choices, f"{group}.{name}".lstrip("."), f"{each!r} is none of {', '.join(map(str, choices))}"
            )


@functools.cache
def _choices(cls: type) -> dict[str, tuple]:
    choices = {}
    for name, hint in typing.get_type_hints(cls).items():
        if typing.get_origin(hint) is tuple:
            hint = typing.get_args(hint)[0]
        if typing.get_origin(hint) is Literal:
            choices[name] = typing.get_args(hint)
    return choices
