"""What TensorFlow tells its developers while it starts is kept from a person's screen."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.abc
import importlib.machinery
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any

#: A developer who sets it sees what it lets through.
LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
#: Lines of abseil's log (`I0000 00:00:1.2 34 file.cc:5] ...`, an older date without year), and what belongs to them.
_LOG = re.compile(
    rb"([IWE]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IWE] )|WARNING: All log messages before absl::InitializeLog|"
    rb"To enable the following instructions:"
)


def quiet_start() -> None:
    """TensorFlow's log in C++ is off, in this process and in those that it starts, unless the environment says
    otherwise. To be called before TensorFlow is imported, which need not happen."""
    if LEVEL_VARIABLE in os.environ or "tensorflow" in sys.modules:
        return
    os.environ[LEVEL_VARIABLE] = "3"
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as ever, to be loaded by `_QuietLoader`: some lines come before the level is read."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, own: importlib.abc.Loader):
        self._own = own

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        with _without_log():
            self._own.exec_module(module)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Standard error of C++ and Python without lines of TensorFlow's log; all of it where the block fails."""
    sys.stderr.flush()
    try:
        screen = os.dup(2)
    except OSError:  # there is none
        yield
        return
    crashes = faulthandler.is_enabled()
    failed = True
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        if not crashes:  # a processor that TensorFlow cannot run on ends the process: not without a word
            faulthandler.enable(screen)
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            if not crashes:
                faulthandler.disable()
            os.dup2(screen, 2)
            os.close(screen)
            kept.seek(0)
            for line in kept:
                if failed or not _LOG.match(line):
                    os.write(2, line)
