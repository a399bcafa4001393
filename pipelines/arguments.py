"""What several commands of the command line take: a configuration, the data's tolerance, a dry run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from absl import logging

from lesiongan.base.checkpoint_seconds import SECONDS_VARIABLE, checkpoint_seconds
from lesiongan.base.errors import UsageError
from lesiongan.base.jobs import JOBS_VARIABLE, asked_jobs
from lesiongan.base.lineage import ACCEPT_VARIABLE, changed_code
from lesiongan.config.run import Config


def allow_missing(parser: argparse.ArgumentParser) -> None:
    """Adds `--allow-missing`."""
    parser.add_argument("--allow-missing", action="store_true", help="more than half of the rows may lack their image")


def checkpoints(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint-seconds`."""
    parser.add_argument(
        "--checkpoint-seconds",
        metavar="S",
        help="save a training every S seconds (default: 60, or more where saving would take over 2 %% of the time)",
    )


def save_as_asked(arguments: argparse.Namespace) -> None:
    """Trainings are saved as `--checkpoint-seconds` says; steps inherit it."""
    if arguments.checkpoint_seconds is not None:
        os.environ[SECONDS_VARIABLE] = arguments.checkpoint_seconds
    checkpoint_seconds()  # refuses what is no number


def jobs(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds `--jobs`; without a default the environment decides."""
    parser.add_argument(
        "--jobs",
        metavar="N",
        default=default,
        help="independent trainings (alphas, classes, cells, seeds) that run side by side, each with its share of the "
        f"cores (default: {default or 'one after the other'})",
    )


def side_by_side_as_asked(arguments: argparse.Namespace) -> None:
    """Trainings run side by side as `--jobs` says; steps inherit it."""
    if arguments.jobs is not None:
        os.environ[JOBS_VARIABLE] = arguments.jobs
    asked_jobs()  # refuses what is no number


def dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds `--dry-run` and `--measure`."""
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan, its cost, the steps and which are cached; run nothing"
    )
    parser.add_argument(
        "--measure", action="store_true", help="with --dry-run: time a training step of each network on this machine"
    )


def profile(
    parser: argparse.ArgumentParser,
    help: str = "what the cluster offers: image, volume, GPUs, memory, retries (see docs/kubeflow.md)",
) -> None:
    """Adds `--profile`."""
    parser.add_argument("--profile", type=Path, metavar="FILE.toml", help=help)


def set_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one option, e.g. cyclegan.images=2000; repeatable",
    )


def configuration(parser: argparse.ArgumentParser, preset: bool = True) -> None:
    """Adds the options that make a whole configuration."""
    if preset:
        parser.add_argument(
            "--preset",
            default="small",
            help="demo, small, study, paper or best (default: %(default)s; see docs/presets.md)",
        )
        parser.add_argument("--recipe", help="paper or best: what the algorithm is, at the preset's scale")
    set_options(parser)
    parser.add_argument("--config", metavar="FILE.toml", help="options in groups, e.g. [cyclegan] images = 2000")


def resolved(arguments: argparse.Namespace, here: bool = True, **options: Any) -> Config:
    """The configuration that the arguments ask for; see `presets.resolve`."""
    from pipelines.presets import resolve

    return resolve(
        arguments.preset,
        recipe=arguments.recipe,
        config_file=arguments.config,
        assignments=assignments(arguments),
        here=here,
        **options,
    )


def assignments(arguments: argparse.Namespace) -> list[str]:
    """`--set`'s, and those that have a flag of their own."""
    allowed = ["data.allow_missing=true"] if getattr(arguments, "allow_missing", False) else []
    synthetic = getattr(arguments, "synthetic", [])
    return [*arguments.set, *allowed, *([f"grid.synthetic={','.join(synthetic)}"] if synthetic else [])]


def overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds `--overwrite`, of a file."""
    parser.add_argument("--overwrite", action="store_true", help="replace the file where there is one")


def check_output_file(path: Path, option: str = "-o", *, overwrite: bool = False) -> None:
    """Raises `UsageError` where a file cannot be written, or is there already: asked before the work, not after it."""
    if path.is_dir():
        raise UsageError(f"{option} {path}: that is a folder; name a file")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{option} {path}: there is such a file; name another, or give --overwrite to replace it")
    _check_folder(path.parent, f"{option} {path}")


def check_output_folder(path: Path, option: str = "-o") -> None:
    """Raises `UsageError` where a folder cannot be made or written in; makes nothing."""
    _check_folder(path, f"{option} {path}")


def _check_folder(folder: Path, named: str) -> None:
    for place in (folder.absolute(), *folder.absolute().parents):
        if place.is_dir():
            if not os.access(place, os.W_OK | os.X_OK):
                raise UsageError(f"{named}: {place} cannot be written in; name another place")
            return
        if os.path.lexists(place):
            raise UsageError(f"{named}: {place} is a file; name another place")


def accept_code_change(parser: argparse.ArgumentParser) -> None:
    """Adds `--accept-code-change`."""
    parser.add_argument(
        "--accept-code-change",
        action="store_true",
        help="go on from what an earlier version of the code made here, instead of making it anew; records say so",
    )


def accept(arguments: argparse.Namespace, work_dir: Path) -> None:
    """Lets steps and components go by the code that `work_dir` was last used with, where that is asked for, and says
    which steps' code has changed. To be called before the components are imported; steps inherit it."""
    changed = changed_code("lesiongan.steps", work_dir)
    names = ", ".join(step.replace("_", "-") for step in changed)
    if arguments.accept_code_change:
        os.environ[ACCEPT_VARIABLE] = str(work_dir)
        accepted = f"a change of the code is accepted, and records say so: {names}"
        logging.info("%s", accepted if changed else "the code is what it was here: there is no change to accept")
    elif changed:
        logging.info("the code has changed, so these steps run again (--accept-code-change goes on instead): %s", names)


def splits_of_examples(*places: str, split: str) -> dict[str, str]:
    """Which split of each collection is meant: generated Examples have one, what is no Examples has none.

    Raises:
        UsageError: a split is asked for, and neither collection has one.
    """
    from lesiongan.data import examples

    artifacts = [place for place in places if (Path(place) / examples.INFO).is_file()]
    having = [place for place in artifacts if examples.read_info(place).get("kind") != "generated"]
    if split and not having:
        raise UsageError(f"--split {split}: neither REAL nor FAKE is an Examples artifact with splits; leave it out")
    return {place: split if place in having else "" for place in places}
