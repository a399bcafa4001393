"""The commands that read what finished runs left: `report`, `figures`, `compare`, `models` and `export`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.base.shown import show
from pipelines import arguments as shared


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    report = commands.add_parser("report", help="make a run's reports again from its artifacts")
    report.add_argument("directory", type=Path, metavar="DIR", help="the --workdir of a finished run, or a copy of it")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="where they go (default: the same folder)")
    report.set_defaults(run=_report)

    figures = commands.add_parser("figures", help="the figures of a run's reports as files")
    figures.add_argument("directory", type=Path, metavar="DIR", help="the --workdir of a finished run, or a copy of it")
    figures.add_argument("--format", default="pdf,svg", metavar="NAMES", help="pdf, svg, png (default: %(default)s)")
    figures.add_argument(
        "-o", "--output", type=Path, default=Path("figures"), metavar="DIR", help="where they go (default: %(default)s)"
    )
    figures.set_defaults(run=_figures)

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
    shared.overwrite(compare)
    compare.set_defaults(run=_compare)

    export = commands.add_parser("export", help="images of a run as PNG or JPEG files with their tables")
    export.add_argument(
        "place",
        type=Path,
        metavar="PATH",
        help="the --workdir of a finished run, an Examples artifact, or a folder of generated sets",
    )
    export.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="goes on from what is there")
    export.add_argument(
        "--what",
        choices=("generated", "examples"),
        default="generated",
        help="of a run: its generated sets, or the real images that it took (default: %(default)s)",
    )
    export.add_argument(
        "--only", action="append", default=[], metavar="SET", help="one of several sets by its name; repeatable"
    )
    export.add_argument("--format", choices=("png", "jpeg"), default="png", help="of the files (default: %(default)s)")
    export.add_argument("--split", default="train", help="(default: %(default)s, where all generated images are)")
    export.add_argument(
        "--class", dest="classes", action="append", default=[], metavar="CLASS", help="repeatable (default: all)"
    )
    export.add_argument("--count", type=int, metavar="N", help="of each class of each set at most so many")
    export.add_argument("--size", type=int, metavar="PIXELS", help="one that the sets have (default: the largest)")
    export.set_defaults(run=_export)


def _report(arguments: argparse.Namespace) -> int:
    if arguments.output:
        shared.check_output_folder(arguments.output)
    from lesiongan.reporting.again import remake

    for path in remake(arguments.directory, arguments.output):
        print(f"report: {path}")
    return ExitCode.DONE


def _figures(arguments: argparse.Namespace) -> int:
    shared.check_output_folder(arguments.output)
    from lesiongan.reporting import figure_files

    endings = figure_files.formats_of(arguments.format)
    files = figure_files.write(arguments.directory, arguments.output, endings)
    show(f"figure: {path}" for path in files)
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
        if arguments.json:
            print(json.dumps(rows, indent=1))
        else:
            show(registry.lines(rows))
    return ExitCode.DONE


def _compare(arguments: argparse.Namespace) -> int:
    shared.check_output_file(arguments.output, overwrite=arguments.overwrite)
    from lesiongan.reporting.compare import compare

    print(f"page: {compare(arguments.runs, arguments.output)}")
    return ExitCode.DONE


def _export(arguments: argparse.Namespace) -> int:
    shared.check_output_folder(arguments.output)
    for option, number in (("--count", arguments.count), ("--size", arguments.size)):
        if number is not None and number < 1:
            raise UsageError(f"{option} {number}: give 1 or more")
    from lesiongan.serving.export_pictures import Request, export

    sets = _sets(arguments.place, arguments.what, arguments.only)
    classes = tuple(dict.fromkeys(arguments.classes))
    request = Request(arguments.split, classes, arguments.count or 0, arguments.size or 0, arguments.format)
    counts = export(sets, request, arguments.output)
    for name, count in counts.items():
        show([f"{name}: {count:,}"])
    print(f"{sum(counts.values()):,} pictures: {arguments.output}")
    return ExitCode.DONE


def _sets(place: Path, what: str, only: list[str]) -> list[Path]:
    """The Examples artifacts that a path means: of a run its latest ones of each experiment."""
    from lesiongan.reporting.again import find_reports
    from lesiongan.serving.export_pictures import sets_in

    if not place.is_dir():
        problem = "that is a file" if place.exists() else "there is no such folder"
        raise UsageError(f"{place}: {problem}; give the --workdir of a run, Examples, or a folder of generated sets")
    found = sets_in(place)
    if not found:
        folders: list[Path] = []
        for report in find_reports(place):
            inputs = ("examples",) if what == "examples" else ("sampled", "generated")
            for entry in (report["folders"].get(name, []) for name in inputs):
                folders += entry if isinstance(entry, list) else [entry]
        found = [path for folder in dict.fromkeys(folders) for path in sets_in(folder)]
        if not found:
            raise UsageError(
                f"{place}: no {what} of the run are left there; give the folder of another run (what --synthetic named "
                "is no part of one)"
            )
    known = [path.name for path in found]
    for name in only:
        if name not in known:
            raise UsageError(f"--only {name}: no such set there; there are {', '.join(known)}")
    return [path for path in found if not only or path.name in only]
