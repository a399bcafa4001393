"""The command line. `lesiongan --help` lists the commands, `lesiongan COMMAND --help` their options.

Commands that do not run a pipeline start without kfp and TensorFlow, whose imports cost seconds.
"""

from __future__ import annotations

import argparse
import json
import logging as python_logging
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from absl import app, logging
from absl.flags import argparse_flags

from lesiongan import __version__
from lesiongan.errors import ExitCode, LesionganError, MachineError, UsageError
from pipelines import model_commands, result_commands

PIPELINES = ("nevus-to-melanoma", "noise-to-lesion")


def main() -> None:
    """The console script `lesiongan`."""
    app.run(_guarded, flags_parser=_parse)


def _guarded(arguments: argparse.Namespace) -> int:
    _show_lines()
    try:
        return arguments.run(arguments) or ExitCode.DONE
    except LesionganError as error:
        print(f"lesiongan: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"lesiongan: {where}{error.strerror or error}", file=sys.stderr)
        return ExitCode.MACHINE
    except KeyboardInterrupt:
        print("\nlesiongan: interrupted; the same command goes on from here", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _show_lines() -> None:
    """absl's lines on stderr without its prefix, and only once: `app.run` has put its handler on the root logger, where
    libraries may put theirs. What TensorFlow tells of its savings and functions is for its developers."""
    logger = python_logging.getLogger("absl")
    logger.propagate = False
    logger.handlers = [logging.get_absl_handler()]
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(python_logging.Formatter("%(message)s"))
    logging.get_absl_handler().addFilter(
        lambda record: record.levelno >= python_logging.ERROR or f"{os.sep}tensorflow{os.sep}" not in record.pathname
    )


class _Parser(argparse_flags.ArgumentParser):
    """Wrong usage is one line, not a page."""

    def error(self, message: str):
        print(f"lesiongan: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(int(ExitCode.USAGE))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="lesiongan",
        description="Class-specific synthetic dermoscopy images, and a proof whether they help a classifier.",
        epilog="Exit codes: 0 done, 1 a step failed, 2 wrong usage or input, 3 the machine (disk, memory, workdir "
        "held), 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"lesiongan {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_SubParser)

    demo = commands.add_parser("demo", help="run both experiments on phantoms, a few minutes on 2 cores")
    demo.add_argument(
        "--workdir", type=Path, default=Path("runs/demo"), help="where everything goes (default: %(default)s)"
    )
    demo.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    _configuration(demo, preset=False)
    _dry_run(demo)
    demo.set_defaults(run=_demo, preset="demo", recipe=None)

    run = commands.add_parser("run", help="run one experiment on real images or phantoms")
    run.add_argument("pipeline", choices=PIPELINES, help="which experiment")
    run.add_argument(
        "--data", required=True, help="a folder with ISIC 2019 as downloaded, or with one folder a class; or `phantoms`"
    )
    run.add_argument(
        "--workdir", type=Path, required=True, help="where everything goes; the same command goes on from there"
    )
    run.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    _configuration(run)
    _allow_missing(run)
    run.add_argument(
        "--models-dir",
        type=Path,
        default=Path("saved_models"),
        help="where blessed models are pushed (default: %(default)s)",
    )
    run.add_argument(
        "--synthetic",
        action="append",
        default=[],
        metavar="PATH",
        help="images made elsewhere, in a folder as for --data: cells of their own beside the GANs'; repeatable",
    )
    _dry_run(run)
    run.set_defaults(run=_run)

    compiled = commands.add_parser("compile", help="write a pipeline as YAML for Kubeflow")
    compiled.add_argument("pipeline", choices=PIPELINES, help="which experiment")
    compiled.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yaml")
    compiled.add_argument("--seed", type=int, default=0, help="the default of the pipeline's parameter (default: 0)")
    _configuration(compiled)
    compiled.set_defaults(run=_compile)

    data = commands.add_parser("data", help="what is in a folder: classes, sizes, lesions, leaks, anomalies, the split")
    data.add_argument("data", metavar="PATH", help="a folder or table as for `run --data`; or `phantoms`")
    data.add_argument("--split", default="by_lesion", help="by_image, by_lesion, or a CSV of image, split")
    data.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    data.add_argument("--quick", action="store_true", help="open no picture: no sizes, no near-duplicates")
    data.add_argument("--json", action="store_true", help="for programs")
    _allow_missing(data)
    _set(data)
    data.set_defaults(run=_data)

    model_commands.add(commands, _configuration, _resolved)

    status = commands.add_parser("status", help="what ran in a workdir, what is cached, what failed, disk used")
    status.add_argument("workdir", type=Path, metavar="DIR")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)

    result_commands.add(commands)

    doctor = commands.add_parser("doctor", help="versions, devices, memory, and what is missing")
    doctor.set_defaults(run=_doctor)
    return parser.parse_args(argv[1:])


class _SubParser(_Parser):
    def __init__(self, **kwargs):
        super().__init__(inherited_absl_flags=None, **kwargs)


def _allow_missing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-missing", action="store_true", help="more than half of the rows may lack their image")


def _dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan, its cost, the steps and which are cached; run nothing"
    )
    parser.add_argument(
        "--measure", action="store_true", help="with --dry-run: time a training step of each network on this machine"
    )


def _set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option, e.g. cyclegan.images=2000; repeatable",
    )


def _configuration(parser: argparse.ArgumentParser, preset: bool = True) -> None:
    if preset:
        parser.add_argument(
            "--preset", default="small", help="demo, small, paper or best (default: %(default)s; see docs/presets.md)"
        )
        parser.add_argument("--recipe", help="paper or best: what the algorithm is, at the preset's scale")
    _set(parser)
    parser.add_argument("--config", metavar="FILE.toml", help="options in groups, e.g. [cyclegan] images = 2000")


def _resolved(arguments: argparse.Namespace, here: bool = True):
    from pipelines.presets import resolve

    return resolve(
        arguments.preset,
        recipe=arguments.recipe,
        config_file=arguments.config,
        assignments=_assignments(arguments),
        here=here,
    )


def _assignments(arguments: argparse.Namespace) -> list[str]:
    """`--set`'s, and those that have a flag of their own."""
    allowed = ["data.allow_missing=true"] if getattr(arguments, "allow_missing", False) else []
    synthetic = getattr(arguments, "synthetic", [])
    return [*arguments.set, *allowed, *([f"grid.synthetic={','.join(synthetic)}"] if synthetic else [])]


def _demo(arguments: argparse.Namespace) -> int:
    config = _resolved(arguments)
    arguments.models_dir = arguments.workdir / "saved_models"
    arguments.data = "phantoms"
    return _launch(arguments, config, PIPELINES)


def _run(arguments: argparse.Namespace) -> int:
    return _launch(arguments, _resolved(arguments), (arguments.pipeline,))


def _launch(arguments: argparse.Namespace, config, names: tuple[str, ...]) -> int:
    from lesiongan.data.ingest import open_collection
    from lesiongan.data.sources import source_fingerprint
    from pipelines import plan

    if arguments.measure and not arguments.dry_run:
        raise UsageError("--measure goes with --dry-run")
    # wrong data is found here, before anything is written
    data = model_commands.whole_path(arguments.data)
    collection = open_collection(data, config.data, arguments.seed)
    fingerprint = source_fingerprint(data, config.data, arguments.seed)
    classes = collection.source.taxonomy.classes
    _check_classes(config, classes, names)
    counts = plan.counts(collection, config, arguments.seed)
    for experiment in (name.replace("-", "_") for name in names):
        problem = plan.too_few_sources(experiment, config, counts)
        if problem and not arguments.dry_run:  # a plan says it too
            raise UsageError(problem)
        plan.check_synthetic(experiment, config, counts, collection.source.taxonomy)
    from pipelines import local, workdir

    where = arguments.workdir.resolve()
    defaults = {
        "data": data,
        "fingerprint": fingerprint,
        "seed": arguments.seed,
        "work_dir": str(where / "work"),
        "models_dir": str(arguments.models_dir.resolve()),
        "synthetic_fingerprint": plan.synthetic_fingerprint(config),
    }
    pipelines = {name: _build(name, config, classes, defaults) for name in names}
    if arguments.dry_run:
        measured = _measured(config, names) if arguments.measure else None
        for name, pipeline in pipelines.items():
            print(name)
            for line in plan.lines(name.replace("-", "_"), config, counts, measured):
                print(f"  {line}")
            for step, cached in local.plan(pipeline, where):
                print(f"  {'cached' if cached else 'to run':<8}{step}")
        return ExitCode.DONE
    _quick_device_check()
    begin = time.monotonic()
    from lesiongan import config as options
    from lesiongan.progress import duration

    command = shlex.join(["lesiongan", *sys.argv[1:]])
    facts = {
        "command": command,
        "version": __version__,
        "config": json.loads(options.to_json(config)),
        "seed": arguments.seed,
    }
    with workdir.held(where):
        workdir.sweep(where)
        reports = []
        for name, pipeline in pipelines.items():
            print(f"{name}: {data}, seed {arguments.seed}, workdir {where}", flush=True)
            reports.append(local.run(pipeline, name, where, facts).data.get("report"))
    print(f"done in {duration(time.monotonic() - begin)}")
    for report in reports:
        print(f"report: {report}")
    return ExitCode.DONE


def _measured(config, names: tuple[str, ...]):
    """The device, and a measured step of each network that the experiments train."""
    _quick_device_check()
    from pipelines.costs import measure

    print("measuring a training step of each network, about a minute", file=sys.stderr, flush=True)
    return measure(config, ("classifier", *(["acgan"] if "noise-to-lesion" in names else []), "cyclegan"))


def _build(name: str, config, classes: tuple[str, ...], defaults: dict, place: Callable | None = None, group: int = 0):
    from pipelines import definitions

    more = {} if place is None else {"place": place}
    if name == "nevus-to-melanoma":
        return definitions.nevus_to_melanoma(config, group=group, **more, **defaults)
    return definitions.noise_to_lesion(config, classes=classes, group=group, **more, **defaults)


def _check_classes(config, classes: tuple[str, ...], names: tuple[str, ...]) -> None:
    """The classes that an experiment names must be in the data."""
    asked = {}
    if "nevus-to-melanoma" in names:
        asked |= {
            "nevus_to_melanoma.source": config.nevus_to_melanoma.source,
            "nevus_to_melanoma.target": config.nevus_to_melanoma.target,
        }
    if "noise-to-lesion" in names:
        asked |= {f"noise_to_lesion.classes ({c})": c for c in config.noise_to_lesion.classes}
    for option, value in asked.items():
        if value not in classes:
            raise UsageError(f"option {option}: no class {value!r} in the data; it has {', '.join(classes)}")


def _compile(arguments: argparse.Namespace) -> int:
    from lesiongan.taxonomy import ISIC_2019
    from pipelines import kubeflow

    config = _resolved(arguments, here=False)
    if config.data.by_source and arguments.pipeline == "noise-to-lesion" and not config.noise_to_lesion.classes:
        raise UsageError("data.by_source leaves classes out that only the data knows: name noise_to_lesion.classes")
    defaults = {
        "data": f"{kubeflow.MOUNT}/data",
        "work_dir": f"{kubeflow.MOUNT}/work",
        "models_dir": f"{kubeflow.MOUNT}/saved_models",
    }
    pipeline = _build(
        arguments.pipeline,
        config,
        ISIC_2019.classes,
        {**defaults, "seed": arguments.seed},
        place=kubeflow.place,
        group=1,
    )
    kubeflow.compile_pipeline(pipeline, arguments.output)
    print(f"written: {arguments.output}")
    return ExitCode.DONE


def _data(arguments: argparse.Namespace) -> int:
    from lesiongan import config as options
    from lesiongan.data.overview import lines, overview
    from pipelines.presets import with_whole_paths

    config = options.Config()
    for assignment in (f"data.split={arguments.split}", *_assignments(arguments)):
        config = options.assign(config, assignment)
    found = overview(arguments.data, with_whole_paths(config.data), arguments.seed, quick=arguments.quick)
    print(json.dumps(found, indent=1) if arguments.json else "\n".join(lines(found)))
    return ExitCode.DONE


def _status(arguments: argparse.Namespace) -> int:
    from pipelines import workdir

    lines = workdir.status_lines(arguments.workdir)
    print(workdir.status_json(arguments.workdir) if arguments.json else "\n".join(lines))
    return ExitCode.DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from pipelines.doctor import examine

    lines, well = examine()
    print("\n".join(lines))
    return ExitCode.DONE if well else ExitCode.MACHINE


def _quick_device_check() -> None:
    """One clear line where neither TensorFlow is installed, instead of a traceback in the first step."""
    from importlib.util import find_spec

    if find_spec("tensorflow") is None:
        raise MachineError(
            "TensorFlow is missing: pip install 'lesiongan[cpu]', or 'lesiongan[gpu]' on a machine with an NVIDIA GPU"
        )


if __name__ == "__main__":
    main()
