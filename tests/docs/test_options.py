"""docs/options.md has a row for each option, in the order of its group, with its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lesiongan.config.run import Config

PAGE = (Path(__file__).parents[2] / "docs" / "options.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
GROUPS = {field.name: field.default for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.default)}


def shown(value) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def rows(section: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", SECTIONS[section], re.M)


@pytest.mark.parametrize("group", GROUPS)
def test_each_option_has_its_row(group):
    options = dataclasses.fields(GROUPS[group])
    assert rows(group) == [(option.name, shown(option.default)) for option in options]


def test_options_of_no_group_have_theirs():
    single = [field for field in dataclasses.fields(Config) if field.name not in GROUPS]
    assert rows("Whole configuration") == [(field.name, shown(field.default)) for field in single]
