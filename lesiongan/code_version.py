"""Which code a component really uses, as a hash: the modules that its body imports, followed inside `lesiongan`.

A change in the report's style sheet must not train a CycleGAN again; a change in the CycleGAN's loss must.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent
_PACKAGE = "lesiongan"


def code_version(modules: Iterable[str]) -> str:
    """A hash (16 hex digits) of the source of modules of `lesiongan` and of all that they import inside it.

    Functions' local imports count too. The files that are not Python in a module's own folder (templates, tables)
    count with it.

    Raises:
        ModuleNotFoundError: there is no such module in the package.
    """
    digest = hashlib.sha256()
    for path in _closure(modules):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def imports_of(source: str) -> set[str]:
    """The modules of `lesiongan` that a piece of source imports, at any depth of its functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            # `from lesiongan.steps import filter` imports a module, `from lesiongan.files import read_json` a function
            found |= {f"{node.module}.{alias.name}" for alias in node.names if _file(f"{node.module}.{alias.name}")}
    return {name for name in found if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")}


def _closure(modules: Iterable[str]) -> list[Path]:
    todo, seen = list(modules), set()
    paths: set[Path] = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file(name)
        if path is None:
            raise ModuleNotFoundError(f"no module {name!r} in {_PACKAGE}")
        paths.add(path)
        if path.parent != _ROOT:
            paths |= {p for p in path.parent.rglob("*") if p.suffix in (".j2", ".csv", ".css", ".js", ".json", ".toml")}
        todo += _imports_of_file(path)
        parent = name.rpartition(".")[0]
        if parent:
            todo.append(parent)
    return sorted(paths)


@functools.cache
def _imports_of_file(path: Path) -> tuple[str, ...]:
    return tuple(imports_of(path.read_text(encoding="utf-8")))


@functools.cache
def _file(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != _PACKAGE:
        return None
    path = _ROOT.joinpath(*parts[1:])
    if path.with_suffix(".py").is_file() and len(parts) > 1:
        return path.with_suffix(".py")
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return None
