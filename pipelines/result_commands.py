"""The commands that read what finished runs left: `report`, `compare` and `models`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from pipelines import arguments as shared


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    report = commands.add_parser("report", help="make a run's reports again from its artifacts")
    report.add_argument("directory", type=Path, metavar="DIR", help="the --workdir of a finished run, or a copy of it")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="where they go (default: the same folder)")
    report.set_defaults(run=_report)

    models = commands.add_parser("models", help="pushed models by version: what they are, measured and blessed")
    models.add_argument(
        "--models-dir", type=Path, metavar="DIR", help="of pushed models (default: $LESIONGAN_MODELS or saved_models)"
    )
    models.add_argument(
        "--roll-back", metavar="NAME", help="withdraw the version that servers take, for the one before"
    )
    models.add_argument("--restore", metavar="NAME:VERSION", help="put a withdrawn version back")
    models.add_argument("--json", action="store_true", help="for programs")
    models.set_defaults(run=_models)

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


def _models(arguments: argparse.Namespace) -> int:
    from lesiongan.serving import model_artifact, registry

    store = arguments.models_dir or model_artifact.store()
    if arguments.roll_back:
        before, now = registry.roll_back(store, arguments.roll_back)
        print(f"{arguments.roll_back}: version {before} is withdrawn, servers take {now}")
    if arguments.restore:
        name, _, version = arguments.restore.rpartition(":")
        if not version.isdecimal():
            raise UsageError(f"--restore {arguments.restore}: give NAME:VERSION")
        print(f"{name}: servers take version {registry.restore(store, name, int(version))}")
    if not (arguments.roll_back or arguments.restore):
        rows = registry.pushed(store)
        print(json.dumps(rows, indent=1) if arguments.json else "\n".join(registry.lines(rows)))
    return ExitCode.DONE


def _compare(arguments: argparse.Namespace) -> int:
    shared.check_output_file(arguments.output)
    from lesiongan.reporting.compare import compare

    print(f"page: {compare(arguments.runs, arguments.output)}")
    return ExitCode.DONE
