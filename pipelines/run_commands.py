"""`lesiongan demo` and `run`: whole experiments on this machine."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lesiongan import __version__
from lesiongan.base.errors import ExitCode, MachineError, UsageError
from lesiongan.base.escaped import escape
from lesiongan.base.shown import show
from pipelines import arguments as shared, model_commands
from pipelines.cluster_profile import read_profile

PIPELINES = ("nevus-to-melanoma", "noise-to-lesion")


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    demo = commands.add_parser("demo", help="run both experiments on phantoms, a few minutes on 2 cores")
    demo.add_argument(
        "--workdir", type=Path, default=Path("runs/demo"), help="where everything goes (default: %(default)s)"
    )
    demo.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    shared.configuration(demo, preset=False)
    shared.dry_run(demo)
    shared.jobs(demo, "2")  # its trainings are so small that two threads are no quicker than one
    shared.checkpoints(demo)
    shared.accept_code_change(demo)
    demo.set_defaults(run=_demo, preset="demo", recipe=None, profile=None)

    run = commands.add_parser("run", help="run one experiment on real images or phantoms")
    run.add_argument("pipeline", choices=PIPELINES, help="which experiment")
    run.add_argument(
        "--data",
        required=True,
        help="a folder with ISIC 2019 as downloaded, or with one folder per class; or `phantoms`",
    )
    run.add_argument(
        "--workdir", type=Path, required=True, help="where everything goes; the same command goes on from there"
    )
    run.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    shared.configuration(run)
    shared.allow_missing(run)
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
    shared.dry_run(run)
    shared.jobs(run)
    shared.profile(run, "with --dry-run: also what the run would take on this cluster (see docs/kubeflow.md)")
    shared.checkpoints(run)
    shared.accept_code_change(run)
    run.set_defaults(run=_run)


def _demo(arguments: argparse.Namespace) -> int:
    config = shared.resolved(arguments)
    arguments.models_dir = arguments.workdir / "saved_models"
    arguments.data = "phantoms"
    return _launch(arguments, config, PIPELINES)


def _run(arguments: argparse.Namespace) -> int:
    gans: tuple[str, ...] = ("acgan", "cyclegan") if arguments.pipeline == "noise-to-lesion" else ("cyclegan",)
    # whether CycleGANs are trained is known when the options are
    if gans == ("cyclegan",) and not shared.resolved(arguments, trains=()).nevus_to_melanoma.alphas:
        gans = ()
    config = shared.resolved(arguments, trains=("classifier", *gans))
    return _launch(arguments, config, (arguments.pipeline,))


def _launch(arguments: argparse.Namespace, config, names: tuple[str, ...]) -> int:
    from lesiongan.data.fingerprint import source_fingerprint
    from lesiongan.data.ingest import check_refused, open_collection
    from pipelines import plan

    shared.save_as_asked(arguments)
    shared.side_by_side_as_asked(arguments)
    if arguments.measure and not arguments.dry_run:
        raise UsageError("--measure goes with --dry-run")
    if arguments.profile and not arguments.dry_run:
        raise UsageError("--profile goes with --dry-run; for the cluster itself see lesiongan compile")
    profile = read_profile(arguments.profile) if arguments.profile else None
    if not arguments.dry_run:
        shared.check_output_folder(arguments.models_dir, "--models-dir")
    # wrong data is found here, before anything is written
    data = model_commands.whole_path(arguments.data)
    try:
        collection = open_collection(data, config.data, arguments.seed)
    except UsageError as error:
        if Path(data).exists() or data == "phantoms" or not (arguments.workdir / "runs").is_dir():
            raise
        # without them nobody can tell whether finished steps are of these data
        raise UsageError(
            f"{error}; what earlier runs made stays in {arguments.workdir} (see lesiongan status), and the same "
            "command goes on once the data are back"
        ) from None
    check_refused(data, collection.source, config.data)
    fingerprint = source_fingerprint(data, config.data, arguments.seed)
    classes = collection.source.taxonomy.classes
    commonest = [classes[label] for label in collection.source.rows["label"].value_counts().index]
    _check_classes(config, commonest, names)
    counts = plan.counts(collection, config, arguments.seed)
    for experiment in (name.replace("-", "_") for name in names):
        problem = plan.too_few_sources(experiment, config, counts)
        if problem and not arguments.dry_run:  # a plan says it too
            raise UsageError(problem)
        plan.check_synthetic(experiment, config, counts, collection.source.taxonomy)
    where = arguments.workdir.resolve()
    if Path(data).is_dir() and where.is_relative_to(Path(data).resolve()):
        raise UsageError(f"--workdir {arguments.workdir}: lies in {data}, and would become data; name another folder")
    shared.accept(arguments, where / "work")
    from pipelines import cluster_plan, kubeflow, local, workdir
    from pipelines.definitions import experiment_pipeline

    defaults = {
        "data": escape(data),
        "fingerprint": fingerprint,
        "seed": arguments.seed,
        "work_dir": "work",  # of the workdir, in which the engine runs
        "models_dir": escape(str(arguments.models_dir.resolve())),
        "synthetic_fingerprint": plan.synthetic_fingerprint(config),
    }
    pipelines = {
        name: experiment_pipeline(name.replace("-", "_"), config, classes=classes, **defaults) for name in names
    }
    if arguments.dry_run:
        measured = _measured(config, names) if arguments.measure else None
        for name, pipeline in pipelines.items():
            print(name)
            for line in plan.lines(name.replace("-", "_"), config, counts, measured):
                show([f"  {line}"])
            if profile:
                there = experiment_pipeline(
                    name.replace("-", "_"),
                    config,
                    classes=classes,
                    place=kubeflow.Placement(profile),
                    group=1,
                    at_once=profile.at_once,
                )
                print(f"  on the cluster of {arguments.profile}:")
                for line in cluster_plan.lines(name.replace("-", "_"), config, counts, profile, there, measured):
                    show([f"    {line}"])
            for step, cached in local.planned_steps(pipeline, where):
                print(f"  {'cached' if cached else 'to run':<8}{step}")
        return ExitCode.DONE
    _quick_device_check()
    _check_replicas(config, names)
    begin = time.monotonic()
    from lesiongan.base.locks import held
    from lesiongan.base.progress import duration
    from lesiongan.config.reader import to_json

    command = shlex.join(["lesiongan", *sys.argv[1:]])
    facts = {
        "command": command,
        "version": __version__,
        "config": json.loads(to_json(config)),
        "seed": arguments.seed,
    }
    with held(where), local.warm_python() as python:
        workdir.sweep(where)
        reports = []
        for name, pipeline in pipelines.items():
            print(f"{name}: {data}, seed {arguments.seed}, workdir {where}", flush=True)
            reports.append(local.run(pipeline, name, where, facts, python).data.get("report"))
    print(f"done in {duration(time.monotonic() - begin)}")
    for report in filter(None, reports):
        print(f"report: {where / report}")
    return ExitCode.DONE


def _measured(config, names: tuple[str, ...]):
    """The device, and a measured step of each network that the experiments train."""
    _quick_device_check()
    from pipelines.costs import measure

    print("measuring a training step of each network, about a minute", file=sys.stderr, flush=True)
    return measure(config, _trained(config, names))


def _trained(config, names: Sequence[str]) -> tuple[str, ...]:
    """The networks that the experiments train, by their groups of options."""
    acgan = "noise-to-lesion" in names
    cyclegan = acgan or bool(config.nevus_to_melanoma.alphas)
    return ("classifier", *(["acgan"] if acgan else []), *(["cyclegan"] if cyclegan else []))


def _check_replicas(config, names: Sequence[str]) -> None:
    """Too few GPUs would be noticed by a training hours from now."""
    groups = {name: getattr(config, name) for name in _trained(config, names)}
    if all(group.replicas == 1 for group in groups.values()):
        return  # TensorFlow takes seconds to import
    from lesiongan.training.distribution import check_replicas

    for name, group in groups.items():
        check_replicas(group.replicas, group.batch, name, getattr(group, "accumulate", 1))


def _check_classes(config, classes: Sequence[str], names: tuple[str, ...]) -> None:
    """The classes that an experiment names must be in the data; `classes` are the data's, the commonest first."""
    pair = config.nevus_to_melanoma
    if "nevus-to-melanoma" in names:
        for option, value in (("source", pair.source), ("target", pair.target)):
            if value not in classes:
                works = f"--set nevus_to_melanoma.source={classes[0]} --set nevus_to_melanoma.target={classes[1]}"
                raise UsageError(
                    f"option nevus_to_melanoma.{option}: no class {value!r} in the data; it has {', '.join(classes)}; "
                    f"give for example {works}"
                )
    for value in config.noise_to_lesion.classes if "noise-to-lesion" in names else ():
        if value not in classes:
            raise UsageError(
                f"option noise_to_lesion.classes: no class {value!r} in the data; it has {', '.join(classes)}; "
                f"give for example --set noise_to_lesion.classes={','.join(classes[-2:])}"
            )


def _quick_device_check() -> None:
    """One clear line where neither TensorFlow is installed, instead of a traceback in the first step."""
    if find_spec("tensorflow") is None:
        raise MachineError(
            "TensorFlow is missing: pip install 'lesiongan[cpu]', or 'lesiongan[gpu]' on a machine with an NVIDIA GPU"
        )
