"""Configurations from text and as text: `--set key=value`, TOML files, JSON."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from lesiongan.base.errors import UsageError
from lesiongan.config.checks import fraction


class Dataclass(Protocol):
    """Any instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=Dataclass)


def to_json(config: Any) -> str:
    """The canonical JSON of a configuration: the same text for the same values (it is part of cache keys)."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, separators=(",", ":"))


def from_json(cls: type[T], text: str) -> T:
    return from_dict(cls, json.loads(text))


def from_dict(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from nested dicts; an unknown key or a value of the wrong type raises `UsageError`."""
    return update(cls(), data, where)


def update(config: T, data: Mapping[str, Any], where: str = "") -> T:
    """A copy of `config` with the values of nested dicts put in; unknown keys and wrong types raise `UsageError`."""
    hints = typing.get_type_hints(type(config))
    changes = {}
    for key, value in data.items():
        name = f"{where}{key}"
        if key not in hints:
            known = ", ".join(f"{where}{k}" for k in hints)
            raise UsageError(f"unknown option {name!r}; known here: {known}")
        old = getattr(config, key)
        if dataclasses.is_dataclass(old) and not isinstance(old, type):
            if not isinstance(value, Mapping):
                raise UsageError(f"option {name!r} is a group of options, not one value; set {name}.KEY=VALUE")
            changes[key] = update(old, value, f"{name}.")
        else:
            changes[key] = _typed(value, hints[key], name)
    return dataclasses.replace(config, **changes)


def assign(config: T, *assignments: str, file: str | Path | None = None) -> T:
    """A copy of `config` with the options of a TOML file, then `dotted.key=value` assignments, each parsed by the
    option's type. They are put in together, so that values which only fit each other can come in any order.

    Raises:
        UsageError: an unreadable file, an unknown key, or a value that an option does not take.
    """
    data = read_toml(file) if file else {}
    for assignment in assignments:
        _merge(data, _parsed(assignment))
    return update(config, data)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The options of a TOML file, in groups; an unreadable one raises `UsageError`."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not TOML: {error}") from None


def _parsed(assignment: str) -> dict[str, Any]:
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {assignment!r}: write it as key=value, for example cyclegan.images=2000")
    data: Any = text.strip()
    for part in reversed(key.strip().split(".")):
        data = {part: data}
    return data


def _merge(into: dict[str, Any], data: Mapping[str, Any]) -> None:
    for key, value in data.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _typed(value: Any, hint: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value  # its group knows the choices
    if origin is tuple:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"option {name!r}: give a list separated by commas, got {value!r}")
        return tuple(_typed(part, arguments[0], name) for part in value)
    if origin in (typing.Union, types.UnionType):
        raise TypeError(f"option {name!r} has a union type, which the command line cannot parse")
    try:
        if hint is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]
        if hint is int:
            number = float(str(value).replace("_", ""))
            if number != int(number):
                raise ValueError(value)
            return int(number)
        if hint is float:
            if (parsed := fraction(str(value))) is None:
                raise ValueError(value)
            return parsed
    except (ValueError, KeyError, OverflowError, ZeroDivisionError):
        raise UsageError(f"option {name!r}: {value!r} is not of type {hint.__name__}") from None
    if not isinstance(value, hint):
        raise UsageError(f"option {name!r}: {value!r} is not of type {hint.__name__}")
    return value
