"""Lets tests import the helpers that stand beside them, and those of all tests; a server for those that ask it."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with one model of each kind."""
    from server_process import export_models

    return export_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """Ports of REST and gRPC."""
    from server_process import running

    yield from running(models, tmp_path_factory.mktemp("server"))
