"""The tags of the image: that of all code, and one per component, by which caches know what it runs.

`python -m components.tags` prints them; `make image` and `make push` give them to one image.
"""

from __future__ import annotations

import importlib
import pkgutil

import components
from lesiongan.base.files import digest_text


def component_tags() -> list[str]:
    """`<component>-<hash of its code>` of all components, in order."""
    tags = set()
    for found in pkgutil.iter_modules(components.__path__):
        for value in vars(importlib.import_module(f"components.{found.name}")).values():
            spec = getattr(value, "component_spec", None)
            if spec is not None:
                tags.add(spec.implementation.container.image.rpartition(":")[2])
    return sorted(tags)


def tag() -> str:
    """Of all code that any component runs (16 hex digits)."""
    return digest_text(*component_tags())[:16]


if __name__ == "__main__":
    print(tag(), *component_tags())
