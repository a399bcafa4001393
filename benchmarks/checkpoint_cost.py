"""What saving costs a training, at the default interval, on this machine's disk and processor.

    python -m benchmarks.checkpoint_cost [--rounds 7] [--folder DIR] [--quick]

For each network of preset `small`, and the CycleGAN of `paper` (256 px): the median seconds of a save as a training
does it (weights, optimizers and pools checked for being finite, written, hashed, brought onto the disk, the oldest
removed), its size, and its share of the time at the interval that the training takes by default: 60 s, or more where a
save would take over 2 %. The last line is the largest share.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import quick


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where it is saved (default: a temporary folder)")
    arguments = quick.parse(parser, "3 minutes", rounds=2)
    from lesiongan.base.files import disk_used
    from lesiongan.training.checkpoints import Checkpoints, not_finite
    from lesiongan.training.saving import interval

    shares = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name, state in _states():
            checkpoints = Checkpoints(Path(folder) / name.replace(" ", "-"), name)
            times: list[float] = []
            for step in range(arguments.rounds + 1):
                begin = time.monotonic()
                assert not not_finite(state)
                checkpoints.save(step, state)
                times.append(time.monotonic() - begin)
            took = statistics.median(times[1:])
            size = disk_used(checkpoints.folder) / len(checkpoints.steps())
            every = interval(None, took)
            shares.append(took / (every + took))
            print(
                f"{name}: {took:.3f} s for {size / 1e6:,.0f} MB, {every:,.0f} s after the last: {shares[-1]:.2%} of "
                "the time",
                flush=True,
            )
    quick.last_line(arguments, f"largest share of the time that checkpoints take: {max(shares):.2%}")


def _states() -> Iterator[tuple[str, list]]:
    from lesiongan.models.acgan.model import ACGAN
    from lesiongan.models.cyclegan.model import CycleGAN
    from lesiongan.training.classifier import build_classifier
    from pipelines import presets

    small, paper = presets.small("paper"), presets.paper()
    acgan = ACGAN(small.acgan, 8)
    acgan.compile()
    yield "ACGAN 64 px", acgan.state()
    yield "CycleGAN 64 px", CycleGAN(small.cyclegan).state()
    yield "EfficientNet-Lite0", build_classifier(small.classifier, 8).state()
    yield "ResNet50", build_classifier(paper.classifier, 8).state()
    yield "CycleGAN 256 px", CycleGAN(paper.cyclegan).state()


if __name__ == "__main__":
    main()
