"""`lesiongan compile` and `submit`: whole experiments on a cluster."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.base.progress import duration
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

    submitted = commands.add_parser("submit", help="start a compiled pipeline on Kubeflow, and follow it")
    submitted.add_argument("file", type=Path, metavar="FILE.yaml", help="what `compile` wrote")
    submitted.add_argument("--host", required=True, metavar="URL", help="of Kubeflow Pipelines, http(s)://HOST[:PORT]")
    submitted.add_argument(
        "--parameter", action="append", default=[], metavar="KEY=VALUE", help="of the pipeline, e.g. seed=1; repeatable"
    )
    submitted.add_argument("--experiment", default="lesiongan", help="in which the run stands (default: %(default)s)")
    submitted.add_argument("--name", default="", help="of the run (default: the file's, with the time)")
    submitted.add_argument("--namespace", default="", help="yours, where the cluster has several users")
    submitted.add_argument("--token-file", type=Path, metavar="FILE", help="with a token for the server")
    submitted.add_argument("--service-account", default="", metavar="NAME", help="of the run's pods")
    submitted.add_argument("--no-follow", action="store_true", help="end as soon as the run has begun")
    submitted.set_defaults(run=_submit)


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


def _submit(arguments: argparse.Namespace) -> int:
    from pipelines import submission

    values = submission.parameters(arguments.file, arguments.parameter)
    token = ""
    if arguments.token_file is not None:
        try:
            token = arguments.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {arguments.token_file}: {error}") from None
    server = submission.Server(arguments.host, arguments.namespace, token)
    name = arguments.name or f"{arguments.file.stem} {time.strftime('%Y-%m-%d %H:%M')}"
    client = submission.connect(server)
    experiment, account = arguments.experiment, arguments.service_account
    run_id = submission.start(client, server, arguments.file, values, experiment, name, account)
    print(f"started: {name}\nsee {server.page(run_id)}", flush=True)
    if arguments.no_follow:
        return ExitCode.DONE
    begin = time.monotonic()
    try:
        submission.follow(client, server, run_id, lambda line: print(line, flush=True))
    except KeyboardInterrupt:  # no `Interrupted`: the same command would start another run
        print(f"\nlesiongan: the run goes on: {server.page(run_id)}", file=sys.stderr)
        return ExitCode.INTERRUPTED
    print(f"done in {duration(time.monotonic() - begin)}\nreport: of the step reporter, {server.page(run_id)}")
    return ExitCode.DONE
