"""Packs what the screening on a GPU needs into a few files: it has neither TensorFlow nor the Examples there.

    python -m benchmarks.gpu.pack EXAMPLES PICTURES.zip PACK --classifier MODEL

PICTURES.zip is the archive that the Examples were made of. PACK gets the training pictures as they are in it
(`train.xz`, `index.npz`), the frozen networks with their norms folded in, in float16 (`weights.npz`), and the
validation images, one per lesion, as both judges see them (`validation.npz`).
"""

from __future__ import annotations

import argparse
import lzma
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import lesiongan
from benchmarks.judged import one_per_lesion
from lesiongan.data import examples
from lesiongan.data.lesions import source_of
from lesiongan.evaluation.feature_metrics import feature_scale
from lesiongan.evaluation.imagenet_judge import imagenet
from lesiongan.evaluation.judge import Judge
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite
from lesiongan.models.classifier.model import LesionClassifier

SIZE, NEVI = 64, 1


def folded(network: EfficientNetLite) -> dict[str, np.ndarray]:
    """`PART/CONVOLUTION` -> kernel, and `.../offset`; the network cannot be trained any more."""
    network.freeze(tf.float32)
    arrays = {}
    for part in (network.stem, *network.groups, network.top):
        for key, kernel in part.kernels.items():
            arrays |= {
                f"{part.name}/{key}": kernel.numpy(),
                f"{part.name}/{key}/offset": part.norms.offsets[key].numpy(),
            }
    return arrays


def folded_classifier(model: LesionClassifier) -> dict[str, np.ndarray]:
    """The same of a classifier on EfficientNet-Lite0, its head too."""
    head = model.head
    factors, offsets = head.norms.folded()
    arrays = {"head/hidden": head.hidden.numpy(), "head/classes": head.classes.numpy()}
    for key in ("pooled", "hidden"):
        arrays |= {f"head/{key}/scale": factors[key].numpy(), f"head/{key}/offset": offsets.offsets[key].numpy()}
    return arrays | folded(model.backbone)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("examples")
    arguments.add_argument("pictures", type=Path)
    arguments.add_argument("pack", type=Path)
    arguments.add_argument("--classifier", type=Path, required=True, help="with its model.keras")
    options = arguments.parse_args()
    options.pack.mkdir(parents=True, exist_ok=True)
    networks = {name: EfficientNetLite(variant=name) for name in ("lite0", "lite2")}
    for network in networks.values():
        network.load_pretrained("imagenet")
    weights = {name: folded(network) for name, network in networks.items()}
    weights["classifier"] = folded_classifier(lesiongan.load(options.classifier))
    flat = {f"{name}/{key}": value for name, arrays in weights.items() for key, value in arrays.items()}
    np.savez_compressed(options.pack / "weights.npz", **{key: value.astype(np.float16) for key, value in flat.items()})
    real = one_per_lesion(options.examples, SIZE, "validation")
    seen = {}
    for name, judge in (("lite2", imagenet()), ("classifier", Judge.of_classifier(options.classifier))):
        features = judge.features(real.images)
        scale = feature_scale(features)
        seen |= {f"{name}/features": (features / scale).astype(np.float16), f"{name}/scale": np.float32(scale)}
    colours, nevi = real.images.mean((1, 2)), real.images[real.labels == NEVI]
    np.savez_compressed(options.pack / "validation.npz", labels=real.labels, colours=colours, nevi=nevi, **seen)
    train = examples.load(options.examples, SIZE, "train")
    with zipfile.ZipFile(options.pictures) as archive:
        places = {Path(name).stem: name for name in archive.namelist()}
        pictures = [archive.read(places[key]) for key in train.ids]
    sources = [source_of(lesion) for lesion in examples.lesion_ids(options.examples, train.ids)]
    numbers = np.unique(sources, return_inverse=True)[1]
    np.savez(options.pack / "index.npz", sizes=list(map(len, pictures)), labels=train.labels, sources=numbers)
    (options.pack / "train.xz").write_bytes(lzma.compress(b"".join(pictures), preset=2))


if __name__ == "__main__":
    main()
