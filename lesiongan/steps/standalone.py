"""A step's work on its own, without a pipeline: for `lesiongan train` and for Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.config import Config, to_json
from lesiongan.data import examples
from lesiongan.data.sources import source_fingerprint
from lesiongan.errors import UsageError
from lesiongan.files import read_json
from lesiongan.progress import say
from lesiongan.steps import example_gen, train_classifier
from lesiongan.steps.step import Step, lineage_path


def classifier(data: str, output: str | Path, config: Config, seed: int) -> Path:
    """Examples from a source, and a classifier trained on them; what is done already is not done again.

    Args:
        data: a source as for `ingest`, or an Examples artifact.
        output: gets `examples` (if made), `model/classifier`, `model_run`; the same call goes on from there.
        config: its groups `data` and `classifier` count.
        seed: of the split and of the training.

    Returns:
        The model's folder.
    """
    output = Path(output)
    made = examples_of(data, output, config, (config.classifier.size,), seed)
    options = train_classifier.Options(classifier=config.classifier)
    _once(train_classifier, {"examples": made}, ("model", "model_run"), output, options=options, seed=seed)
    return output / "model" / "classifier"


def examples_of(data: str, output: Path, config: Config, sizes: tuple[int, ...], seed: int) -> Path:
    """The Examples that `data` is, or that are made of it in `output`."""
    if (Path(data) / examples.INFO).is_file():
        missing = set(sizes) - set(examples.read_info(data)["sizes"])
        if missing:
            raise UsageError(f"{data}: these examples have no images of {min(missing)} px; make them with that size")
        return Path(data)
    parameters = {"data": data, "fingerprint": source_fingerprint(data, config.data, seed)}
    options = example_gen.Options(data=config.data, sizes=sizes)
    _once(example_gen, {}, ("examples",), output, parameters=parameters, options=options, seed=seed)
    return output / "examples"


def _once(
    module: Any,
    inputs: Mapping[str, Path],
    outputs: tuple[str, ...],
    folder: Path,
    *,
    options: Any,
    seed: int,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Runs a step, unless its outputs are there from the same inputs, options, seed and code."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {name: folder / name for name in outputs}
    step = Step(module.run, inputs, places, parameters or {}, options, to_json(options), seed)
    records = [lineage_path(place) for place in places.values()]
    if all(record.exists() and read_json(record).get("identity") == step.identity for record in records):
        say(f"{step.name}: done before")
        return
    for record in records:
        record.unlink(missing_ok=True)
    step.run(folder / "work")
