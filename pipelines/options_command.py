"""`lesiongan options`: every option with its value, its default and its meaning."""

from __future__ import annotations

import argparse
import textwrap

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.config.meanings import Option, options, shown
from pipelines.presets import resolve

_WIDTH = 118


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    parser = commands.add_parser("options", help="every option of --set: value, default, meaning")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="data, classifier, acgan, ... (default: all)")
    parser.add_argument("--preset", default="small", help="whose values are shown (default: %(default)s)")
    parser.add_argument("--recipe", help="paper or best, at the preset's scale")
    parser.add_argument("--diff", nargs=2, metavar="PRESET", help="only what differs between two presets")
    parser.set_defaults(run=_options)


def _options(arguments: argparse.Namespace) -> int:
    if arguments.diff:
        rows = [_chosen(preset, None, arguments.groups) for preset in arguments.diff]
        text = _differences(arguments.diff, *rows)
    else:
        text = _listed(_chosen(arguments.preset, arguments.recipe, arguments.groups))
    print("\n".join(text))
    return ExitCode.DONE


def _chosen(preset: str, recipe: str | None, groups: list[str]) -> list[Option]:
    config = resolve(preset, recipe=recipe, here=False)
    found = list(options(config))
    known = list(dict.fromkeys(option.name.partition(".")[0] for option in found if "." in option.name))
    for group in groups:
        if group not in known:
            raise UsageError(f"no group {group!r} of options; there are {', '.join(known)}")
    return [option for option in found if not groups or option.name.partition(".")[0] in groups]


def _listed(rows: list[Option]) -> list[str]:
    name = max(len(row.name) for row in rows) + 2
    value = max(len(shown(row.value)) for row in rows) + 2
    text = []
    for row in rows:
        default = "" if row.value == row.default else f" (default: {shown(row.default) or 'empty'})"
        lines = textwrap.wrap(f"{row.meaning}{default}", max(40, _WIDTH - name - value)) or [""]
        text.append(f"{row.name:{name}s}{shown(row.value):{value}s}{lines[0]}".rstrip())
        text += [" " * (name + value) + line for line in lines[1:]]
    return text


def _differences(names: list[str], first: list[Option], second: list[Option]) -> list[str]:
    rows = [(a.name, shown(a.value), shown(b.value)) for a, b in zip(first, second, strict=True) if a.value != b.value]
    rows.insert(0, ("", names[0], names[1]))
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(3)]
    return ["".join(f"{cell:{width}s}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
