"""`--quick`, of every benchmark of speed: under two minutes on two quiet cores, and the same last line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


def parse(
    parser: argparse.ArgumentParser, takes: str, given: Sequence[str] | None = None, **smaller: Any
) -> argparse.Namespace:
    """The arguments of a benchmark, which says at its start about how long it takes.

    Args:
        takes: how long the whole form takes on two quiet cores.
        given: the words; None: the command line's.
        smaller: defaults of the quick form, by the options' destinations; what is given counts all the same.
    """
    parser.add_argument(
        "--quick", action="store_true", help="under two minutes on two quiet cores; its figures say little"
    )
    if parser.parse_args(given).quick:
        parser.set_defaults(**smaller)
    arguments = parser.parse_args(given)
    whole = f"takes about {takes} on two quiet cores; --quick takes under two minutes"
    print("quick form: under two minutes on two quiet cores" if arguments.quick else whole, flush=True)
    return arguments


def last_line(arguments: argparse.Namespace, text: str) -> None:
    print(f"{text}{' (quick form)' if arguments.quick else ''}", flush=True)
