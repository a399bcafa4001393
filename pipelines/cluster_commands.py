"""`lesiongan compile`: whole experiments on a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from pipelines import arguments as shared
from pipelines.run_commands import PIPELINES


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    compiled = commands.add_parser("compile", help="write a pipeline as YAML for Kubeflow")
    compiled.add_argument("pipeline", choices=PIPELINES, help="which experiment")
    compiled.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yaml")
    shared.overwrite(compiled)
    compiled.add_argument("--seed", type=int, default=0, help="the default of the pipeline's parameter (default: 0)")
    shared.configuration(compiled)
    shared.profile(compiled)
    compiled.add_argument(
        "--data-version",
        default="",
        metavar="TEXT",
        help="any name of the data as they are now, so that steps which read them can come from the cache",
    )
    compiled.set_defaults(run=_compile)


def _compile(arguments: argparse.Namespace) -> int:
    from lesiongan.data.taxonomy import ISIC_2019
    from pipelines import cluster_profile, kubeflow
    from pipelines.definitions import experiment_pipeline

    shared.check_output_file(arguments.output, overwrite=arguments.overwrite)
    config = shared.resolved(arguments, here=False)
    if config.data.by_source and arguments.pipeline == "noise-to-lesion" and not config.noise_to_lesion.classes:
        raise UsageError("data.by_source leaves classes out that only the data knows: name noise_to_lesion.classes")
    read = cluster_profile.read_profile
    profile = read(arguments.profile) if arguments.profile else cluster_profile.ClusterProfile()
    pipeline = experiment_pipeline(
        arguments.pipeline.replace("-", "_"),
        config,
        classes=ISIC_2019.classes,
        place=kubeflow.Placement(profile, arguments.data_version),
        group=1,
        at_once=profile.at_once,
        seed=arguments.seed,
        fingerprint=arguments.data_version,
        synthetic_fingerprint=arguments.data_version,
        **{name: profile.storage.place(name) for name in ("data", "work_dir", "models_dir")},
    )
    kubeflow.compile_pipeline(pipeline, arguments.output)
    print(f"written: {arguments.output}")
    return ExitCode.DONE
