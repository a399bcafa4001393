"""`lesiongan sign`: content credentials in generated pictures, by a certificate of the user's."""

from __future__ import annotations

import argparse
from pathlib import Path

from lesiongan.base.errors import ExitCode, UsageError
from lesiongan.base.progress import Progress


def add(commands) -> None:
    """Adds the command to a parser's subparsers."""
    sign = commands.add_parser("sign", help="content credentials (C2PA) in generated pictures, by your certificate")
    sign.add_argument(
        "pictures", nargs="+", metavar="PATH", help="PNG and JPEG files, and folders of them; signed in place"
    )
    sign.add_argument("--certificate", type=Path, required=True, metavar="PEM", help="and those that vouch for it")
    sign.add_argument("--key", type=Path, required=True, metavar="PEM", help="its private key")
    sign.add_argument(
        "--timestamps", default="", metavar="URL", help="a time-stamping authority (RFC 3161), which then says when"
    )
    sign.set_defaults(run=_sign)


def _sign(arguments: argparse.Namespace) -> int:
    from lesiongan.data.generated_folder import IMAGES
    from lesiongan.data.labelled import listed
    from lesiongan.serving.content_credentials import Signer, generated_facts

    signer = Signer(arguments.certificate, arguments.key, arguments.timestamps)
    # of a folder of `generate` and `export` its pictures alone, not its contact sheet
    places = [str(Path(path) / IMAGES) if (Path(path) / IMAGES).is_dir() else path for path in arguments.pictures]
    files, faults = listed(places)
    if faults:
        raise UsageError(f"{faults[0]}; nothing was signed")
    if not files:
        raise UsageError(f"{arguments.pictures[0]}: no pictures there; give PNG and JPEG files")
    for path in files:
        generated_facts(path)  # one that cannot be signed ends the command before the first is
    progress = Progress("sign", len(files), "pictures")
    for number, path in enumerate(files, 1):
        signer.sign(path)
        progress.update(number)
    progress.close()
    print(f"{len(files):,} pictures are signed")
    return ExitCode.DONE
