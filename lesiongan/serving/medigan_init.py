"""The code of a package in medigan's form: `convert` copies it as `__init__.py` into the folder of a SavedModel.

Nothing of the project that trained the model is imported, TensorFlow alone.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import numpy as np
import tensorflow as tf

_BATCH = 32
_SEEDS = 2**62


def generate(
    model_file: str,
    num_samples: int,
    output_path: str,
    save_images: bool,
    classes: str = "",
    seed: int | None = None,
    **_,
):
    """Synthetic dermoscopy images, for research only.

    Args:
        model_file: `saved_model.pb` of this package.
        num_samples: how many, spread over the classes in turn.
        output_path: the folder of the PNG files, named by class and seed.
        save_images: as files; otherwise they are returned.
        classes: their names, with commas; all that the model makes if empty.
        seed: of the first image, the next ones count up; None draws one, so that no two calls give the same images.

    Returns:
        A list of uint8 `[size, size, 3]`, or None where files were written.
    """
    folder = Path(model_file).parent
    record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    known = record.get("refines") or record["taxonomy"]["classes"]
    asked = [name.strip() for name in classes.split(",") if name.strip()] or list(known)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ValueError(f"no class {unknown[0]!r}; this model makes {', '.join(known)}")
    first = secrets.randbelow(_SEEDS) if seed is None else seed
    names = [asked[number % len(asked)] for number in range(num_samples)]
    sample = tf.saved_model.load(str(folder)).signatures["generate_by_name"]
    images = []
    for begin in range(0, num_samples, _BATCH):
        part = names[begin : begin + _BATCH]
        seeds = [first + begin + place for place in range(len(part))]
        made = sample(names=tf.constant(part), seeds=tf.constant(seeds, tf.int64))
        if not save_images:
            images += list(made["image"].numpy())
            continue
        for name, number, png in zip(part, seeds, made["png_bytes"].numpy(), strict=True):
            Path(output_path).mkdir(parents=True, exist_ok=True)
            safe = re.sub(r"[^\w-]+", "_", name)
            (Path(output_path) / f"{safe}_{number:019d}.png").write_bytes(png)
    return None if save_images else np.array(images)
