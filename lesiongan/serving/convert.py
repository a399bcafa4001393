"""An exported model in another form: for machines without a quick CPU form, for other runtimes, for medigan."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lesiongan.base.errors import UsageError
from lesiongan.base.files import whole_directory, write_json
from lesiongan.serving import medigan_init, saved_models
from lesiongan.serving.model_artifact import BESIDE, RECORD, describe, find, made_classes, saved_model
from lesiongan.serving.onnx_export import export_onnx
from lesiongan.serving.trained_generator import trained_generator

To = Literal["cpu", "portable", "onnx", "medigan"]
_OF_THE_EXPORT = {
    "format",
    "name",
    "kind",
    "size",
    "any_size",
    "taxonomy",
    "digest",
    "parameters",
    "version",
    "blessing",
}


def convert(model: Path, output: Path, to: To) -> None:
    """Writes a model in another form.

    Args:
        model: see `model_artifact.find`.
        output: of `onnx` a file (see `onnx_export`), otherwise a new folder: a model's of `cpu` and `portable` (see
            `served_generator.Target`), a package's of `medigan`.
        to: the form.

    Raises:
        UsageError: no such model, one that has no such form, or something is at `output` already.
    """
    if output.exists():
        raise UsageError(f"-o {output}: there is something already; name a new {'file' if to == 'onnx' else 'folder'}")
    {"onnx": export_onnx, "medigan": _to_medigan}.get(to, _reformed(to))(find(model), output)


def _reformed(target: Any):
    def write(place: Path, output: Path) -> None:
        record = describe(place)
        served = saved_models.load(place)
        if record["kind"] != "cyclegan" or ("form" not in record and record.get("any_size")):
            raise UsageError(f"{place}: has one form, which runs anywhere; there is nothing to convert")
        from lesiongan.models.cyclegan.served_generator import served_generator

        details = {key: value for key, value in record.items() if key not in _OF_THE_EXPORT}
        saved_models.export(
            served_generator(trained_generator(served), target),
            output,
            kind="cyclegan",
            size=served.size,
            taxonomy=served.taxonomy,
            details={**details, "form": target, "converted_from": record["digest"]},
        )

    return write


def _to_medigan(place: Path, output: Path) -> None:
    """A package for medigan: the SavedModel with `generate` beside it, and its entry for medigan's configuration."""
    record = describe(place)
    if record["kind"] != "acgan":
        raise UsageError(f"{place}: medigan's form is for models that need no pictures; give an ACGAN")
    if not hasattr(saved_models.load(place).module, "generate_by_name"):
        raise UsageError(f"{place}: exported by an earlier version; export the model again")
    with whole_directory(output) as folder:
        shutil.copytree(saved_model(place), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*BESIDE))
        shutil.copy(place / RECORD, folder / RECORD)
        shutil.copy(medigan_init.__file__, folder / "__init__.py")
        write_json(folder / "metadata.json", medigan_entry(record, output.name))


def medigan_entry(record: Mapping[str, Any], package: str) -> dict[str, Any]:
    """The model's entry of medigan's `global.json`. Its link, its id and its DOI are the publisher's to fill in."""
    classes = list(made_classes(record))
    measured = record.get("exported", {}).get("measured", {})
    size = record["size"]
    return {
        f"00000_ACGAN_{package}"[:30].upper(): {
            "execution": {
                "package_name": package,
                "package_link": "",
                "model_name": "saved_model",
                "extension": ".pb",
                "image_size": [size, size],
                "dependencies": ["numpy", "tensorflow"],
                "generate_method": {
                    "name": "generate",
                    "args": {
                        "base": ["model_file", "num_samples", "output_path", "save_images"],
                        "custom": {"classes": "", "seed": None},
                    },
                },
            },
            "selection": {
                "performance": {key: value for key, value in measured.items() if isinstance(value, (int, float))},
                "organ": ["skin"],
                "modality": ["dermoscopy"],
                "height": size,
                "width": size,
                "channels": 3,
                "conditional": classes,
                "generates": ["images"],
                "license": "CC BY-NC 4.0",
                "tags": ["dermoscopy", "skin lesion", *classes],
            },
            "description": {
                "title": f"{record['name']} of lesiongan: dermoscopy images of {', '.join(classes)}",
                "generator_digest": record["digest"],
                "comment": "For research only; the images are synthetic and show no patient.",
            },
        }
    }
