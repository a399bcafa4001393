"""Small data sets on disk for the tests of the sources."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from lesiongan.data.taxonomy import ISIC_2019

CLASSES = ISIC_2019.classes


def jpeg(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def one_hot(ids, labels, columns=(*CLASSES, "UNK")) -> str:
    lines = [",".join(["image", *columns])]
    for image_id, label in zip(ids, labels, strict=True):
        lines.append(",".join([image_id, *("1.0" if column == label else "0.0" for column in columns)]))
    return "\n".join(lines) + "\n"


def folder(
    root: Path, table: str, names, *, name: str = "ground_truth.csv", images: str = "images", seed: int = 0
) -> str:
    root.mkdir(exist_ok=True)
    (root / name).write_bytes(table.encode() if isinstance(table, str) else table)
    for position, file in enumerate(names):
        path = root / images / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(seed + position))
    return str(root)


def whys(source) -> dict[str, str]:
    return {anomaly.what: anomaly.why for anomaly in source.anomalies}


def official(root: Path, *, packed: bool, unpacked: bool = False) -> str:
    ids = [f"ISIC_{i:07d}" + ("_downsampled" if i % 3 == 0 else "") for i in range(16)]
    data = folder(root, one_hot(ids, CLASSES * 2), [], name="ISIC_2019_Training_GroundTruth.csv")
    metadata = ["image,age_approx,anatom_site_general,lesion_id,sex"]
    metadata += [f"{image_id},{40 + 5 * (i % 3)},anterior torso,BCN_{i // 2},male" for i, image_id in enumerate(ids)]
    metadata[2] = f"{ids[1]},,,,"
    (root / "ISIC_2019_Training_Metadata.csv").write_text("\n".join(metadata))
    (root / "LICENSE.txt").write_text("...")
    if packed:
        with zipfile.ZipFile(root / "ISIC_2019_Training_Input.zip", "w") as archive:
            for i, image_id in enumerate(ids):
                archive.writestr(f"ISIC_2019_Training_Input/{image_id}.jpg", jpeg(i))
            archive.writestr("ISIC_2019_Training_Input/ATTRIBUTION.txt", "...")
    if unpacked:
        (root / "ISIC_2019_Training_Input").mkdir()
        for i, image_id in enumerate(ids):
            (root / f"ISIC_2019_Training_Input/{image_id}.jpg").write_bytes(jpeg(i))
    return data
