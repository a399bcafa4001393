"""What the tests share: where real images are, and quiet libraries."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest

import lesiongan  # noqa: F401  before any test imports TensorFlow: the package turns oneDNN on

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# The digests of models that tests make are none of the user's.
_STATE = tempfile.TemporaryDirectory(prefix="lesiongan-state-")
os.environ["XDG_STATE_HOME"] = _STATE.name


#: Files that take minutes, the longest first: a file goes to one worker, and one that begins last ends alone.
LONG = (
    "test_runs.py",
    "test_model_commands.py",
    "test_train_cyclegan.py",
    "test_failure_watch.py",
    "test_train_grid.py",
    "test_keras_contract.py",
    "test_commands_run.py",  # by then `test_runs.py` has made the demo that both use
    "test_synthetic_alone.py",
    "test_convert.py",
    "test_onnx_export.py",
)


def pytest_collection_modifyitems(items) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))  # stable: the rest keep their order


@pytest.fixture(scope="module", autouse=True)
def _memory_is_given_back():
    """A worker runs a hundred files: what one has traced is let go before the next."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    gc.collect()
    gc.freeze()  # what libraries keep is looked through by no later collection, of which each would take seconds
    with contextlib.suppress(OSError, AttributeError):  # glibc's alone
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real dermoscopy images; tests that need it are skipped where there is none."""
    folder = os.environ.get("LESIONGAN_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real images: set LESIONGAN_TEST_DATA to a folder with isic2019_84px and isic_sample")
    return Path(folder).resolve()
