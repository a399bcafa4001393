"""The screening's lines as a table.

python -m benchmarks.gpu.table RESULTS.jsonl acgan|cyclegan
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

COLUMNS = {
    "acgan": (
        "KID Lite2, all",
        "mean of four",
        "recall Lite2",
        "MEL",
        "BCC",
        "BKL",
        "recall classifier",
        "named as intended",
    ),
    "cyclegan": ("KID Lite2", "recall Lite2", "KID classifier", "recall classifier", "called melanoma", "moved"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("results", type=Path)
    arguments.add_argument("model", choices=sorted(COLUMNS))
    options = arguments.parse_args()
    columns = COLUMNS[options.model]
    print("| | seed | images seen | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 3) + "|")
    for row in map(json.loads, options.results.read_text().splitlines()):
        if row["model"] == options.model:
            numbers = " | ".join(f"{row['measured'][column]:.3f}" for column in columns)
            of = "" if row["seen"] >= row["images"] else f" of {row['images']:,}"
            print(f"| {row['name']} | {row['seed']} | {row['seen']:,}{of} | {numbers} |")


if __name__ == "__main__":
    main()
