"""What the import of the package sets up, seen from fresh interpreters."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_TENSORFLOW_FIRST = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow'); "


@pytest.mark.parametrize(
    ("before", "variable", "warned"),
    [("", None, False), (_TENSORFLOW_FIRST, None, True), (_TENSORFLOW_FIRST, "0", False)],
    ids=["lesiongan first", "tensorflow first", "tensorflow first, with the variable set"],
)
def test_warns_where_tensorflow_may_run_without_onednn(before, variable, warned):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if variable is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = variable
    code = f"{before}import lesiongan, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (variable or "1")
    assert ("import lesiongan before tensorflow" in run.stderr) is warned
