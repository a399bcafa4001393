"""The commands that read finished runs: `report` and `compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lesiongan.base.errors import ExitCode
from pipelines import arguments as shared


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    report = commands.add_parser("report", help="make a run's reports again from its artifacts")
    report.add_argument("directory", type=Path, metavar="DIR", help="the --workdir of a finished run, or a copy of it")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="where they go (default: the same folder)")
    report.set_defaults(run=_report)

    compare = commands.add_parser("compare", help="set finished runs side by side on one page")
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="the --workdir of a finished run")
    compare.add_argument("-o", "--output", type=Path, default=Path("compare.html"), metavar="FILE.html")
    compare.set_defaults(run=_compare)


def _report(arguments: argparse.Namespace) -> int:
    if arguments.output:
        shared.check_output_folder(arguments.output)
    from lesiongan.reporting.again import remake

    for path in remake(arguments.directory, arguments.output):
        print(f"report: {path}")
    return ExitCode.DONE


def _compare(arguments: argparse.Namespace) -> int:
    shared.check_output_file(arguments.output)
    from lesiongan.reporting.compare import compare

    print(f"page: {compare(arguments.runs, arguments.output)}")
    return ExitCode.DONE
