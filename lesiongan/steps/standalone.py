"""A step's work on its own, without a pipeline: for `lesiongan train` and for Python; by one process, or by several
that TF_CONFIG names (see `training.distribution`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lesiongan.base.code_version import code_version
from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_text, sweep_temporaries
from lesiongan.base.lineage import digest, lineage_path, read_record
from lesiongan.base.locks import held
from lesiongan.base.progress import say
from lesiongan.base.sealed import DamagedError
from lesiongan.config.data import DataConfig
from lesiongan.config.reader import to_json
from lesiongan.config.run import Config
from lesiongan.data import examples, folders
from lesiongan.data.fingerprint import source_fingerprint
from lesiongan.data.ingest import open_collection
from lesiongan.evaluation.imagenet_judge import IMAGENET
from lesiongan.evaluation.judge import load_classifier
from lesiongan.serving.model_artifact import describe, find
from lesiongan.steps import example_gen, train_acgan, train_classifier, train_pair
from lesiongan.steps.step import Step, drop_checkpoints
from lesiongan.training.distribution import any_says, differs, joined
from lesiongan.training.guiding import aims_of, check_guide
from lesiongan.training.measuring import check_judge
from lesiongan.training.transfer import check_fits


def classifier(
    data: str,
    output: str | Path,
    config: Config,
    seed: int,
    *,
    transfer: str | Path = "",
    overwrite: bool = False,
) -> Path:
    """Examples from a source, and a classifier trained on them; what is done already is not done again.

    Args:
        data: a source as for `ingest`, or an Examples artifact.
        output: gets `examples` (if made), `model/classifier`, `model_run`; the same call goes on from there.
        config: its groups `data` and `classifier` count.
        seed: of the split and of the training.
        transfer: the folder of a classifier whose weights the training begins with.
        overwrite: what was made with other options, data or code is replaced.

    Returns:
        The model's folder.

    Raises:
        UsageError: the output holds a finished model that was made otherwise, and `overwrite` is not given; or the
            training cannot begin with the other model's weights.
    """
    output = Path(output)
    with joined(config.classifier, "classifier", output) as place:
        transfers = _transfers(transfer, "classifier", config, seed, data)
        examples_folder = examples_of(data, place, config, (config.classifier.size,), seed, overwrite)
        options = train_classifier.Options(classifier=config.classifier)
        inputs = {"examples": examples_folder, **transfers}
        _train(train_classifier, inputs, place, options=options, seed=seed, overwrite=overwrite)
    return output / "model" / "classifier"


def acgan(
    data: str,
    output: str | Path,
    config: Config,
    seed: int,
    judge: str | Path = "",
    *,
    transfer: str | Path = "",
    overwrite: bool = False,
) -> Path:
    """Examples from a source, and an ACGAN trained on them; as `classifier`.

    Args:
        data, output, seed: as for `classifier`; the model is `model/acgan`.
        config: its groups `data` and `acgan` count.
        judge: the folder of a classifier, for KID while it trains, or to guide it (`acgan.guidance`).
        transfer: the folder of an ACGAN whose networks the training begins with.
    """
    output, judges = Path(output), {}
    check_judge(config.acgan, "acgan", bool(judge))
    check_guide(config.acgan, "acgan", bool(judge))
    with joined(config.acgan, "acgan", output) as place:
        if judge:
            load_classifier(Path(judge))  # a wrong one is reported before anything is trained
            judges = {"judge": Path(judge)}
        transfers = _transfers(transfer, "acgan", config, seed, data)
        examples_folder = examples_of(data, place, config, (config.acgan.size,), seed, overwrite)
        options = train_acgan.Options(acgan=config.acgan)
        inputs = {"examples": examples_folder, **judges, **transfers}
        _train(train_acgan, inputs, place, options=options, seed=seed, overwrite=overwrite)
    return output / "model" / "acgan"


def cyclegan(
    source: str | Path,
    target: str | Path,
    output: str | Path,
    config: Config,
    seed: int,
    judge: str | Path = "",
    *,
    transfer: str | Path = "",
    overwrite: bool = False,
) -> Path:
    """A CycleGAN trained on two folders of pictures; the same call goes on from what is in `output`.

    Args:
        source: a folder of pictures of X, of any size; folders below it count.
        target: a folder of pictures of Y.
        output: gets `model/cyclegan` and `model_run/cyclegan` (sample grids, statistics, TensorBoard); not within one
            of the others.
        config: its group `cyclegan` counts, and `data.resize`, `data.exact_resize` and `data.validation`, the share of
            the pictures that is set aside.
        seed: of the share set aside and of the training.
        judge: the folder of a classifier or `imagenet`, for KID while it trains; or of a classifier to guide it
            (`cyclegan.guidance`) towards the class that the target's folder is named by.
        transfer: the folder of a CycleGAN whose networks the training begins with.

    Returns:
        The model's folder.

    Raises:
        UsageError: a folder is not there, has too few pictures, or is given twice; no such judge, or one that knows no
            class of the target's name where it is to guide.
    """
    output = Path(output)
    folders.check_apart({"--from": source, "--to": target, "the output": output})
    check_judge(config.cyclegan, "cyclegan", bool(judge))
    check_guide(config.cyclegan, "cyclegan", bool(judge) and str(judge) != IMAGENET)
    with joined(config.cyclegan, "cyclegan", output) as place:
        judges = {}
        if judge and str(judge) != IMAGENET:
            classifier = load_classifier(Path(judge))
            if config.cyclegan.guidance:
                aims_of(classifier.classes, *reversed(_names(source, target)))
            judges = {"judge": Path(judge)}
        inputs = judges | _transfers(transfer, "cyclegan", config, seed)
        parameters, options = _of_pair(source, target, config, "" if judges else str(judge))
        _train(train_pair, inputs, place, parameters=parameters, options=options, seed=seed, overwrite=overwrite)
    return output / "model" / "cyclegan"


def _names(source: str | Path, target: str | Path) -> tuple[str, str]:
    """What X and Y are called: by their folders, where those have two names."""
    names = Path(source).resolve().name, Path(target).resolve().name
    return names if names[0] != names[1] else ("X", "Y")


def _of_pair(
    source: str | Path, target: str | Path, config: Config, judge: str
) -> tuple[dict[str, str], train_pair.Options]:
    """Parameters and options of a training on two folders; `judge` is "" or a name."""
    parameters = {
        "from": str(Path(source).resolve()),
        "to": str(Path(target).resolve()),
        "fingerprint": digest_text(folders.fingerprint(source), folders.fingerprint(target)),
        "judge": judge,
        **dict(zip(("source", "target"), _names(source, target), strict=True)),
    }
    return parameters, train_pair.Options(
        cyclegan=config.cyclegan,
        # what changes nothing must not train again
        data=DataConfig(
            resize=config.data.resize, exact_resize=config.data.exact_resize, validation=config.data.validation
        ),
    )


def _transfers(folder: str | Path, kind: str, config: Config, seed: int, data: str = "") -> dict[str, Path]:
    """The input that a training begins with, if there is one; what does not fit is refused before anything starts."""
    if not folder:
        return {}
    place = find(folder, kind)
    classes: tuple[str, ...] = ()
    if data:
        there = (Path(data) / examples.INFO).is_file()
        taxonomy = examples.taxonomy(Path(data)) if there else open_collection(data, config.data, seed).source.taxonomy
        classes = taxonomy.classes
    check_fits(place, describe(place), getattr(config, kind), classes, seed)
    return {"transfer": place}


def examples_of(
    data: str, output: Path, config: Config, sizes: tuple[int, ...], seed: int, overwrite: bool = False
) -> Path:
    """The Examples that `data` is, or that are made of it in `output`."""
    if (Path(data) / examples.INFO).is_file():
        missing = set(sizes) - set(examples.read_info(data)["sizes"])
        if missing:
            raise UsageError(f"{data}: these examples have no images of {min(missing)} px; make them with that size")
        return Path(data)
    parameters = {"data": data, "fingerprint": source_fingerprint(data, config.data, seed)}
    options = example_gen.Options(data=config.data, sizes=sizes)
    _once(example_gen, {}, output, parameters=parameters, options=options, seed=seed, overwrite=overwrite)
    return output / "examples"


def _train(
    module: ModuleType, inputs: Mapping[str, Path], folder: Path, *, options: Any, seed: int, **more: Any
) -> None:
    """`_once` of a training, by all processes that do it together.

    Raises:
        UsageError: they were not given the same.
    """
    digests = sorted((name, str(digest(path))) for name, path in inputs.items())
    given = digest_text(to_json(options), str(seed), str(digests), code_version([module.__name__]))
    if differs(given):
        raise UsageError(
            f"the processes of this training differ in their options, their seed, the content of {', '.join(inputs)}, "
            "or the version of the code; give all of them the same"
        )
    _once(module, inputs, folder, options=options, seed=seed, together=True, **more)


def _once(
    module: ModuleType,
    inputs: Mapping[str, Path],
    folder: Path,
    *,
    options: Any,
    seed: int,
    parameters: Mapping[str, str] | None = None,
    overwrite: bool = False,
    together: bool = False,
) -> None:
    """Runs a step, unless its outputs are there from the same inputs, options, seed and code; `together` it is run
    unless they are there for any of the processes.

    Raises:
        UsageError: finished outputs of others are there, and `overwrite` is not given.
    """
    places = {name: folder / name for name in module.OUTPUTS}
    step = Step(module, inputs, places, parameters or {}, options, to_json(options), seed, folder / "work")
    records = [lineage_path(place) for place in places.values()]
    found = []
    for record, place in zip(records, places.values(), strict=True):
        if record.exists():
            try:
                found.append(read_record(place))
            except DamagedError as error:
                say(f"{error}; {step.name} is run again")
    done = len(found) == len(records) and all(record.get("identity") == step.identity for record in found)
    if any_says(done)[0] if together else done:
        drop_checkpoints(folder / "work", step.name, step.identity)  # a kill may have come before they went
        say(f"{step.name}: done before")
        return
    if len(found) == len(records) and not overwrite:
        raise UsageError(
            f"{folder}: holds what was made otherwise ({_change(found[0], step, options, seed, parameters)})"
            "; name another folder with -o, or give --overwrite to replace it"
        )
    with held(folder):
        for record in records:
            record.unlink(missing_ok=True)
        sweep_temporaries(folder)
        step.run()


def _change(
    record: Mapping[str, Any], step: Step, options: Any, seed: int, parameters: Mapping[str, str] | None
) -> str:
    """What was otherwise when finished outputs were made, for a person."""
    before, now = (_flat(json.loads(json.dumps(given))) for given in (record["options"], dataclasses.asdict(options)))
    differing = [key for key in now if before.get(key) != now[key]]
    if differing:
        return f"{differing[0]} was {before.get(differing[0])}"
    if record["seed"] != seed:
        return f"the seed was {record['seed']}"
    if record["inputs"].get("transfer") != step.input_digests.get("transfer"):
        return "--transfer was another"
    if record["parameters"] != dict(parameters or {}) or record["inputs"] != step.input_digests:
        return "the data were others"
    return "the code was another; --accept-code-change keeps it"


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as `group.key` -> value."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
