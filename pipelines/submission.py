"""Starts a compiled pipeline on Kubeflow with kfp's client, and follows it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lesiongan.base.errors import LesionganError, MachineError, UsageError

_ENDS = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_PATIENCE = 300.0  # seconds for which a server that has answered before need not answer
_TIMEOUT = 30.0  # seconds of the first question


@dataclasses.dataclass(frozen=True)
class Server:
    """Where Kubeflow Pipelines answers.

    Attributes:
        host: its URL.
        namespace: of the user, where the cluster has several; "": the server knows.
        token: "" where none is asked for.
    """

    host: str
    namespace: str = ""
    token: str = ""

    def page(self, run_id: str) -> str:
        """Where a person sees a run."""
        return f"{self.host.rstrip('/')}/#/runs/details/{run_id}"


def check_server(server: Server) -> None:
    """Raises `UsageError` or `MachineError` where no Kubeflow Pipelines answers: kfp's client would ask for half a
    minute, and then say so in a traceback."""
    if not server.host.startswith(("http://", "https://")):
        raise UsageError(f"--host {server.host}: give an URL, http(s)://HOST[:PORT]")
    request = urllib.request.Request(f"{server.host.rstrip('/')}/apis/v2beta1/healthz")
    if server.token:
        request.add_header("Authorization", f"Bearer {server.token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            json.load(answer)
    except urllib.error.HTTPError as error:
        refused = "; give the token of a user or service account with --token-file" if error.code in (401, 403) else ""
        raise UsageError(f"--host {server.host}: it answers {error.code} {error.reason}{refused}") from None
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        raise MachineError(f"--host {server.host}: Kubeflow Pipelines does not answer ({reason})") from None
    except ValueError:
        raise UsageError(
            f"--host {server.host}: something answers, but not Kubeflow Pipelines; is a page for signing in before it? "
            "Give the URL of its API, or a token with --token-file"
        ) from None


def parameters(file: Path, assignments: Sequence[str]) -> dict[str, Any]:
    """A compiled pipeline's parameters from `KEY=VALUE`s, of the types that it declares.

    Raises:
        UsageError: the file is no compiled pipeline, or it has no such parameter.
    """
    try:
        spec = next(iter(yaml.safe_load_all(file.read_text(encoding="utf-8"))), None)
        declared = spec["root"]["inputDefinitions"]["parameters"]  # type: ignore[index]
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise UsageError(f"{file}: that is no pipeline which `lesiongan compile` wrote") from None
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or key not in declared:
            known = ", ".join(declared)
            raise UsageError(f"--parameter {assignment!r}: write it as KEY=VALUE; the pipeline takes {known}")
        try:
            values[key] = int(text) if declared[key]["parameterType"] == "NUMBER_INTEGER" else text
        except ValueError:
            raise UsageError(f"--parameter {assignment!r}: {text!r} is not of type int") from None
    return values


def connect(server: Server) -> Any:
    """kfp's client.

    Raises:
        LesionganError: the server cannot be reached, or refuses.
    """
    from kfp import Client

    check_server(server)
    with _plain(server), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        more = {"namespace": server.namespace} if server.namespace else {}
        return Client(host=server.host, existing_token=server.token or None, **more)


def start(
    client: Any, server: Server, file: Path, values: Mapping[str, Any], experiment: str, name: str, account: str = ""
) -> str:
    """Starts a run and returns its id.

    Args:
        experiment: in which the run stands; made where it is not there.
        name: of the run.
        account: the service account of its pods; "": the cluster's default.
    """
    with _plain(server), contextlib.redirect_stdout(None):  # kfp prints its own links
        result = client.create_run_from_pipeline_package(
            str(file),
            arguments=dict(values),
            run_name=name,
            experiment_name=experiment,
            namespace=server.namespace or None,
            service_account=account or None,
        )
    return result.run_id


def follow(client: Any, server: Server, run_id: str, say: Callable[[str], None], interval: float = 10.0) -> None:
    """Says which task is in which state as that changes, until the run has ended.

    Raises:
        LesionganError: it has not succeeded; or the server is not heard of for five minutes.
    """
    known: dict[str, str] = {}
    heard = time.monotonic()
    while True:
        try:
            with _plain(server):
                run = client.get_run(run_id)
            heard = time.monotonic()
        except MachineError:
            if time.monotonic() - heard > _PATIENCE:
                raise
            time.sleep(interval)
            continue
        for task in _tasks(run):
            state = task.state or "PENDING"
            if known.get(task.task_id) != state:
                known[task.task_id] = state
                say(f"[{task.display_name}] {state.lower()}{_why(task.error)}")
        if run.state in _ENDS:
            if run.state == "SUCCEEDED":
                return
            failed = [task.display_name for task in _tasks(run) if task.state == "FAILED"]
            which = f" in {', '.join(dict.fromkeys(failed))}" if failed else ""
            raise LesionganError(
                f"the run ended as {run.state.lower()}{which}{_why(run.error)}; see {server.page(run_id)}, where Retry "
                "goes on from the last checkpoints"
            )
        time.sleep(interval)


def _tasks(run: Any) -> list[Any]:
    """The tasks that a person knows, in the order in which they began: not Kubeflow's own drivers, nor the pipeline
    itself."""
    details = (run.run_details.task_details if run.run_details else None) or []
    own = [task for task in details if task.display_name and not task.display_name.endswith("-driver")]
    return [task for task in own if task.display_name not in ("root", run.display_name) and not task.child_tasks]


def _why(error: Any) -> str:
    return f" ({' '.join(error.message.split())})" if error is not None and error.message else ""


@contextlib.contextmanager
def _plain(server: Server) -> Iterator[None]:
    """Errors of kfp's client and of the network as one line; its log is for its developers."""
    import kfp_server_api
    import urllib3

    logger = logging.getLogger("urllib3")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        yield
    except kfp_server_api.ApiException as error:
        message = error.reason
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            message = json.loads(error.body).get("message") or message
        raise UsageError(f"--host {server.host}: Kubeflow Pipelines refuses ({error.status}): {message}") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise MachineError(f"--host {server.host}: Kubeflow Pipelines does not answer ({error})") from None
    finally:
        logger.level = level
