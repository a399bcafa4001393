"""An exported generator against PyTorch's on the same processor.

    python -m benchmarks.generator_serving [--size 256] [--rounds 7] [--quick]

256 px: 9 blocks, 64 filters (Zhu et al.'s generator), batches of 1 and of 8. Ours is the exported SavedModel, loaded in
a live process as a client's; PyTorch's (NCHW, channels_last, torch.compile where it runs) runs in inference mode, and
onnxruntime has our own ONNX export. They take turns. What the export and loading it take is printed first. Then the
server is put under 16 clients for 30 s. `--quick` has 64 px and 5 s. Needs the extras `bench`, `onnx` and `serve`,
onnxruntime, and an idle machine. The last line is our throughput over the best other one's, the lower of the two
batches'.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import quick
from benchmarks.live import QUICK, add_options, against_torch
from benchmarks.server_load import under_load

#: Size -> blocks, filters. 32 px says nothing of speed: a trial of the benchmark.
CASES = {256: (9, 64), 128: (6, 64), 64: (6, 32), 32: (1, 4)}
BATCHES = (1, 8)


def prepare(argument: dict):
    """Ours: `folder` (an export), `size`, `batch`."""
    import tensorflow as tf

    from lesiongan.serving import saved_models

    size, batch = argument["size"], argument["batch"]
    module = saved_models.load(Path(argument["folder"])).module
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (batch, size, size, 3)), tf.float32)
    seeds = tf.zeros(batch, tf.int64)

    def step() -> float:
        return float(module.translate_squares(images, seeds)[0, 0, 0, 0])

    return step


def export(folder: Path, size: int, blocks: int, filters: int) -> None:
    """Writes a generator of random weights as a trained one is exported."""
    from lesiongan.data.taxonomy import ISIC_2019
    from lesiongan.models.cyclegan.networks import ResNetGenerator
    from lesiongan.models.cyclegan.served_generator import ServedGenerator
    from lesiongan.serving import saved_models

    generator, rng = ResNetGenerator(size, blocks=blocks, filters=filters), np.random.default_rng(0)
    generator.set_weights([rng.normal(0, 0.02, weight.shape) for weight in generator.weights])
    details = {"source": "NV", "target": "MEL"}
    served = ServedGenerator(generator)
    saved_models.export(served, folder, kind="cyclegan", size=size, taxonomy=ISIC_2019, details=details)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, choices=CASES, default=256, help="pixels (default: %(default)s)")
    add_options(parser, precision=False)
    arguments = quick.parse(parser, "8 minutes", size=64, **QUICK)
    size, (blocks, filters) = arguments.size, CASES[arguments.size]
    from lesiongan.serving import saved_models
    from lesiongan.serving.convert import convert

    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        generator, begun = Path(folder) / "generator", time.perf_counter()
        export(generator, size, blocks, filters)
        exported = time.perf_counter()
        saved_models.load(generator)
        loaded, graph = time.perf_counter(), generator / "saved_model/saved_model.pb"
        print(f"exported in {exported - begun:.1f} s, a graph of {graph.stat().st_size / 1e6:.2f} MB", end="; ")
        print(f"loaded in {loaded - exported:.1f} s", flush=True)
        convert(generator, Path(folder) / "generator.onnx", "onnx")
        for batch in BATCHES:
            print(f"generator, {size} px, {blocks} blocks, {filters} filters, batch {batch}", flush=True)
            case = {"folder": f"{folder}/generator", "size": size, "blocks": blocks, "ngf": filters, "batch": batch}
            modules = ("benchmarks.generator_serving", "benchmarks.torch_generator")
            more = {"onnxruntime": ("benchmarks.onnx_generator", {**case, "file": f"{folder}/generator.onnx"})}
            ratios.append(against_torch(*modules, case, arguments, more))
            print(f"  ratio {ratios[-1]:.2f}", flush=True)
        under_load([f"{folder}/generator"], clients=16, seconds=5 if arguments.quick else 30, scratch=Path(folder))
    quick.last_line(arguments, f"ratio {min(ratios):.2f}")


if __name__ == "__main__":
    main()
