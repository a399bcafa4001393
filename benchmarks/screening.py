"""What each part of a recipe is worth: variations trained for equal core-minutes, judged on validation images.

    python -m benchmarks.screening acgan|cyclegan EXAMPLES OUT --classifier MODEL [--minutes 20] [--seed 0]
        [--precision mixed_bfloat16] [NAME ...]
    python -m benchmarks.screening acgan|cyclegan EXAMPLES OUT --table

Each variation is one change from the recipe at the top of `benchmarks/variations.py`. A run makes those that OUT has no
result of, in a process each; several commands may share OUT (one for each core: `taskset -c 0 ...`). The budget is time
of the processor: a step is timed first, and the training gets as many images as fit. Judges are EfficientNet-Lite2 and
the classifier; neither has trained a generator or seen a validation image.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

from benchmarks import variations


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=("acgan", "cyclegan"))
    arguments.add_argument("examples")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("names", nargs="*")
    arguments.add_argument("--classifier", type=Path)
    arguments.add_argument("--minutes", type=float, default=20.0)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--precision", default="mixed_bfloat16", help="float32 on a processor without bfloat16")
    arguments.add_argument("--table", action="store_true")
    options = arguments.parse_args()
    known = variations.OF[options.model]
    if options.table:
        return print(table(options.out, known))
    for name in options.names or known:
        result = options.out / f"{name}-{options.seed}.json"
        if result.exists() or not _claimed(result.with_suffix(".taken")):
            continue
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(options, name, result))
        process.start()
        process.join()
        result.with_suffix(".taken").unlink()


def table(out: Path, known: dict) -> str:
    """Markdown: a row per result, in the order of the variations."""
    rows = {}
    for path in sorted(out.glob("*.json")):
        rows[path.stem] = json.loads(path.read_text())
    columns = list(next(iter(rows.values()))["measured"])
    lines = ["| | seed | images seen | " + " | ".join(columns) + " |", "|---" * (len(columns) + 3) + "|"]
    for name, variation in known.items():
        for found in (row for row in rows.values() if row["name"] == name):
            numbers = " | ".join(f"{found['measured'][column]:.3f}" for column in columns)
            lines.append(f"| {variation.says} | {found['seed']} | {found['images']:,} | {numbers} |")
    return "\n".join(lines)


def _claimed(place: Path) -> bool:
    """Whether this process is the first that wants the work; what an ended process left does not count."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists() and not Path(f"/proc/{place.read_text() or 0}").exists():
        place.unlink()
    try:
        with place.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def _run(options: argparse.Namespace, name: str, result: Path) -> None:
    import lesiongan  # noqa: F401 - before TensorFlow
    from benchmarks import screened

    begin = time.process_time()
    run = screened.acgan if options.model == "acgan" else screened.cyclegan
    found = run(options, variations.OF[options.model][name], result.with_suffix(""))
    found |= {"name": name, "seed": options.seed, "core_minutes": round((time.process_time() - begin) / 60, 1)}
    result.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
