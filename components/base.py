"""What all components share: the decorator that pins the image to the code which the body really uses."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable

from kfp import dsl

from lesiongan.code_version import code_version, imports_of

#: One image holds everything; a tag alias for each component's code keeps caches right (the tag is part of the cache
#: key). kfp's local engine warns of images without `python` in their names.
IMAGE = os.environ.get("LESIONGAN_IMAGE", "lesiongan-python")


def component(function: Callable) -> Callable:
    """`dsl.component` with the image tag `<component>-<hash of the modules that its body imports>`."""
    modules = imports_of(textwrap.dedent(inspect.getsource(function)))
    tag = f"{function.__name__.replace('_', '-')}-{code_version(sorted(modules))}"
    return dsl.component(function, base_image=f"{IMAGE}:{tag}")
