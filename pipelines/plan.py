"""What a run would be: its classifiers, the models that they share, and about how long and how much of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from lesiongan.base.files import digest_text
from lesiongan.base.progress import duration
from lesiongan.config.grid import made_for
from lesiongan.config.run import Config
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.ingest import Collection
from lesiongan.data.source_split import split_rows
from lesiongan.data.synthetic import open_synthetic
from lesiongan.data.taxonomy import Taxonomy
from lesiongan.experiments.amounts import spread
from lesiongan.experiments.cells import SELECTION, SYNTHETIC, Cell, cell_steps, target_classes
from lesiongan.experiments.path_rank_filter import kept
from lesiongan.experiments.table import table_cells
from pipelines.costs import COMPILATION, DEVICE, STEPS_WITHOUT_TRAINING, Measured, assumed, nearest, works

#: A PNG of ExampleGen by the pixels' own bytes: photographs take half.
_PNG = 0.5
_CONTROLS = {
    "equal_steps": "real only, for as many steps as the largest cell",
    "oversampling": "copies of real images in place of synthetic ones",
    "class_weights": "real only, rare classes weighed more in the loss",
    "augmentation": "real only, stronger classic augmentation",
    "synthetic_only": "synthetic images in place of the real ones of their classes",
    "acgan_resolution": "every image downsampled to the ACGAN's resolution and restored",
}


@dataclasses.dataclass(frozen=True)
class Counts:
    """The images of the data that exist.

    Attributes:
        train: class -> training images.
        validation: class -> validation images.
        judged: images that every classifier predicts: validation and all test sets.
        total: all images.
    """

    train: Mapping[str, int]
    validation: Mapping[str, int]
    judged: int
    total: int


@dataclasses.dataclass(frozen=True)
class Trainings:
    """Trainings of one kind.

    Attributes:
        what: what a person calls them.
        network: whose steps they take, a key of `costs.WORK`.
        number: of trainings.
        steps: of all of them together.
    """

    what: str
    network: str
    number: int
    steps: int


def counts(collection: Collection, config: Config, seed: int) -> Counts:
    """The images of each side, without opening one: joining near-duplicate pictures may still move a few.

    Raises:
        UsageError: the data cannot be split so.
    """
    source = collection.source
    sides = split_rows(source, config.data, seed)
    available = source.rows["location"].to_numpy() != ""
    labels, classes = source.rows["label"].to_numpy(), source.taxonomy.classes

    def of(side: str) -> dict[str, int]:
        return {c: int((available & (sides == side) & (labels == i)).sum()) for i, c in enumerate(classes)}

    further = sum(int((part.rows["location"] != "").sum()) for part in collection.further.values())
    train, validation = of("train"), of("validation")
    judged = sum(validation.values()) + int((available & (sides == "test")).sum()) + further
    return Counts(train, validation, judged, sum(train.values()) + judged)


def needed(experiment: str, config: Config, counts: Counts) -> dict[str, int]:
    """Class -> images that each source of an experiment must have: what the largest cell adds, or chooses from."""
    classes = target_classes(config.experiment(experiment), tuple(counts.train))
    settings = config.experiment(experiment)
    largest = made_for(config.grid, max(settings.amounts))
    numbers = spread(largest, [counts.train[c] for c in classes], config.noise_to_lesion.distribution)
    return dict(zip(classes, numbers, strict=True))


def too_few_sources(experiment: str, config: Config, counts: Counts) -> str:
    """What to say where the source class has fewer training images than the largest cell makes images of, since days of
    training come before the step that would notice; "" where there are enough."""
    if experiment != "nevus_to_melanoma" or not config.nevus_to_melanoma.alphas:  # noise has no end
        return ""
    settings = config.nevus_to_melanoma
    largest, available = max(settings.amounts), counts.train[settings.source]
    pool = made_for(config.grid, largest)
    if available >= pool:
        return ""
    if pool > largest:
        return (
            f"option 'grid.pool': selections choose from {pool:,} images, but there are {available:,} training images "
            f"of {settings.source} to make them from; lower it, or nevus_to_melanoma.amounts: their product may be "
            f"{available:,} at most"
        )
    return (
        f"option 'nevus_to_melanoma.amounts': the largest cell adds {largest:,} images, but there are {available:,} "
        f"training images of {settings.source} to make them from; give --set nevus_to_melanoma.amounts="
        f"{','.join(map(str, amounts_within(settings.amounts, available)))}"
    )


def amounts_within(amounts: Sequence[int], available: int) -> list[int]:
    """The amounts in their proportions, scaled down to what there is, in round numbers."""
    scaled = []
    for amount in amounts:
        exact = amount * available // max(amounts)
        unit = 10 ** max(0, len(str(exact)) - 2)
        scaled.append(max(1, exact // unit * unit))
    return sorted(set(scaled))


def check_synthetic(experiment: str, config: Config, counts: Counts, taxonomy: Taxonomy) -> None:
    """Raises `UsageError` where images made elsewhere cannot be read or are too few for the experiment's cells."""
    for path in config.grid.synthetic:
        open_synthetic(path, config.data, taxonomy, needed(experiment, config, counts))


def synthetic_fingerprint(config: Config) -> str:
    """A hex digest that changes when images made elsewhere do; "" where there are none."""
    data = dataclasses.replace(config.data, further_tests=())
    digests = [source_fingerprint(path, data, 0) for path in config.grid.synthetic]
    return digest_text(*digests) if digests else ""


def lines(
    experiment: str, config: Config, counts: Counts, measured: tuple[str, Mapping[str, Measured]] | None = None
) -> list[str]:
    """The plan of an experiment, for a person.

    Args:
        experiment: `nevus_to_melanoma` or `noise_to_lesion`.
        measured: the device and a measured step of each network (`costs.measure`); by default those of the package.
    """
    cells = table_cells(experiment, config, tuple(counts.train))
    planned = trainings(experiment, config, counts, cells)
    result = [*_cell_lines(experiment, cells), *_shared_line(experiment, config, counts)]
    seeds = config.grid.seeds
    result.append(f"each for {seeds} seed{'s' if seeds > 1 else ''}; " + _data_line(counts))
    result += [*_time_lines(config, planned, measured), *_space_lines(experiment, config, counts, planned, cells)]
    problem = too_few_sources(experiment, config, counts)
    return [*result, f"cannot run with this data: {problem}"] if problem else result


def trainings(experiment: str, config: Config, counts: Counts, cells: Sequence[Cell]) -> list[Trainings]:
    """Everything that is trained."""
    n = sum(counts.train.values())
    first = config.classifier.steps(n)
    planned = [Trainings("the first classifier, which judges", "classifier", 1, first)]
    if experiment == "nevus_to_melanoma":
        settings = config.nevus_to_melanoma
        x, y = counts.train[settings.source], counts.train[settings.target]
        if settings.folds and settings.alphas:
            fold = config.classifier.steps(n - n // settings.folds)
            planned.append(Trainings("out-of-fold classifiers", "classifier", settings.folds, settings.folds * fold))
        per_alpha = [config.cyclegan.steps(x, kept(alpha, y)) for alpha in settings.alphas]
        if per_alpha:
            planned.append(Trainings("CycleGANs", "cyclegan", len(per_alpha), sum(per_alpha)))
    else:
        real = _gan_images(config, counts)
        steps = config.acgan.steps(sum(real.values()))
        planned.append(Trainings("ACGAN", "acgan", 1, steps))
        classes = target_classes(config.experiment(experiment), tuple(counts.train))
        per_class = [config.cyclegan.steps(counts.train[c], real[c]) for c in classes]
        planned.append(Trainings("CycleGANs", "cyclegan", len(classes), sum(per_class)))
    if config.grid.warm_start and config.grid.seeds > 1:
        starts = config.grid.seeds - 1
        planned.append(Trainings("starts of the other seeds", "classifier", starts, starts * first))
    for what, part in (
        ("the table's classifiers", [cell for cell in cells if not cell.control]),
        ("controls", [cell for cell in cells if cell.control]),
    ):
        steps = sum(cell_steps(config.classifier, config.grid, cell, n) for cell in part)
        if part:
            seeds = config.grid.seeds
            planned.append(Trainings(what, "classifier", seeds * len(part), seeds * steps))
    return planned


def _gan_images(config: Config, counts: Counts) -> dict[str, int]:
    """Class -> real images that the GANs of experiment 1 are built on."""
    also = counts.validation if config.noise_to_lesion.with_validation else {}
    return {c: count + also.get(c, 0) for c, count in counts.train.items()}


def _cell_lines(experiment: str, cells: Sequence[Cell]) -> Iterator[str]:
    own = [cell for cell in cells if cell.kind in ("acgan", "cyclegan")]
    elsewhere = [cell for cell in cells if cell.kind == SYNTHETIC]
    amounts = list(dict.fromkeys(cell.amount for cell in own or elsewhere))
    between = f"{amounts[0]:,} to {amounts[-1]:,}" if len(amounts) > 1 else f"{amounts[0]:,}"
    added = f"{len(amounts)} amounts ({between} images)"
    if not own:
        yield f"{_classifiers(1)}: the baseline, real only; no GAN is trained, {added} of images made elsewhere"
    elif experiment == "nevus_to_melanoma":
        alphas = ", ".join(f"{a:g}" for a in dict.fromkeys(cell.alpha for cell in own))
        yield f"{_classifiers(len(own))}: {added} at alpha {alphas}"
        yield f"{_classifiers(1)}: their baseline, real only"
    else:
        yield f"{_classifiers(len(own) + 1)}: the baseline, and {added} from the ACGAN alone and with CycleGANs"
    for generators in dict.fromkeys(cell.generators for cell in elsewhere):
        number = sum(cell.generators == generators for cell in elsewhere)
        yield f"{_classifiers(number)}: images made elsewhere, {generators[0].removeprefix('synthetic-')}"
    selected = sum(cell.kind == SELECTION for cell in cells)
    if selected:
        rules = ", ".join(dict.fromkeys(cell.selection for cell in cells if cell.selection))
        yield f"{_classifiers(selected)}: the same amounts, chosen by {rules}"
    for control, what in _CONTROLS.items():
        number = sum(cell.control == control for cell in cells)
        if number:
            yield f"{_classifiers(number)}: control {control}, {what}"


def _classifiers(number: int) -> str:
    return f"{number} classifier{'s' if number != 1 else ''}"


def _shared_line(experiment: str, config: Config, counts: Counts) -> Iterator[str]:
    if experiment == "nevus_to_melanoma":
        settings = config.nevus_to_melanoma
        if not settings.alphas:
            return
        number, what = len(settings.alphas), f"{settings.source} to {settings.target}, one per alpha"
        acgan = ""
    else:
        classes = target_classes(config.experiment(experiment), tuple(counts.train))
        number, what, acgan = len(classes), f"one per class ({', '.join(classes)})", "1 ACGAN, "
    plural = "s" if number > 1 else ""
    yield f"trained once and shared by all cells: {acgan}{number} CycleGAN{plural} {what}"


def _data_line(counts: Counts) -> str:
    return f"{sum(counts.train.values()):,} training images, {counts.judged:,} for validation and tests"


def _time_lines(config: Config, planned: Sequence[Trainings], measured) -> list[str]:
    work = works(config)
    device, steps = measured or (DEVICE, assumed(config))
    result, total = [], 0.0
    for part in planned:
        known = steps[part.network]
        step = known if isinstance(known, Measured) else nearest(work[part.network], known)
        seconds = step.seconds_of(work[part.network])
        total += seconds * part.steps
        trained = f"{part.number} x {part.steps // part.number:,}" if part.number > 1 else f"{part.steps:,}"
        took = duration_of(seconds * part.steps)
        result.append(f"{part.what}: {trained} steps of {_seconds(seconds)}, {took}")
    fixed = STEPS_WITHOUT_TRAINING + sum(COMPILATION[name] for name in {part.network for part in planned})
    result.append(f"starts, compilation, and the steps that train nothing: {duration_of(fixed)}")
    total += fixed
    where = f"on {device}" if measured else f"on {device}, where a step was measured; --measure times your own machine"
    return [f"time {duration_of(total)} {where}:", *(f"  {line}" for line in result)]


def _space_lines(
    experiment: str, config: Config, counts: Counts, planned: Sequence[Trainings], cells: Sequence[Cell]
) -> list[str]:
    work = works(config)
    names = {"classifier": "classifier", "acgan": "ACGAN", "cyclegan": "CycleGAN"}
    used = [name for name in names if any(part.network == name for part in planned)]
    memory = ", ".join(f"{names[name]} {work[name].memory / 1e9:.1f} GB" for name in used)
    return [
        f"GPU memory, estimated from the networks: {memory}",
        f"disk: about {disk(experiment, config, counts, cells) / 1e9:.1f} GB",
    ]


def disk(experiment: str, config: Config, counts: Counts, cells: Sequence[Cell]) -> float:
    """Bytes that a run writes: pictures (ExampleGen's twice while it works), models, checkpoints, predictions."""

    def pictures(number: int, *sizes: int) -> float:
        return number * sum(3 * size**2 * _PNG for size in sorted(set(sizes)))

    classifier, cyclegan, acgan = config.classifier.size, config.cyclegan.size, config.acgan.size
    largest = made_for(config.grid, max(config.experiment(experiment).amounts))
    work = works(config)
    if experiment == "nevus_to_melanoma":
        models = len(config.nevus_to_melanoma.alphas)
        sizes: tuple[int, ...] = (classifier, cyclegan) if models else (classifier,)
        generated = pictures(models * largest, classifier, cyclegan)
        weights = models * work["cyclegan"].weights
    else:
        sizes = (classifier, cyclegan, acgan)
        models = len(target_classes(config.experiment(experiment), tuple(counts.train)))
        generated = pictures(largest + sum(counts.train.values()), acgan, cyclegan, classifier)
        generated += pictures(largest, classifier, cyclegan)
        weights = models * work["cyclegan"].weights + work["acgan"].weights
    generated += pictures(largest * len(config.grid.synthetic), classifier)
    checkpoints = 3 * 4 * max(step.weights for step in work.values())
    rows = config.grid.seeds * len(cells) * counts.judged
    return (
        2 * pictures(counts.total, *sizes)
        + generated
        + 2 * 4 * (weights + work["classifier"].weights)
        + checkpoints
        + 2 * rows * 12 * (len(counts.train) + 1)
    )


def duration_of(seconds: float) -> str:
    """About how long something takes, for a person."""
    return f"about {seconds / 86400:.1f} days" if seconds > 2 * 86400 else f"about {duration(seconds)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
