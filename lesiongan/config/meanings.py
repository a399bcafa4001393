"""What each option means: the comments beside the fields of the configuration's dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
import io
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple

from lesiongan.config.run import Config


class Option(NamedTuple):
    """One option.

    Attributes:
        name: `group.key`, or `key` of an option of the whole configuration.
        value: in a configuration.
        default: of its dataclass.
        meaning: in words.
    """

    name: str
    value: Any
    default: Any
    meaning: str


def options(config: Config) -> Iterator[Option]:
    """All options of a configuration, in the order of their dataclasses."""
    yield from _of_group(config, "")
    for field in dataclasses.fields(config):
        group = getattr(config, field.name)
        if dataclasses.is_dataclass(group):
            yield from _of_group(group, f"{field.name}.")


def meanings(cls: type) -> dict[str, str]:
    """Field -> the comment at the end of its line, or else on the lines right above it."""
    lines = inspect.getsource(cls).splitlines(keepends=True)
    comments, own_line = {}, {}
    for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            comments[row] = token.string.lstrip("# ")
            own_line[row] = not lines[row - 1][: token.start[1]].strip()
    found = {}
    for row, line in enumerate(lines, 1):
        name = line.strip().partition(":")[0]
        if name not in cls.__annotations__ or name in found:
            continue
        above = row
        while own_line.get(above - 1):
            above -= 1
        rows = [row] if row in comments else range(above, row)
        found[name] = " ".join(comments[each] for each in rows)
    return found


def shown(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _of_group(group: Any, prefix: str) -> Iterator[Option]:
    texts = meanings(type(group))
    defaults = type(group)()
    for field in dataclasses.fields(group):
        value = getattr(group, field.name)
        if not dataclasses.is_dataclass(value):
            yield Option(f"{prefix}{field.name}", value, getattr(defaults, field.name), texts.get(field.name, ""))
