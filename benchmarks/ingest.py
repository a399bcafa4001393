"""ExampleGen on full-size images against plain Pillow.

    python -m benchmarks.ingest [--count 1000] [--rounds 5] [--images FOLDER] [--quick]
    python -m benchmarks.ingest --against CHECKOUT --data COLLECTION [--rounds 5]

1,000 JPEG of 1024 x 1024 and 600 x 450 pixels (three to one, as BCN_20000 and HAM10000 are in ISIC 2019) become squares
of 64 and 256 pixels. Contenders, in turn:

- ours: `lesiongan.data.ingest.ingest` as the presets other than `paper` use it, from the folder to the finished
  artifact: tables, decoding, PNG, thumbnails, near-duplicates, split, TFDS;
- exact: the same with `data.exact_resize` (the `paper` preset), which decodes whole images as the others do;
- pillow: what a short script does: decode whole, resize (bicubic), PNG files, one process;
- pillow, one process per core: the same with `multiprocessing`.

The last line is ours over the fastest that Pillow got with one process per core. The pictures are real ones made larger
where FOLDER has some (the environment's LESIONGAN_TEST_DATA, else phantoms); they are made anew and thrown away.

With `--against`, this code and that of another checkout read a whole collection as it is, in turn.
"""

from __future__ import annotations

import argparse
import functools
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import quick
from benchmarks.interleaved import in_turn, medians

CHECKOUT = Path(__file__).parents[1]
SIZES = (64, 256)
_SHAPES = ((1024, 1024), (1024, 1024), (1024, 1024), (600, 450))

# A process that has imported TensorFlow, as a pipeline's step has before its work begins.
_OURS = """
import sys, time
import tensorflow_datasets, tensorflow
from lesiongan.config.data import DataConfig
from lesiongan.data.ingest import ingest
if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        data, output, how = line.rstrip().split("\\t")
        begin = time.monotonic()
        ingest(data, output, DataConfig(exact_resize=how == "exact"), {sizes}, 0, log=lambda line: None)
        print(time.monotonic() - begin, flush=True)
"""


class Peak:
    """The largest sum of the resident memory of a process and its children, measured every 50 ms."""

    def __init__(self, pid: int):
        self.pid, self.megabytes = pid, 0.0
        threading.Thread(target=self._measure, daemon=True).start()

    def _measure(self) -> None:
        while os.path.exists(f"/proc/{self.pid}"):
            self.megabytes = max(self.megabytes, sum(map(_resident, _family(self.pid))))
            time.sleep(0.05)


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(member for child in children for member in _family(int(child)))]


def _resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def make(root: Path, count: int, originals: list[Path]) -> None:
    """`count` JPEGs of quality 95, in one folder per class."""
    for i in range(count):
        shape = _SHAPES[i % len(_SHAPES)]
        if originals:
            image = Image.open(originals[i % len(originals)]).convert("RGB")
        else:
            image = phantom(("MEL", "NV")[i % 2], i % 60)
        folder = root / ("MEL", "NV")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        grain = np.random.default_rng(i).normal(0, 3, (shape[1], shape[0], 1))  # enlarged pictures are too smooth
        large = np.asarray(image.resize(shape, Image.Resampling.BICUBIC)) + grain
        Image.fromarray(np.clip(large, 0, 255).astype(np.uint8)).save(folder / f"{i:05d}.jpg", quality=95)


@functools.cache
def phantom(name: str, seed: int) -> Image.Image:
    from lesiongan.data import phantoms

    return Image.fromarray(phantoms.render(name, seed, 224))


def pillow(task: tuple[Path, Path]) -> None:
    source, target = task
    image = Image.open(io.BytesIO(source.read_bytes())).convert("RGB")
    for size in SIZES:
        square = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
        Image.fromarray(square).save(target / f"{size}-{source.stem}.png", compress_level=1)


def pillow_draft(task: tuple[Path, Path]) -> None:
    source, target = task
    image = Image.open(io.BytesIO(source.read_bytes()))
    image.draft("RGB", (2 * max(SIZES), 2 * max(SIZES)))
    image = image.convert("RGB")
    for size in SIZES:
        square = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
        Image.fromarray(square).save(target / f"{size}-{source.stem}.png", compress_level=1)


class Ours:
    """A process with the code of a checkout, which reads what it is told to."""

    def __init__(self, root: Path, checkout: Path):
        self.root = root
        (root / "ours.py").write_text(_OURS.format(sizes=list(SIZES)))
        self.process = subprocess.Popen(
            [sys.executable, root / "ours.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def seconds(self, data: Path, how: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        output = tempfile.mkdtemp(dir=self.root)
        self.process.stdin.write(f"{data}\t{output}/out\t{how}\n")
        self.process.stdin.flush()
        taken = float(self.process.stdout.readline())
        shutil.rmtree(output)
        return taken

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(data: Path, checkout: Path, rounds: int) -> None:
    """This code and another checkout's on a whole collection."""
    with tempfile.TemporaryDirectory() as scratch:
        readers = {"this code": Ours(Path(scratch), CHECKOUT), "the other": Ours(Path(scratch), checkout)}
        contenders = {name: functools.partial(ours.seconds, data, "fast") for name, ours in readers.items()}
        seconds = medians(in_turn(contenders, rounds))
        for ours in readers.values():
            ours.close()
    for name, median in seconds.items():
        print(f"{name:12s} {median:7.1f} s")
    print(f"rate of this code over that of the other {seconds['the other'] / seconds['this code']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", default=os.environ.get("LESIONGAN_TEST_DATA", ""))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = quick.parse(parser, "8 minutes", count=150, rounds=1)
    if arguments.against:
        compare(arguments.data.resolve(), arguments.against.resolve(), arguments.rounds)
        return
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        originals = sorted(Path(arguments.images).rglob("*.jpg"))[: arguments.count] if arguments.images else []
        make(root / "data", arguments.count, originals)
        files = sorted((root / "data").rglob("*.jpg"))
        reader = Ours(root, CHECKOUT)
        peak = Peak(reader.process.pid)

        def ours(how: str) -> float:
            return arguments.count / reader.seconds(root / "data", how)

        def by_pillow(work, processes: int) -> float:
            target = Path(tempfile.mkdtemp(dir=root))
            tasks = [(file, target) for file in files]
            begin = time.monotonic()
            if processes == 1:
                for task in tasks:
                    work(task)
            else:
                with multiprocessing.get_context("fork").Pool(processes) as pool:
                    pool.map(work, tasks, chunksize=16)
            return arguments.count / (time.monotonic() - begin)

        pool = f"pillow, {cores} processes"
        contenders = {
            "ours": lambda: ours("fast"),
            "exact": lambda: ours("exact"),
            "pillow": lambda: by_pillow(pillow, 1),
            pool: lambda: by_pillow(pillow, cores),
            f"{pool}, draft": lambda: by_pillow(pillow_draft, cores),
        }
        print(f"images/s, {arguments.count} files, {'real ones enlarged' if originals else 'phantoms'}, {cores} cores")
        rates = medians(in_turn(contenders, arguments.rounds))
        reader.close()
    for name, rate in rates.items():
        print(f"{name:32s} {rate:7.1f} images/s")
    print(f"peak memory of ours with its worker processes: {peak.megabytes:,.0f} MB")
    print(f"ours over pillow in one process: {rates['ours'] / rates['pillow']:.2f}")
    print(f"exact over pillow, {cores} processes: {rates['exact'] / rates[pool]:.2f}")
    print(f"ours over pillow with draft, {cores} processes: {rates['ours'] / rates[f'{pool}, draft']:.2f}")
    quick.last_line(arguments, f"ratio {rates['ours'] / rates[pool]:.2f}")


if __name__ == "__main__":
    main()
