"""`lesiongan options`: what it prints is what the configuration holds."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

from lesiongan.config.meanings import meanings, options
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from pipelines.presets import PRESETS


def run(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.cli", "options", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_every_option_has_a_meaning_in_words():
    unsaid = [option.name for option in options(Config()) if not re.search(r"[a-z]{2}", option.meaning)]
    assert unsaid == []


def test_a_comment_above_a_field_counts_as_one_beside_it(tmp_path, monkeypatch):
    source = (
        "import dataclasses\n\n@dataclasses.dataclass\nclass Some:\n    '''Text: a = 1.'''\n\n"
        "    first: int = 1  # beside it\n    # above\n    # in two lines\n    second: str = '# none'\n"
        "    third: int = 2\n"
    )
    (tmp_path / "some_options.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    from some_options import Some

    assert meanings(Some) == {"first": "beside it", "second": "above in two lines", "third": ""}


def test_what_is_printed_sets_the_preset_again():
    printed = run("acgan", "--preset", "demo").stdout
    rows = re.findall(r"^(acgan\.\w+) +(\S*)", printed, re.M)
    assert len(rows) == len(dataclasses.fields(Config().acgan))
    assert assign(Config(), *(f"{name}={value}" for name, value in rows)).acgan == PRESETS["demo"]().acgan


def test_the_difference_of_two_presets_names_both_values():
    head, *rows = run("grid", "--diff", "small", "best").stdout.splitlines()
    assert head.split() == ["small", "best"]
    small, best = PRESETS["small"]().grid, PRESETS["best"]().grid
    differing = [f.name for f in dataclasses.fields(small) if getattr(small, f.name) != getattr(best, f.name)]
    assert [row.split()[0] for row in rows] == [f"grid.{name}" for name in differing]


def test_an_unknown_group_is_one_line():
    done = run("nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("lesiongan: no group 'nonsense' of options; there are data, ")
    assert done.stderr.count("\n") == 1
