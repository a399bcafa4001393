"""The artifacts of a made-up run, for tests of the report and for looking at one."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
from grids import write_grid
from PIL import Image

from lesiongan.base.files import write_json
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.config.run import Config
from lesiongan.data.contact_sheet import contact_sheet, save_sheet
from lesiongan.data.examples import read_table
from lesiongan.data.taxonomy import ISIC_2019, Taxonomy
from lesiongan.evaluation.evaluate import evaluate
from lesiongan.evaluation.translation import by_alpha
from lesiongan.reporting import strip


def make_run(
    root: Path,
    *,
    pipeline="nevus_to_melanoma",
    phantom=True,
    classes=ISIC_2019.classes,
    seeds=(0, 1),
    resamples=200,
    more=False,
) -> dict:
    """Writes a run's artifacts below `root` and returns the `data` of `write_report`; `more`: validation images
    and a further test set too."""
    taxonomy = Taxonomy.of(classes)
    random = np.random.default_rng(0)
    weights = np.array([3618, 10300, 2658, 694, 2099, 191, 202, 502])[: len(classes)] / 16
    counts = {
        s: dict(zip(classes, (weights * f).astype(int).tolist(), strict=True))
        for s, f in (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    }
    examples = root / "examples"
    examples.mkdir(parents=True)
    record = {
        "format": 1,
        "sizes": [64],
        "taxonomy": taxonomy.to_dict(),
        "source": "phantoms" if phantom else "a folder",
        "counts": counts,
    }
    (examples / "examples.json").write_text(
        json.dumps({**record, "phantom": phantom, "leak_audit": {"lesions in two splits": 0}})
    )
    tests = [max(8, int(w)) for w in weights]
    ids = [f"IMG_{i:05d}" for i in range(sum(tests))]
    _csv(
        examples / "examples.csv",
        ["image_id", "label", "origin", "lesion_id", "age_approx", "sex", "anatom_site_general"],
        [
            ["P_1" if phantom else "ISIC_0000001", classes[0], "real", "", "", "", ""],
            *(
                [
                    i,
                    "",
                    "real",
                    f"HAM_{n // 2:07d}" if n % 3 else "",
                    random.integers(4, 18) * 5,
                    ("male", "female")[n % 2],
                    "",
                ]
                for n, i in enumerate(ids)
            ),
        ],
    )
    _csv(
        examples / "anomalies.csv",
        ["what", "where", "why"],
        [[f"ISIC_00{i}.jpg", "images", "truncated <file>"] for i in range(11)],
    )

    base = np.linspace(0.85, 0.6, len(classes))
    cells = [{"cell": "real only", "kind": "baseline", "amount": 0, "seeds": seeds, "recall": base}]
    for alpha, text in ((0.125, "1/8"), (1.0, "1")):
        for amount in (500, 1000, 6000):
            gain = np.zeros(len(classes))
            gain[0] = 0.1 * (amount == 6000)
            cell = {"cell": f"alpha {text} + {amount}", "kind": "cyclegan", "alpha": alpha, "amount": amount}
            cells.append({**cell, "seeds": seeds, "recall": base + gain})
    for number, name in enumerate(("", "validation", "elsewhere") if more else ("",)):
        write_grid(
            root / "predictions", cells, counts=tests, classes=classes, images_per_lesion=2, seed=number, name=name
        )
    table = read_table(examples)
    evaluate(root / "predictions", root / "evaluation", EvaluationConfig(resamples=resamples), 0, table=table)
    distances = {
        a: {f"N{i}": {"pixels": 0.2 - a * (1 + i) / 50, "features": 1 - a * (9 - i) / 30} for i in range(9)}
        for a in (0.125, 1.0)
    }
    write_json(root / "evaluation" / "distances.json", by_alpha(distances, {}))

    for number, name in enumerate(("classifier", "cyclegan alpha 1/8", "acgan")):
        keys = (
            ("loss", "accuracy"),
            ("generator", "cycle", "discriminator_x", "discriminator_y"),
            ("generator", "discriminator"),
        )[number]
        (root / name.replace("/", "-")).mkdir()
        with open(root / name.replace("/", "-") / "stats.jsonl", "w") as file:
            for step in range(10, 2001, 10):
                losses = {k: math.exp(-step / 500 / (j + 1)) + 0.05 * random.normal() + 0.2 for j, k in enumerate(keys)}
                file.write(json.dumps({"step": step, "images": step * 16, "seconds": step * 0.21, **losses}) + "\n")
    warned = [json.dumps({"step": 40 * i, "warning": f"discriminator at its floor <{i}>"}) for i in range(7)]
    (root / "acgan" / "warnings.jsonl").write_text("\n".join(warned))
    for name, rows in (("real", 3), ("generated", 3), ("ranking", 1)):
        y, x = np.mgrid[0 : rows * 99, 0 : 8 * 99]
        lesion = (
            np.hypot(y % 99 - 49, x % 99 - 49)[..., None]
            < 18 + 14 * random.random((rows, 8)).repeat(99, 0).repeat(99, 1)[..., None]
        )
        picture = np.where(lesion, (110, 70, 55), (225, 180, 160)) + random.normal(0, 5, (rows * 99, 8 * 99, 1))
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(root / f"{name}.png")
    return {
        "config": json.loads(json.dumps(Config(), default=lambda c: c.__dict__)),
        "command": f"lesiongan run {pipeline} --preset demo --seed 7",
        "date": "2026-11-24 17:20 UTC",
        "versions": {"lesiongan": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.0"},
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2},
        "seed": 7,
        "examples": str(examples),
        "leak": {"near-duplicate pairs across splits": 3},
        "grids": [
            {"path": str(root / "real.png"), "caption": "Training images, one row per class"},
            {"path": str(root / "generated.png"), "caption": "Nevus and its melanomas, one column per alpha"},
        ],
        "trainings": {
            n: str(root / n.replace("/", "-") / "stats.jsonl") for n in ("classifier", "cyclegan alpha 1/8", "acgan")
        },
        "evaluation": str(root / "evaluation"),
        "distances": str(root / "evaluation" / "distances.json"),
        "rankings": [{"path": str(root / "ranking.png"), "caption": "Melanomas by P(MEL), the highest first"}],
        "image_quality": {
            "cyclegan alpha 1/8": {"KID": {"value": 0.0213, "low": 0.019, "high": 0.0241}, "agreement": 0.87}
        },
        "blessing": {
            "acgan": {"blessed": True, "reason": "agreement 0.87"},
            "classifier": {"blessed": True, "reason": "test accuracy 0.800, always the commonest class 0.500"},
        },
        "timings": [
            ("ExampleGen", 14.2, True),
            ("Classifier", 312.0, False),
            ("CycleGAN", 845.0, False),
            ("Evaluator", 8.1, False),
        ],
    }


def with_strip(root: Path, data: dict, experiment="nevus_to_melanoma") -> dict:
    """`data` with the pictures at the head of the report: a sheet such as `steps.translate_images` leaves."""
    random = np.random.default_rng(1)
    sets = ("alpha-0.125", "alpha-1") if experiment == "nevus_to_melanoma" else ("refined-MEL", "refined-NV")
    names = (
        ["source", *sets, "real"] if experiment == "nevus_to_melanoma" else [f"{s} {k}" for s in sets for k in "123"]
    )
    rows = [list(random.integers(0, 200, (10, 48, 48, 3), dtype=np.uint8)) for _ in names]
    for name in sets:
        (root / name).mkdir(parents=True)
        label = "NV" if name.endswith("NV") else "MEL"
        row = [f"{name}_0000000", label, name.partition("-")[2] if name.startswith("alpha") else "", "IMG_1"]
        _csv(root / name / "examples.csv", ["image_id", "label", "alpha", "source_id"], [row])
    save_sheet(contact_sheet(rows, names), root / strip.SHEET)
    return {**data, "strip": strip.strips(experiment, [root], None)}


def _csv(path: Path, head: list[str], rows: list[list]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
