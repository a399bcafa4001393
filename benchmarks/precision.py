"""bfloat16 against float32: how fast trainings of recipe `best` are, and whether their images are worse.

    python -m benchmarks.precision EXAMPLES [--preset small] [--images 8000] [--seeds 2]

The ACGAN of all classes and a CycleGAN from nevi to melanomas are trained on the Examples in either precision from the
same seeds, and judged by EfficientNet-Lite2 on one validation image per lesion: KID of all classes together, and of the
melanomas made of the validation side's nevi. The last line says for either model
by how much bfloat16 moves the mean KID, and how far two seeds of one precision lie apart in the mean.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.judged import Looks, one_per_lesion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--images", type=int, default=8000, help="that each training sees")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=("acgan", "cyclegan"), default=("acgan", "cyclegan"))
    options = parser.parse_args()
    import lesiongan  # noqa: F401 - before TensorFlow
    from lesiongan.config.run import Config
    from lesiongan.training.precision import LOW, PLAIN
    from pipelines.presets import resolve

    config: Config = resolve(options.preset, recipe="best")
    verdicts = []
    for name in options.models:
        train = {"acgan": _acgan, "cyclegan": _cyclegan}[name]
        kids: dict[str, list[float]] = {PLAIN: [], LOW: []}
        for seed, precision in itertools.product(range(options.seeds), kids):
            group = dataclasses.replace(getattr(config, name), precision=precision, images=options.images)
            kid, rate = train(group, options.examples, seed)
            kids[precision].append(kid)
            print(f"  {name} {precision:<15} seed {seed}: KID {kid:.4f}, {rate:.1f} images/s", flush=True)
        moved = float(np.mean(kids[LOW]) - np.mean(kids[PLAIN]))
        apart = float(
            np.mean([abs(a - b) for pair in kids.values() for a, b in itertools.combinations(pair, 2)] or [0])
        )
        verdicts.append(f"{name} KID {np.mean(kids[PLAIN]):.3f} {moved:+.3f}, seeds {apart:.3f} apart")
    print("; ".join(verdicts))


def _acgan(config, directory: str, seed: int) -> tuple[float, float]:
    import tensorflow as tf

    from lesiongan.data import examples
    from lesiongan.data.image_set import to_uint8
    from lesiongan.training.acgan import train_acgan

    data = examples.load(directory, config.size, "train")
    with tempfile.TemporaryDirectory() as folder:
        model = train_acgan(
            config, data, num_classes=len(examples.taxonomy(directory)), run_dir=Path(folder), seed=seed
        )
        rate = _rate(Path(folder), config.batch)
    real = one_per_lesion(directory, config.size, "validation")
    made = [
        to_uint8(model.sample(tf.constant(part, tf.int32), tf.range(start, start + len(part), dtype=tf.int64)))
        for start, part in zip(range(0, len(real), 64), np.split(real.labels, range(64, len(real), 64)), strict=True)
    ]
    looks = Looks.of("imagenet", real, real)
    return looks.kid(looks.features(np.concatenate(made)), np.arange(len(real))), rate


def _cyclegan(config, directory: str, seed: int) -> tuple[float, float]:
    from lesiongan.data import examples
    from lesiongan.data.lesions import source_of
    from lesiongan.training.cyclegan import train_cyclegan, translate

    nv, mel = map(examples.taxonomy(directory).index, ("NV", "MEL"))
    train = examples.load(directory, config.size, "train")
    x, y = train.of_class(nv), train.of_class(mel)
    sources = tuple([source_of(lesion) for lesion in examples.lesion_ids(directory, side.ids)] for side in (x, y))
    with tempfile.TemporaryDirectory() as folder:
        model = train_cyclegan(config, x, y, run_dir=Path(folder), seed=seed, sources=sources)
        rate = _rate(Path(folder), config.batch)
    real = one_per_lesion(directory, config.size, "validation")
    looks = Looks.of("imagenet", real, real)
    made = translate(model, real.of_class(nv).images)
    return looks.kid(looks.features(made), np.flatnonzero(real.labels == mel)), rate


def _rate(folder: Path, batch: int) -> float:
    """Images per second of a training after its first step."""
    rows = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    steps, seconds = (rows[-1][key] - rows[0][key] for key in ("step", "seconds"))
    return steps * batch / seconds


if __name__ == "__main__":
    main()
