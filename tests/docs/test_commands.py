"""Every command of README and docs is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipelines.cli import _parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """The page and the text of each command of this project in a block of shell."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                _, at, command = line.partition("lesiongan ")
                if at and not line.lstrip().startswith(("pip ", "#")) and re.match(r"(\S*/)?$", line.partition(at)[0]):
                    found.append((page.name, f"lesiongan {command}"))
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_the_command_line_takes_it(page, command):
    words = shlex.split(command, comments=True)
    words = [word for word in words if word not in ("...", "&&")]
    assert callable(_parse(words).run)


def test_there_are_such_commands():
    pages = {page for page, _ in commands()}
    assert {"README.md", "experiments.md", "serving.md", "data.md"} <= pages
    assert len(commands()) > 25
