"""Steps in forks of a process that has its imports: the same output, exit code, folder and environment as kfp's way."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from kfp.local import subprocess_task_handler

from pipelines.warm_python import WarmPython

_SHELL = (
    'program_path=$(mktemp -d)\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    '_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "$program_path/ephemeral_component.py" '
    '"$@"\n'
)
_SOURCE = """
from kfp.dsl import *

def told(what: str):
    import os, random, signal, sys, tempfile
    print("warm" if "tensorflow" in sys.modules else "cold", what, flush=True)
    print(os.getcwd(), tempfile.gettempdir(), os.environ.get("LESIONGAN_TOLD"), os.environ.get("_KFP_RUNTIME"))
    print("on stderr", file=sys.stderr)
    print("random", random.random())
    if what == "exits":
        sys.exit(3)
    if what == "fails":
        raise ValueError("a fault")
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def python():
    with WarmPython(subprocess_task_handler.run_local_subprocess) as python:
        python.run(command("first"))
        yield python


def command(what: str) -> list[str]:
    given = {"inputs": {"parameterValues": {"what": what}}, "outputs": {"outputFile": os.devnull}}
    return ["sh", "-ec", _SHELL, _SOURCE, "--executor_input", json.dumps(given), "--function_to_execute", "told"]


def said(capsys) -> list[str]:
    """The step's lines, after what kfp says of its arguments."""
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    begins = next(number for number, line in enumerate(lines) if line.startswith(("warm ", "cold ")))
    return lines[begins:]


@pytest.mark.parametrize(("what", "code"), [("ends", 0), ("exits", 3), ("fails", 1), ("dies", 128 + signal.SIGKILL)])
def test_a_fork_says_and_ends_as_a_new_process_does(python, capsys, monkeypatch, tmp_path, what, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LESIONGAN_TOLD", what)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert python.run(command(what)) == code
    first, places, *more = said(capsys)
    assert first == f"warm {what}"
    assert places == f"{tmp_path} {tmp_path} {what} true"
    assert "on stderr" in more
    assert any("ValueError: a fault" in line for line in more) == (what == "fails")


def test_no_two_forks_draw_the_same_names(python, capsys):
    draws = []
    for _ in range(2):
        assert python.run(command("ends")) == 0
        draws.append(next(line for line in said(capsys) if line.startswith("random")))
    assert draws[0] != draws[1]


def test_the_first_step_and_other_commands_go_the_usual_way(capsys, monkeypatch, tmp_path):
    went = []
    with WarmPython(lambda full_command, env_vars: went.append(full_command) or 5) as python:
        assert python.run(["sh", "-c", "exit 5"]) == 5
        assert python._process is None
        assert python.run(command("first")) == 5
        assert went == [["sh", "-c", "exit 5"], command("first")]
        python._process.kill()  # as a system short of memory does
        python._process.wait()
        assert python.run(command("second")) == 5


def test_nothing_is_left_at_the_end():
    with WarmPython(lambda full_command, env_vars: 0) as python:
        python.run(command("first"))
        process = python._process
    assert process.returncode is not None
    assert not Path(f"/proc/{process.pid}").exists()
