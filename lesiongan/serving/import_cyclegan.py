"""A generator of pytorch-CycleGAN-and-pix2pix as a model of this project."""

from __future__ import annotations

from pathlib import Path

from lesiongan.base.errors import UsageError
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy
from lesiongan.models.cyclegan.pth_import import import_generator


def export_generator(path: Path, directory: Path, *, size: int, source: str, target: str) -> dict:
    """Writes an imported generator as a model that `saved_models.load(directory).translate` serves.

    Args:
        path: see `import_generator`.
        directory: a new folder, or an empty one.
        size: pixels.
        source: class of the images that go in.
        target: class of the images that come out.

    Returns:
        The content of `model.json`.

    Raises:
        UsageError: as `import_generator`; or the folder is not empty; or the classes are the same.
    """
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise UsageError(f"{directory}: there is something already; give a new folder")
    if not source or not target or source == target:
        raise UsageError(f"source {source!r} and target {target!r} must be two classes")
    generator, facts = import_generator(path, size)
    # after the file has passed the checks, so that a wrong one is refused at once
    from lesiongan.models.cyclegan.served_generator import ServedGenerator
    from lesiongan.serving import saved_models

    known = source in ISIC_2019.classes and target in ISIC_2019.classes
    return saved_models.export(
        ServedGenerator(generator),
        directory,
        kind="cyclegan",
        size=size,
        taxonomy=ISIC_2019 if known else Taxonomy.of((source, target)),
        details={"source": source, "target": target, "imported": facts},
    )
