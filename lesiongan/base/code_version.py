"""Which code a component really uses, as a hash: the modules that its body imports, followed inside `lesiongan`.

A change in the report's style sheet must not train a CycleGAN again, and neither must a changed comment in the
CycleGAN's own file; a change in its loss must. So the hash is taken of the syntax trees, without comments and
docstrings; and since another TensorFlow or Keras may give other numbers, their versions are in it where they are used.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = "lesiongan"
_DATA = (".j2", ".csv", ".css", ".js", ".json", ".toml")
#: Import name -> the distributions that may bring it.
_LIBRARIES = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "keras": ("keras",)}
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_version(modules: Iterable[str]) -> str:
    """A hash (16 hex digits) of modules of `lesiongan` and of all that they import inside it.

    Imports inside functions count too. The files in a module's folder that are not Python (templates, tables) count
    byte by byte. Where any of the modules imports TensorFlow or Keras, its version (major.minor) counts.

    Raises:
        ModuleNotFoundError: there is no such module in the package.
    """
    digest = hashlib.sha256()
    libraries: set[str] = set()
    for path in _closure(modules):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + _digest_of(path))
        if path.suffix == ".py":
            libraries |= _parsed(path)[2]
    for name in sorted(libraries):
        digest.update(f"{name} {library_version(name)}\0".encode())
    return digest.hexdigest()[:16]


def library_version(name: str) -> str:
    """major.minor of `tensorflow` or `keras`, without importing it; "" where it is not installed."""
    for distribution in _LIBRARIES[name]:
        try:
            return ".".join(importlib.metadata.version(distribution).split(".")[:2])
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def imports_of(source: str) -> set[str]:
    """The modules of `lesiongan` that a piece of source code imports, inside its functions too."""
    return _imported(ast.parse(source))[0]


def source_digest(source: str) -> bytes:
    """A hash of what a piece of Python code does: comments, docstrings and layout do not count."""
    return _digest_of_tree(ast.parse(source))


def _digest_of_tree(tree: ast.AST) -> bytes:
    parts: list[str] = []
    _collect(tree, parts)
    return hashlib.sha256("".join(f"{text}\0" for text in parts).encode()).digest()


def _collect(value: Any, parts: list[str]) -> None:
    """Adds a syntax tree as texts, the same for all supported Pythons: fields that are empty do not count, since a
    newer one has more of them."""
    if isinstance(value, ast.AST):
        parts.append(type(value).__name__)
        for name in value._fields:
            field = _counted(getattr(value, name, None))
            if name == "body" and isinstance(value, _DEFINITIONS) and ast.get_docstring(value, clean=False) is not None:
                field = field[1:]
            if field is not None and field != []:
                parts.append(name)
                _collect(field, parts)
        parts.append(")")
    elif isinstance(value, list):
        for item in value:
            _collect(item, parts)
    else:
        parts.append(f"{type(value).__name__} {value!r}")


def _counted(field: Any) -> Any:
    """A field without the number of the release, which decides nothing."""
    if not isinstance(field, list):
        return field
    return [node for node in field if not (isinstance(node, ast.Assign) and _names(node) == ["__version__"])]


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _imported(tree: ast.AST) -> tuple[set[str], set[str]]:
    """The modules of this package, and the libraries of `_LIBRARIES`, that a syntax tree imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            # `from lesiongan.steps import push` imports a module, `from lesiongan.base.files import read_json` does not
            names |= {f"{node.module}.{alias.name}" for alias in node.names if _file(f"{node.module}.{alias.name}")}
    own = {name for name in names if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")}
    return own, {name.partition(".")[0] for name in names} & set(_LIBRARIES)


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
            paths |= {p for p in path.parent.rglob("*") if p.suffix in _DATA}
        todo += _parsed(path)[1]
        parent = name.rpartition(".")[0]
        if parent:
            todo.append(parent)
    return sorted(paths)


@functools.cache
def _parsed(path: Path) -> tuple[bytes, frozenset[str], frozenset[str]]:
    """Of a module: its hash, the modules of this package that it imports, and the libraries."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own, libraries = _imported(tree)
    return _digest_of_tree(tree), frozenset(own), frozenset(libraries)


def _digest_of(path: Path) -> bytes:
    return _parsed(path)[0] if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).digest()


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
