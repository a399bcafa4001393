"""`lesiongan serve`, `convert` and `push-to-hub`: models for others."""

from __future__ import annotations

import argparse
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.serving.model_artifact import find
from pipelines import arguments as shared

_MODEL = "NAME or NAME:VERSION of a pushed model, or the folder of one"


def add(commands) -> None:
    """Adds the commands to a parser's subparsers."""
    serve = commands.add_parser("serve", help="models over REST (V1, V2) and gRPC, and a page for people")
    serve.add_argument(
        "models",
        nargs="+",
        metavar="[CALLED=]MODEL",
        help="NAME or NAME:VERSION of a pushed model, or the folder of one; CALLED is how it is asked for",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8080, help="of REST and the page (default: %(default)s)")
    serve.add_argument("--grpc-port", type=int, default=8081, help="0: no gRPC (default: %(default)s)")
    serve.add_argument("--max-batch", type=int, default=32, help="pictures per request (default: %(default)s)")
    serve.add_argument("--max-request", type=float, default=32, metavar="MB", help="(default: %(default)s)")
    serve.set_defaults(run=_serve)

    convert = commands.add_parser("convert", help="a model in another form: for any machine, as ONNX, for medigan")
    convert.add_argument("model", type=Path, metavar="MODEL", help=_MODEL)
    convert.add_argument(
        "--to",
        required=True,
        choices=("portable", "cpu", "onnx", "medigan"),
        help="portable: a CycleGAN of plain convolutions, for GPUs and pictures of any size; cpu: quickest there, at "
        "its own size; onnx: a file for other runtimes; medigan: an ACGAN as a package of that library",
    )
    convert.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help="a new folder; of onnx a file"
    )
    convert.set_defaults(run=_convert)

    hub = commands.add_parser("push-to-hub", help="a model with its card to the Hugging Face Hub")
    hub.add_argument("model", type=Path, metavar="MODEL", help=_MODEL)
    hub.add_argument("repository", metavar="OWNER/NAME", help="made where it does not exist")
    hub.add_argument(
        "--licence", default="cc-by-nc-4.0", help="the Hub's name of it (default: %(default)s, ISIC 2019's)"
    )
    hub.add_argument("--public", action="store_true", help="a new repository is private without it")
    hub.add_argument("--dry-run", action="store_true", help="print the files and the card; send nothing")
    hub.set_defaults(run=_push_to_hub)


def _convert(arguments: argparse.Namespace) -> int:
    check = shared.check_output_file if arguments.to == "onnx" else shared.check_output_folder
    check(arguments.output)
    find(arguments.model)  # a wrong one is refused before TensorFlow starts
    from lesiongan.serving.convert import convert

    convert(arguments.model, arguments.output, arguments.to)
    print(f"{arguments.to}: {arguments.output}")
    return ExitCode.DONE


def _push_to_hub(arguments: argparse.Namespace) -> int:
    import tempfile

    from lesiongan.serving import hub

    if arguments.dry_run:
        with tempfile.TemporaryDirectory(prefix="lesiongan-") as scratch:
            files = hub.prepared(arguments.model, Path(scratch), arguments.repository, arguments.licence)
            for name, size in files.items():
                print(f"{size:12,}  {name}")
            print((Path(scratch) / "README.md").read_text(encoding="utf-8"))
        return ExitCode.DONE
    where = hub.push(arguments.model, arguments.repository, licence=arguments.licence, private=not arguments.public)
    print(f"pushed: {where}")
    return ExitCode.DONE


def _serve(arguments: argparse.Namespace) -> int:
    for option, value, low, high in (
        ("--port", arguments.port, 1, 65535),
        ("--grpc-port", arguments.grpc_port, 0, 65535),
        ("--max-batch", arguments.max_batch, 1, 10_000),
        ("--max-request", arguments.max_request, 0.01, 1000),
    ):
        if not low <= value <= high:
            raise UsageError(f"{option} {value}: give a number from {low} to {high}")
    models: dict[str, Path] = {}
    for entry in arguments.models:
        called, equals, place = entry.partition("=")
        place = place if equals else entry
        called = called if equals else Path(place).name.partition(":")[0]
        if called in models:
            raise UsageError(f"{entry}: there is a model called {called} already; give CALLED=MODEL")
        models[called] = Path(place)
    from lesiongan.serving.server.answers import Limits
    from lesiongan.serving.server.serve import serve

    limits = Limits(arguments.max_batch, int(arguments.max_request * 2**20))
    serve(models, host=arguments.host, port=arguments.port, grpc_port=arguments.grpc_port, limits=limits)
    return ExitCode.DONE
