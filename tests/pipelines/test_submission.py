"""`lesiongan submit` against a server that speaks the few calls of Kubeflow Pipelines' API that kfp's own client makes,
its answers written by the classes of that API."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kfp_server_api as api
import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from lesiongan.base.errors import LesionganError, MachineError, UsageError
from lesiongan.data.taxonomy import ISIC_2019
from pipelines import definitions, kubeflow, submission
from pipelines.cli import _parse
from pipelines.presets import resolve
from pipelines.submission import Server

RUN = "11111111-2222-3333-4444-555555555555"
TASKS = (
    ("a", "root", None),
    ("b", "example-gen-driver", None),
    ("c", "example-gen", None),
    ("d", "for-loop-2", ["e"]),
    ("e", "train-cyclegan", None),
)


def run_in(state: str, tasks: dict[str, str], error: str = "") -> api.V2beta1Run:
    """A run as the server tells of it: `tasks` are states by the names of those that have begun."""
    wrong = api.GoogleRpcStatus(code=13, message=error) if error else None
    details = [
        api.V2beta1PipelineTaskDetail(
            task_id=task_id,
            display_name=name,
            state=tasks[name],
            error=wrong if tasks[name] == "FAILED" else None,
            child_tasks=[api.PipelineTaskDetailChildTask(task_id=child) for child in children or []] or None,
        )
        for task_id, name, children in TASKS
        if name in tasks
    ]
    return api.V2beta1Run(
        run_id=RUN, display_name="mine", state=state, run_details=api.V2beta1RunDetails(task_details=details)
    )


RUNNING = run_in("RUNNING", {"root": "RUNNING", "example-gen-driver": "SUCCEEDED", "example-gen": "RUNNING"})
LOOP = {"root": "RUNNING", "example-gen": "SUCCEEDED", "for-loop-2": "RUNNING", "train-cyclegan": "RUNNING"}
DONE = dict.fromkeys(LOOP, "SUCCEEDED")


class Kubeflow:
    """The server: what it was asked, and what it answers when asked for the run, one answer after the other."""

    def __init__(self):
        self.asked: list[tuple[str, str, dict | None, str]] = []
        self.states: list[api.V2beta1Run | int] = []
        self.experiments: list[api.V2beta1Experiment] = []
        self.token = ""
        kubeflow = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self._answer("GET")

            def do_POST(self):
                self._answer("POST")

            def _answer(self, method: str):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                authorization = self.headers.get("authorization", "")
                kubeflow.asked.append((method, self.path, body, authorization))
                if kubeflow.token and authorization != f"Bearer {kubeflow.token}":
                    code, answer = 401, {"message": "who are you?"}
                else:
                    code, answer = kubeflow.answer(method, self.path, body)
                text = json.dumps(api.ApiClient().sanitize_for_serialization(answer)).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(text)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method: str, path: str, body: dict | None):
        path = path.partition("?")[0].removeprefix("/apis/v2beta1")
        if (method, path) == ("GET", "/healthz"):
            return 200, api.V2beta1GetHealthzResponse(multi_user=False)
        if (method, path) == ("GET", "/experiments"):
            found = self.experiments
            return 200, api.V2beta1ListExperimentsResponse(experiments=found, total_size=len(found))
        if (method, path) == ("POST", "/experiments"):
            made = api.V2beta1Experiment(experiment_id="e1", display_name=body["display_name"])
            self.experiments.append(made)
            return 200, made
        if (method, path) == ("POST", "/runs"):
            return 200, api.V2beta1Run(run_id=RUN, display_name=body["display_name"], state="PENDING")
        if (method, path) == ("GET", f"/runs/{RUN}"):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return (state, {"message": "later"}) if isinstance(state, int) else (200, state)
        return 404, {"message": f"no {method} {path}"}


@pytest.fixture
def server():
    kubeflow = Kubeflow()
    yield kubeflow
    kubeflow.server.shutdown()
    kubeflow.server.server_close()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "nevus-to-melanoma.yaml"
    config = resolve("demo", here=False)
    place = kubeflow.Placement()
    pipeline = definitions.experiment_pipeline(
        "nevus_to_melanoma", config, classes=ISIC_2019.classes, place=place, group=1
    )
    kubeflow.compile_pipeline(pipeline, path)
    return path


def submit(*words) -> int:
    arguments = _parse(["lesiongan", "submit", *map(str, words)])
    return arguments.run(arguments)


def test_a_run_is_started_and_followed_to_its_end(server, file, capsys, monkeypatch):
    monkeypatch.setattr(submission.time, "sleep", lambda seconds: None)
    server.states = [RUNNING, RUNNING, run_in("RUNNING", LOOP), run_in("SUCCEEDED", DONE)]
    assert submit(file, "--host", server.host, "--parameter", "seed=7", "--parameter", "data=/mnt/x") == 0
    out = capsys.readouterr().out
    assert f"{server.host}/#/runs/details/{RUN}" in out
    assert re.findall(r"^\[.*$", out, re.M) == [
        "[example-gen] running",
        "[example-gen] succeeded",
        "[train-cyclegan] running",
        "[train-cyclegan] succeeded",
    ]
    (sent,) = [body for method, path, body, _ in server.asked if (method, path) == ("POST", "/apis/v2beta1/runs")]
    assert sent["experiment_id"] == "e1"
    assert sent["runtime_config"]["parameters"] == {"seed": 7, "data": "/mnt/x"}
    # both parts of the file arrive, whole
    spec, platform = sent["pipeline_spec"]["pipeline_spec"], sent["pipeline_spec"]["platform_spec"]
    assert json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec()).pipeline_info.name == "nevus-to-melanoma"
    assert json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec()).platforms["kubernetes"]


def test_an_experiment_that_is_there_is_taken(server, file, capsys):
    server.experiments = [api.V2beta1Experiment(experiment_id="e7", display_name="mine")]
    assert submit(file, "--host", server.host, "--experiment", "mine", "--name", "first", "--no-follow") == 0
    posts = [(path, body) for method, path, body, _ in server.asked if method == "POST"]
    assert [path for path, _ in posts] == ["/apis/v2beta1/runs"]
    assert (posts[0][1]["experiment_id"], posts[0][1]["display_name"]) == ("e7", "first")
    assert "started: first" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_does_not_succeed_is_one_line_with_its_step_and_why(server, file, state):
    server.states = [run_in(state, {**LOOP, "train-cyclegan": state}, "pod was\nout of memory")]
    with pytest.raises(LesionganError) as error:
        submit(file, "--host", server.host)
    text = str(error.value)
    assert text.startswith(f"the run ended as {state.lower()}")
    assert ("in train-cyclegan" in text) == (state == "FAILED")
    assert f"{server.host}/#/runs/details/{RUN}" in text
    assert error.value.exit_code == 1


def test_ctrl_c_says_that_the_run_goes_on(server, file, capsys, monkeypatch):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(submission.time, "sleep", stop)
    server.states = [RUNNING]
    assert submit(file, "--host", server.host) == 130
    assert f"the run goes on: {server.host}/#/runs/details/{RUN}" in capsys.readouterr().err


def test_a_token_is_taken_from_its_file_and_shown_nowhere(server, file, tmp_path, capsys):
    server.token = "s3cr3t"
    with pytest.raises(UsageError, match=r"answers 401 .*--token-file"):
        submit(file, "--host", server.host)
    (tmp_path / "token").write_text("s3cr3t\n")
    assert submit(file, "--host", server.host, "--token-file", tmp_path / "token", "--no-follow") == 0
    assert {authorization for *_, authorization in server.asked[1:]} == {"Bearer s3cr3t"}
    shown = capsys.readouterr()
    assert "s3cr3t" not in shown.out + shown.err


def test_a_server_that_is_away_for_a_while_is_asked_again(server, monkeypatch):
    client = submission.connect(Server(server.host))
    server.states = [run_in("SUCCEEDED", DONE)]
    real, failures = client.get_run, iter([OSError("reset by peer"), OSError("reset by peer")])

    def sometimes(run_id):
        for failure in failures:
            raise failure
        return real(run_id)

    monkeypatch.setattr(client, "get_run", sometimes)
    said = []
    submission.follow(client, Server(server.host), RUN, said.append, interval=0.0)
    assert said == ["[example-gen] succeeded", "[train-cyclegan] succeeded"]


def test_a_server_that_stays_away_is_one_line(server, monkeypatch):
    client = submission.connect(Server(server.host))
    server.server.shutdown()
    server.server.server_close()
    monkeypatch.setattr(submission, "_PATIENCE", 0.0)
    with pytest.raises(MachineError, match="does not answer"):
        submission.follow(client, Server(server.host), RUN, print, interval=0.0)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["--host", "kubeflow.example.org"], UsageError, "give an URL"),
        (["--host", "http://127.0.0.1:9"], MachineError, "does not answer"),
        (["--parameter", "sead=1"], UsageError, "the pipeline takes data, fingerprint, "),
        (["--parameter", "seed=one"], UsageError, "'one' is not of type int"),
        (["--token-file", "/nowhere/token"], UsageError, "--token-file /nowhere/token"),
    ],
)
def test_what_cannot_be_is_one_line(server, file, words, error, said):
    with pytest.raises(error, match=re.escape(said)):
        submit(file, "--host", server.host, *words)
    assert not any(method == "POST" for method, *_ in server.asked)


@pytest.mark.parametrize("text", ["", "[", "a: 1", "root: {dag: {}}"])
def test_what_is_no_compiled_pipeline_is_refused(server, tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UsageError, match="no pipeline which `lesiongan compile` wrote"):
        submit(tmp_path / "x.yaml", "--host", server.host)
    assert server.asked == []
