"""Screens variations of both GANs on one GPU.

    python -m benchmarks.gpu.screening PACK OUT --plan FILE.json --seconds 300 [--workers 5]

PACK is what `pack` wrote. The plan is a list of `training.Variation`s; each worker takes the next whose program it has
compiled, or else the next. OUT/results.jsonl gets a line for each measurement, OUT/weights-*.npz the averaged
generators of those that the plan says to `keep`, in float16.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import lzma
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

SIZE = 64


def unpacked(pack: Path) -> Path:
    """The training images, decoded, as a file in memory."""
    place = Path("/dev/shm/train.npy")
    if not place.exists():
        index = np.load(pack / "index.npz")
        raw = lzma.decompress((pack / "train.xz").read_bytes())
        ends = np.cumsum(index["sizes"])
        pictures = [raw[end - size : end] for end, size in zip(ends, index["sizes"], strict=True)]
        with ProcessPoolExecutor() as pool:
            images = list(pool.map(_decoded, pictures, chunksize=256))
        np.save(place, np.stack(images))
    return place


def _decoded(picture: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def work(number: int, options: argparse.Namespace, plan: list, taken, deadline: float) -> None:
    """One worker: until the plan or the time is at its end."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax

    jax.config.update("jax_compilation_cache_dir", "/tmp/jax_cache")
    import jax.numpy as jnp

    from benchmarks.gpu.judges import Judges
    from benchmarks.gpu.training import Data, Variation

    index = np.load(options.pack / "index.npz")
    weights = dict(np.load(options.pack / "weights.npz"))
    validation = dict(np.load(options.pack / "validation.npz"))
    frozen = {key[6:]: jnp.asarray(v, jnp.float32) for key, v in weights.items() if key.startswith("lite0/")}
    judges = Judges(weights, validation)
    data = Data(jnp.asarray(np.load("/dev/shm/train.npy")), index["labels"], index["sources"], frozen)
    known: list = []
    while True:
        with taken.get_lock():
            free = [i for i in range(len(plan)) if not taken[i]]
            if not free or time.monotonic() > deadline:
                return
            mine = next((i for i in free if (plan[i]["model"], plan[i].get("form")) in known), free[0])
            taken[mine] = 1
        entry = plan[mine]
        known.append((entry["model"], entry.get("form")))
        fields = {key: entry[key] for key in ("model", "name", "seed", "images", "measured") if key in entry}
        form = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in entry.get("form", {}).items())
        variation = Variation(**fields, form=form, numbers=tuple(entry.get("numbers", {}).items()))
        try:
            _run(variation, entry, data, judges, options, deadline, number)
        except Exception as error:  # one variation's fault is not the next one's
            print(f"{variation.model} {variation.name}: {type(error).__name__}: {error}"[:600], flush=True)


def _run(variation, entry, data, judges, options, deadline, number) -> None:
    import jax

    from benchmarks.gpu.training import sampled, train, translated

    begin, form, validation = time.monotonic(), variation.made_form(), judges.validation
    counts = np.maximum(np.bincount(validation["labels"], minlength=8), 200)
    for seen, state, losses in train(variation, data, deadline):
        trained = round(time.monotonic() - begin, 1)
        if variation.model == "acgan":
            measured = judges.acgan(*sampled(state, form, counts))
        else:
            measured = judges.cyclegan(translated(state, form, validation["nevi"]))
        line = {**dataclasses.asdict(variation), "seen": seen, "losses": losses, "measured": measured}
        line |= {"worker": number, "trained": trained, "at": round(time.monotonic() - begin, 1)}
        with (options.out / "results.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(variation.model, variation.name, variation.seed, seen, trained, line["at"], _short(measured), flush=True)
        if entry.get("keep"):
            kept = {"average": state["average"], "moving": state.get("average_moving", {})}
            flat, _ = jax.tree_util.tree_flatten_with_path(kept)
            arrays = {jax.tree_util.keystr(p, simple=True, separator="|"): np.asarray(v, np.float16) for p, v in flat}
            name = f"{variation.model}-{variation.name}-{variation.seed}.npz".replace(" ", "_")
            np.savez(options.out / name, **arrays)


def _short(measured: dict) -> str:
    return " ".join(f"{value:.3f}" for value in measured.values())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("pack", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--plan", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, default=300.0)
    arguments.add_argument("--workers", type=int, default=5)
    options = arguments.parse_args()
    deadline = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    plan = json.loads(options.plan.read_text())
    unpacked(options.pack)
    print(f"decoded {time.monotonic() - deadline + options.seconds:.0f} s", flush=True)
    context = multiprocessing.get_context("spawn")
    taken = context.Array("i", len(plan))
    workers = [
        context.Process(target=work, args=(number, options, plan, taken, deadline)) for number in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
