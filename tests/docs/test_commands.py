"""Every command of README and docs is one that the command line takes; `test_commands_run.py` runs them."""

from __future__ import annotations

import re

import pytest
from documented import PAGES, lines

from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from pipelines.cli import _parse

COMMANDS = [line for line in lines() if line.words]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: f"{line.page}: {line.text}")
def test_the_command_line_takes_it(line):
    words = line.words[: line.words.index(">")] if ">" in line.words else line.words
    assert callable(_parse(words).run)


def test_there_are_such_commands():
    assert {"README.md", "experiments.md", "serving.md", "data.md"} <= {line.page for line in COMMANDS}
    assert len(COMMANDS) > 25


def test_files_of_options_are_read(tmp_path):
    blocks = [block for page in PAGES for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.M | re.S)]
    assert blocks
    for block in blocks:
        (tmp_path / "options.toml").write_text(block)
        assert assign(Config(), file=tmp_path / "options.toml") != Config()
