"""The study's predictions (docs/study), and its tables and figures from them.

    python -m benchmarks.study keep PREDICTIONS SET [--family cells|controls|cameras|little] [--prefix TEXT]
    python -m benchmarks.study tables
    python -m benchmarks.study classes
    python -m benchmarks.study figure OUTPUT.svg

`keep` takes a run's predictions artifact (`.../train-grid/predictions`) into `docs/study/predictions/SET`, small enough
to be kept beside the code: of each image the class that was predicted, and the probability of melanoma in ten
thousandths. All runs of a SET share test images, validation images and, per seed, the baseline: what is there already
must agree; a run with other images, or on another processor, whose arithmetic gives other baselines, is a set of its
own. `tables`, `classes` (each cell's recall of every class and its accuracy, means over the seeds) and `figure` need
nothing else.

The two metrics are those that docs/study.md registered: balanced accuracy, and the recall of melanoma at the threshold
at which the specificity against all other classes is 0.9 on the validation images. Holm's correction goes over the
cells of a family in all sets, metric by metric.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lesiongan.base.file_names import file_name
from lesiongan.data.csv_files import as_csv
from lesiongan.evaluation import calibration, classification, predictions, statistics
from lesiongan.evaluation.predictions import BASELINE, VALIDATION, Truth, lesion_numbers

KEPT = Path(__file__).parents[1] / "docs" / "study" / "predictions"
TARGET, SPECIFICITY, CONFIDENCE, RESAMPLES = "MEL", 0.9, 0.95, 2000
SCALE = 10_000  # probabilities are kept as whole numbers
CELLS, FAMILIES = "cells.csv", ("cells", "controls", "cameras", "little")
PARTS = ("test", VALIDATION)
METRICS = {"balanced accuracy": "first", f"{TARGET} recall at specificity {SPECIFICITY:g}": "second"}


@dataclasses.dataclass(frozen=True)
class Member:
    """One trained classifier on one set of images: its predicted labels int `[n]` and its score of melanoma
    `[n]`, in [0, 1]."""

    predicted: np.ndarray
    score: np.ndarray


def keep(artifact: Path, name: str, *, family: str = "cells", prefix: str = "", folder: Path = KEPT) -> int:
    """Takes the predictions of one run; the number of cells that are new.

    Args:
        artifact: a predictions artifact with validation images.
        name: of the set of images that the run was tested on.
        family: of its cells; controls are of their own, and the baseline of none.
        prefix: put before the names of cells, where two runs have cells of one name.
        folder: where everything is kept.
    """
    place, new = folder / name, 0
    place.mkdir(parents=True, exist_ok=True)
    both = {"": predictions.read(artifact), VALIDATION: predictions.read(artifact, VALIDATION)}
    rows: dict[str, dict] = {}
    for part, (truth, members) in both.items():
        lesions = pd.read_csv(artifact / (f"sets/{part}" if part else "") / "truth.csv", dtype=str)
        _write_same(place / f"{part or 'test'}.csv", as_csv(lesions.fillna("")))
        for cell in dict.fromkeys(member.cell for member in members):
            own = [member for member in members if member.cell == cell]
            called = cell if own[0].kind == BASELINE else prefix + cell
            columns = {"image": truth.images}
            for member in sorted(own, key=lambda member: member.seed):
                target = member.probabilities[:, truth.classes.index(TARGET)]
                columns[f"predicted_{member.seed}"] = [truth.classes[label] for label in member.predicted]
                columns[f"{TARGET}_{member.seed}"] = np.rint(SCALE * target).astype(int)
            new += _write_same(place / f"{file_name(called)}-{part or 'test'}.csv", as_csv(pd.DataFrame(columns)))
            rows[called] = {
                "cell": called,
                "family": {BASELINE: "", "control": "controls"}.get(own[0].kind, family),
                "kind": own[0].kind,
                "alpha": "" if own[0].alpha is None else f"{own[0].alpha:g}",
                "amount": own[0].amount,
                "train_images": own[0].train_images,
                "steps": own[0].steps,
            }
    table = pd.DataFrame(rows.values())
    if (place / CELLS).exists():
        before = pd.read_csv(place / CELLS, dtype=str, keep_default_na=False)
        table = pd.concat([before, table.astype(str)]).drop_duplicates("cell", keep="last")
    (place / CELLS).write_text(as_csv(table))
    return new // 2


def _write_same(path: Path, text: str) -> bool:
    """Writes a file; where it is there already, it must say the same."""
    if path.exists():
        if path.read_text() != text:
            sys.exit(f"{path}: it is there and says something else; was the run of other data, or trained otherwise?")
        return False
    path.write_text(text)
    return True


class Kept:
    """The predictions of one set of images, read back.

    Attributes:
        truth: the test images.
        cells: `cells.csv`, a row per cell.
    """

    def __init__(self, place: Path, resamples: int = RESAMPLES):
        self.place = place
        self.cells = pd.read_csv(place / CELLS, dtype=str, keep_default_na=False)
        tables = {part: pd.read_csv(place / f"{part}.csv", dtype=str, keep_default_na=False) for part in PARTS}
        classes = tuple(sorted(set(tables["test"]["label"]) | set(tables[VALIDATION]["label"])))
        self._truths = {part: _truth(table, classes) for part, table in tables.items()}
        self.truth = self._truths["test"]
        resamples = statistics.resamples_needed(resamples, len(self.cells), CONFIDENCE)
        self._weights = statistics.lesion_weights(self.truth.labels, self.truth.lesions, resamples, 0)

    def members(self, cell: str, part: str = "test") -> dict[int, Member]:
        """Seed -> classifier."""
        classes = self.truth.classes
        table = pd.read_csv(self.place / f"{file_name(cell)}-{part}.csv", dtype={"image": str})
        assert tuple(table["image"]) == self._truths[part].images, f"{self.place}: {cell} is of other images"
        seeds = [int(column.removeprefix("predicted_")) for column in table if column.startswith("predicted_")]
        return {
            seed: Member(
                table[f"predicted_{seed}"].map(classes.index).to_numpy(), table[f"{TARGET}_{seed}"].to_numpy() / SCALE
            )
            for seed in seeds
        }

    def scores(self, cell: str) -> dict[str, dict[int, np.ndarray]]:
        """Metric -> seed -> float `[1 + resamples]`, the test images as they are first."""
        truth, validation = self.truth, self._truths[VALIDATION]
        target = truth.classes.index(TARGET)
        on_validation = self.members(cell, VALIDATION)
        found: dict[str, dict[int, np.ndarray]] = {metric: {} for metric in METRICS}
        first, second = METRICS
        for seed, member in self.members(cell).items():
            confusions = statistics.resampled_confusions(
                truth.labels, member.predicted, truth.lesions, len(truth.classes), self._weights
            )
            found[first][seed] = classification.rates(confusions)["balanced_accuracy"]
            threshold = calibration.threshold_for_specificity(
                validation.labels == target, on_validation[seed].score, SPECIFICITY
            )
            called = np.where(member.score >= threshold, target, (target + 1) % len(truth.classes))
            confusions = statistics.resampled_confusions(
                truth.labels, called, truth.lesions, len(truth.classes), self._weights
            )
            found[second][seed] = classification.rates(confusions)["recall"][..., target]
        return found

    def rows(self) -> pd.DataFrame:
        """A row per cell and metric: `value`, and of the difference to the baseline of the same seeds `difference`,
        `low`, `high` and `p`."""
        baseline = self.cells["cell"][self.cells["kind"] == BASELINE].iloc[0]
        before = self.scores(baseline)
        rows = []
        for cell in self.cells.to_dict("records"):
            for metric, by_seed in self.scores(cell["cell"]).items():
                seeds = sorted(by_seed.keys() & before[metric].keys())
                row = {**cell, "metric": metric, "seeds": len(seeds)}
                row["value"] = float(np.mean([by_seed[seed][0] for seed in seeds]))
                if cell["cell"] != baseline:
                    changes = np.stack([by_seed[seed] - before[metric][seed] for seed in seeds], 1)
                    change = statistics.estimate(changes[0], changes[1:], CONFIDENCE)
                    row |= {"difference": change.value, "low": change.low, "high": change.high, "p": change.p}
                rows.append(row)
        return pd.DataFrame(rows)

    def recalls(self) -> pd.DataFrame:
        """A row per cell: the recall of each class on the test images and `accuracy`, means over the seeds."""
        rows = {}
        for cell in self.cells["cell"]:
            right = np.mean([m.predicted == self.truth.labels for m in self.members(cell).values()], 0)
            of_class = {name: right[self.truth.labels == i].mean() for i, name in enumerate(self.truth.classes)}
            rows[cell] = of_class | {"accuracy": right.mean()}
        return pd.DataFrame(rows).T


def corrected(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rows of each set with `p_holm`, corrected over the cells of a family in all sets, and `of`, their number."""
    whole = pd.concat(tables, names=["set"])
    for _, part in whole[whole["family"] != ""].groupby(["family", "metric"]):
        whole.loc[part.index, "p_holm"] = statistics.holm(part["p"])
        whole.loc[part.index, "of"] = len(part)
    return {name: whole.loc[name] for name in tables}


def _truth(table: pd.DataFrame, classes: tuple[str, ...]) -> Truth:
    images = tuple(table["image"])
    labels = table["label"].map(classes.index).to_numpy(np.int64)
    return Truth(images, labels, lesion_numbers(table["lesion_id"], images), classes)


def markdown(table: pd.DataFrame) -> str:
    """Tables for docs/study.md: one per family, a row per cell."""
    text = io.StringIO()
    for metric in METRICS:
        own = table[table["metric"] == metric]
        value = own["value"][own["kind"] == BASELINE].iloc[0]
        text.write(f"\n{metric} ({METRICS[metric]} metric); real images only {value:.4f}\n\n")
        for family in FAMILIES:
            part = own[own["family"] == family]
            if part.empty:
                continue
            text.write(f"| {family} | value | change | 95 % interval | p | Holm, of {part['of'].iloc[0]:.0f} |\n")
            text.write("|---|---|---|---|---|---|\n")
            for row in part.itertuples():
                text.write(
                    f"| {row.cell} | {row.value:.4f} | {row.difference:+.4f} | {row.low:+.4f} to {row.high:+.4f} | "
                    f"{row.p:.3g} | {row.p_holm:.3g} |\n"
                )
            text.write("\n")
    return text.getvalue()


def figure(table: pd.DataFrame, output: Path) -> None:
    """Every cell's change to the baseline with its interval, both metrics side by side."""
    from matplotlib.figure import Figure

    table = table[table["kind"] != BASELINE]
    cells = list(dict.fromkeys(table["cell"]))
    drawn = Figure(figsize=(9, 1 + 0.28 * len(cells)), layout="constrained")
    for axes, metric in zip(drawn.subplots(1, len(METRICS), sharey=True), METRICS, strict=True):
        own = table[table["metric"] == metric].set_index("cell").loc[cells]
        places = np.arange(len(cells))[::-1]
        beyond = np.stack([own["difference"] - own["low"], own["high"] - own["difference"]])
        axes.errorbar(own["difference"], places, xerr=beyond, fmt="o", color="black", markersize=4, capsize=2)
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.set_yticks(places, cells)
        axes.set_xlabel(f"change of {metric}")
    drawn.savefig(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=KEPT, help="of kept predictions (default: docs/study/predictions)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    take = commands.add_parser("keep")
    take.add_argument("artifact", type=Path, metavar="PREDICTIONS")
    take.add_argument("set")
    take.add_argument("--family", choices=FAMILIES, default="cells")
    take.add_argument("--prefix", default="")
    commands.add_parser("tables")
    commands.add_parser("classes")
    commands.add_parser("figure").add_argument("output", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "keep":
        new = keep(
            arguments.artifact, arguments.set, family=arguments.family, prefix=arguments.prefix, folder=arguments.folder
        )
        print(f"{new} cells are new in {arguments.folder / arguments.set}")
        return
    sets = {path.parent.name: Kept(path.parent) for path in sorted(arguments.folder.glob(f"*/{CELLS}"))}
    if arguments.command == "classes":
        for name, kept in sets.items():
            print(f"## {name}\n{kept.recalls().round(3).to_string()}\n")
        return
    for name, table in corrected({name: kept.rows() for name, kept in sets.items()}).items():
        if arguments.command == "tables":
            print(f"## {name}: {len(sets[name].truth.images):,} test images\n{markdown(table)}")
        else:
            figure(table, arguments.output.with_stem(f"{arguments.output.stem}-{name}"))


if __name__ == "__main__":
    main()
