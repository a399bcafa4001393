"""The command line. `lesiongan --help` lists the commands, `lesiongan COMMAND --help` their options.

Commands that do not run a pipeline start without kfp and TensorFlow, whose imports cost seconds.
"""

from __future__ import annotations

import argparse
import json
import logging as python_logging
import os
import sys
from pathlib import Path

from absl import app, logging
from absl.flags import argparse_flags

from lesiongan import __version__
from lesiongan.base import shown
from lesiongan.base.errors import ExitCode, Interrupted, LesionganError, as_machine_error
from pipelines import (
    arguments as shared,
    clean,
    cluster_commands,
    inspect_command,
    model_commands,
    options_command,
    quality_commands,
    reader_study_command,
    result_commands,
    run_commands,
    sharing_commands,
    sign_command,
)
from pipelines.quiet import quiet_start


def main() -> None:
    """The console script `lesiongan`."""
    _read_names_as_utf8()
    quiet_start()
    with shown.safely():
        app.run(_guarded, flags_parser=_parse)


def _read_names_as_utf8() -> None:
    """Names of files and what is printed are UTF-8 whatever the locale says: where Python was told otherwise, it is
    started anew."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _guarded(arguments: argparse.Namespace) -> int:
    _show_lines()
    try:
        return arguments.run(arguments) or ExitCode.DONE
    except LesionganError as error:
        shown.complain(error)
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        shown.complain(str(as_machine_error(error) or f"{where}{error.strerror or error}"))
        return ExitCode.MACHINE
    except KeyboardInterrupt as error:
        stop = error if isinstance(error, Interrupted) else Interrupted()
        print(f"\nlesiongan: {stop}; the same command goes on from here", file=sys.stderr)
        return stop.exit_code


def _show_lines() -> None:
    """absl's lines on stderr without its prefix, and only once: `app.run` has put its handler on the root logger, where
    libraries may put theirs. What TensorFlow tells of its savings and functions is for its developers."""
    logger = python_logging.getLogger("absl")
    logger.propagate = False
    logger.handlers = [logging.get_absl_handler()]
    logging.get_absl_handler().python_handler.stream = sys.stderr
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(python_logging.Formatter("%(message)s"))
    developers = [f"{os.sep}{package}{os.sep}" for package in ("tensorflow", "tensorflow_datasets")]
    logging.get_absl_handler().addFilter(
        lambda record: record.levelno >= python_logging.ERROR or not any(p in record.pathname for p in developers)
    )


class _Parser(argparse_flags.ArgumentParser):
    """Wrong usage is one line, not a page."""

    def error(self, message: str):
        shown.complain(f"{message} (see {self.prog} --help)")
        sys.exit(int(ExitCode.USAGE))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="lesiongan",
        description="Class-specific synthetic dermoscopy images, and a measurement whether they help a classifier.",
        epilog="Exit codes: 0 done, 1 a step failed, 2 wrong usage or input, 3 the machine (disk, memory, workdir "
        "held), 130 interrupted (Ctrl-C), 143 terminated (SIGTERM); after both the same command goes on.",
    )
    parser.add_argument("--version", action="version", version=f"lesiongan {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_SubParser)

    run_commands.add(commands)
    cluster_commands.add(commands)
    data = commands.add_parser("data", help="what is in a folder: classes, sizes, lesions, leaks, anomalies, the split")
    data.add_argument("data", metavar="PATH", help="a folder or table as for `run --data`; or `phantoms`")
    data.add_argument("--split", default="by_lesion", help="by_image, by_lesion, or a CSV of image, split")
    data.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    data.add_argument("--quick", action="store_true", help="open no picture: no sizes, no near-duplicates")
    data.add_argument("--json", action="store_true", help="for programs")
    shared.allow_missing(data)
    shared.set_options(data)
    data.set_defaults(run=_data)

    model_commands.add(commands)
    quality_commands.add(commands)
    reader_study_command.add(commands)
    inspect_command.add(commands)
    sign_command.add(commands)
    sharing_commands.add(commands)
    options_command.add(commands)

    status = commands.add_parser("status", help="what ran in a workdir, what is cached, what failed, disk used")
    status.add_argument("workdir", type=Path, metavar="DIR")
    status.add_argument("--times", action="store_true", help="where the time of each step went")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)

    clean.add(commands)
    result_commands.add(commands)

    doctor = commands.add_parser("doctor", help="versions, devices, memory, and what is missing")
    doctor.set_defaults(run=_doctor)
    return parser.parse_args(argv[1:])


class _SubParser(_Parser):
    def __init__(self, **kwargs):
        super().__init__(inherited_absl_flags=None, **kwargs)


def _data(arguments: argparse.Namespace) -> int:
    from lesiongan.config.reader import assign
    from lesiongan.config.run import Config
    from lesiongan.data.overview import lines, overview
    from pipelines.presets import with_whole_paths

    config = assign(Config(), f"data.split={arguments.split}", *shared.assignments(arguments))
    facts = overview(arguments.data, with_whole_paths(config.data), arguments.seed, quick=arguments.quick)
    if arguments.json:
        print(json.dumps(facts, indent=1))
    else:
        shown.show(lines(facts))
    return ExitCode.DONE


def _status(arguments: argparse.Namespace) -> int:
    from pipelines import workdir

    lines = workdir.status_lines(arguments.workdir)
    if arguments.times:
        from pipelines.times import times_lines

        shown.show(times_lines(arguments.workdir))
    elif arguments.json:
        print(workdir.status_json(arguments.workdir))
    else:
        shown.show(lines)
    return ExitCode.DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from pipelines.doctor import examine

    lines, well = examine()
    print("\n".join(lines))
    return ExitCode.DONE if well else ExitCode.MACHINE


if __name__ == "__main__":
    main()
