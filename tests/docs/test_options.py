"""docs/options.md has a row for each option, in the order of its group, with its default and its meaning."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lesiongan.config.meanings import meanings
from lesiongan.config.run import Config

PAGE = (Path(__file__).parents[2] / "docs" / "options.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
GROUPS = {field.name: field.default for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.default)}


def shown(value) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def rows(section: str) -> list[tuple[str, str, str]]:
    found = re.findall(r"^\| `(\w+)` \| ([^|]+?) \| ((?:[^|]|\\\|)+?) \|", SECTIONS[section], re.M)
    return [(name, default, LINK.sub(r"docs/\1", text).replace("\\|", "|")) for name, default, text in found]


@pytest.mark.parametrize("group", GROUPS)
def test_each_option_has_its_row(group):
    options = dataclasses.fields(GROUPS[group])
    texts = meanings(type(GROUPS[group]))
    assert rows(group) == [(option.name, shown(option.default), texts[option.name]) for option in options]


def test_options_of_no_group_have_theirs():
    single = [field for field in dataclasses.fields(Config) if field.name not in GROUPS]
    texts = meanings(Config)
    assert rows("Whole configuration") == [(field.name, shown(field.default), texts[field.name]) for field in single]
