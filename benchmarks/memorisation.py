"""The audit of remembered training images on real ones: planted copies, false alarms, time and memory.

    python -m benchmarks.memorisation EXAMPLES [--model ACGAN] [--size 64] [--count 2000] [--planted 250] [--pictures]

In the place of a generator stand training images with one change each, and then all changes at once; real test images
say how often the limits (from validation images, one per lesion) are wrong. With `--model` an ACGAN's images are
audited too. Without `--pictures` features (EfficientNet-Lite2's) are a third way.
"""

from __future__ import annotations

import argparse
import io
import resource
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation import memorisation
from lesiongan.steps.copy_audit import CopyAudit, taken


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("examples", type=Path)
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--size", type=int, default=64)
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--planted", type=int, default=250)
    arguments.add_argument("--rate", type=float, default=0.01)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--pictures", action="store_true")
    options = arguments.parse_args()
    begin = time.monotonic()
    look = None if options.pictures else _features()
    audit = CopyAudit(options.examples, options.size, options.rate, look=look)
    limits = audit.limits
    print(
        f"{len(audit.train):,} training images, {limits.held_out:,} held-out lesions, {options.size} px; limits for "
        f"{limits.rate:.1%}: " + ", ".join(f"{way} {value:.3f}" for way, value in limits.values.items())
    )
    _line("time so far", begin)
    seen, ids = audit.one_per_lesion("test")
    flagged = audit.held_to(seen).flagged
    print(f"real test images, one per lesion: {flagged.sum()} of {len(ids):,} suspected ({flagged.mean():.2%})")
    if options.model:
        _of_model(options, audit)
        _line("time so far", begin)
    train = examples.load(options.examples, options.size, "train")
    chosen = np.random.default_rng(options.seed).permutation(len(train))[: options.planted]
    for name, change in CHANGES.items():
        planted = np.stack([change(train.images[i]) for i in chosen])
        made = ImageSet(planted, train.labels[chosen], tuple(f"made-{i}" for i in chosen), ("made",) * len(chosen))
        found = audit.among(made, {}, look(planted) if look else None)
        right = np.mean([copied == train.ids[i] for copied, i in zip(found.copied, chosen, strict=True)])
        ways = "  ".join(
            f"{way} {np.mean(each.distances <= limits.values[way]):.1%}" for way, each in found.nearest.items()
        )
        print(f"  {name:<28}{found.flagged.mean():7.1%} found, {right:.1%} with their own original   ({ways})")
    _line("in all", begin)


def _of_model(options: argparse.Namespace, audit: CopyAudit) -> None:
    from lesiongan.data.lesions import first_of_each_lesion
    from lesiongan.serving import saved_models

    model = saved_models.load(options.model)
    labels = np.arange(options.count) % len(model.taxonomy.classes)
    images = model.sample(labels, np.arange(options.count))
    ids = tuple(f"made-{i}" for i in range(len(images)))
    begin = time.monotonic()
    features = audit.look(images) if audit.look else None
    found = audit.among(ImageSet(images, labels.astype(np.int32), ids, ("made",) * len(ids)), {}, features)
    print(f"{options.model}: {found.flagged.sum()} of {len(images):,} images suspected ({found.flagged.mean():.2%})")
    if features is not None:
        members = taken(audit.train, first_of_each_lesion(audit.train_ids, audit.lesions)).features
        held = audit.held_out.features
        share, copying = memorisation.authenticity(members, features), memorisation.copying(members, held, features)
        attack = memorisation.membership(members, held, features)
        print(f"  AuthPct {_number(share)}, C_T {copying['value']:.2f}")
        print(f"  membership AUC {_number(attack['auc'])}, control {_number(attack['control'])}")
    _line(f"  audit of these {len(images):,} images", begin)


def _number(entry: dict) -> str:
    return f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def _features():
    from lesiongan.evaluation.imagenet_judge import imagenet

    return imagenet().features


def _line(what: str, begin: float) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {time.monotonic() - begin:.0f} s, at most {memory:.2f} GB", flush=True)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(picture.astype(float), (sigma, sigma, 0)).astype(np.uint8)


def _moved(picture: np.ndarray, pixels: int) -> np.ndarray:
    return np.pad(picture, ((pixels, 0), (pixels, 0), (0, 0)), "edge")[: len(picture), : len(picture)]


def _recoloured(picture: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(picture.sum()))
    return np.clip(picture * rng.uniform(0.75, 1.25, 3) + rng.uniform(-25, 25, 3), 0, 255).astype(np.uint8)


def _compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


CHANGES = {
    "as they are": np.asarray,
    "blurred, 1 px": lambda picture: _blurred(picture, 1.0),
    "blurred, 2 px": lambda picture: _blurred(picture, 2.0),
    "moved, 3 px both ways": lambda picture: _moved(picture, 3),
    "moved, 6 px both ways": lambda picture: _moved(picture, 6),
    "mirrored": lambda picture: picture[:, ::-1],
    "turned": lambda picture: np.rot90(picture),
    "recoloured": _recoloured,
    "JPEG, quality 30": lambda picture: _compressed(picture, 30),
    "all at once (1 px, 3 px, 70)": lambda picture: _compressed(
        _recoloured(_moved(_blurred(picture, 1.0)[:, ::-1], 3)), 70
    ),
}

if __name__ == "__main__":
    main()
