"""What all components share: the decorator that pins the image to the code which the body really uses."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Callable
from pathlib import Path

from kfp import dsl

from lesiongan.base.code_version import code_version, imports_of
from lesiongan.base.lineage import ACCEPT_VARIABLE, code_in_use

#: One image holds everything; a tag alias for each component's code keeps caches right (the tag is part of the cache
#: key). kfp's local engine warns of images without `python` in their names.
IMAGE = os.environ.get("LESIONGAN_IMAGE", "lesiongan-python")


def component(function: Callable) -> Callable:
    """`dsl.component` with the image tag `<component>-<hash of the modules that its body imports>`.

    Where a change of the code is accepted (`lineage.ACCEPT_VARIABLE`), the hash is the one that its step was last run
    with.
    """
    modules = imports_of(textwrap.dedent(inspect.getsource(function)))
    step = max(modules, key=len).rpartition(".")[2]  # the others are the packages above it
    code = code_in_use(step, code_version(sorted(modules)), Path(os.environ.get(ACCEPT_VARIABLE, "")))
    name = function.__name__.replace("_", "-")
    # the image has kfp; by default each task would have pip look for it first
    pinned = dsl.component(function, base_image=f"{IMAGE}:{name}-{code}", install_kfp_package=False)
    container = pinned.component_spec.implementation.container
    container.command = [_without_comments(part) for part in container.command]
    return pinned


def _without_comments(text: str) -> str:
    """The body's source, which kfp puts into the command and so into the cache key, without docstring and comments."""
    if "\ndef " not in text:
        return text
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return "\n" + ast.unparse(tree) + "\n"
