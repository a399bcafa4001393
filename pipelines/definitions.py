"""The two pipelines, each written once. `place(task, kind)` is all that an engine adds: on a cluster GPUs, memory,
retries and volumes; on one machine nothing.
"""

# no `from __future__ import annotations`: kfp reads the pipelines' annotations as types

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from kfp import dsl

from components.evaluator import evaluator, reporter
from components.example_gen import example_gen
from components.filter import path_rank_filter
from components.generator import import_synthetic, join_sets, sample_images, translate_images
from components.infra_validator import infra_validator
from components.pusher import pusher
from components.trainer import join_grid, train_acgan, train_classifier, train_cyclegan, train_grid, train_grid_part
from lesiongan.config import ACGANConfig, Config, CycleGANConfig
from lesiongan.grid import experiment_cells, parts, target_classes

#: `place(task, kind)`, kind being `data`, `train`, `generate`, `evaluate` or `light`.
Place = Callable[[dsl.PipelineTask, str], Any]


def anywhere(task: dsl.PipelineTask, kind: str) -> None:
    """Places nothing: one machine."""


def nevus_to_melanoma(config: Config, *, place: Place = anywhere, group: int = 0, **defaults):
    """Experiment 2: classifier -> Path-Rank-Filter -> a CycleGAN an alpha -> synthetic melanomas -> classifiers ->
    report.

    Args:
        config: the whole configuration; grids are fixed here.
        place: puts a task on the engine's machines.
        group: alphas that share a training task; 0: all of them (one process, one compilation), and all cells of the
            table too. Otherwise tasks run side by side, those of the table in `grid.parts`.
        defaults: of the pipeline's parameters `data`, `fingerprint`, `seed`, `work_dir`, `models_dir`,
            `synthetic_fingerprint`.
    """
    experiment = config.nevus_to_melanoma
    sizes = {config.classifier.size, config.cyclegan.size}
    given = {"source": experiment.source, "target": experiment.target, "cyclegan": config.cyclegan}
    jobs = [_options(**given, alphas=part) for part in _groups(experiment.alphas, group)]

    @dsl.pipeline(name="nevus-to-melanoma", description=nevus_to_melanoma.__doc__.splitlines()[0])
    def pipeline(
        data: str = defaults.get("data", "phantoms"),
        fingerprint: str = defaults.get("fingerprint", ""),
        seed: int = defaults.get("seed", 0),
        work_dir: str = defaults.get("work_dir", "work"),
        models_dir: str = defaults.get("models_dir", "saved_models"),
        synthetic_fingerprint: str = defaults.get("synthetic_fingerprint", ""),
    ):
        common = {"seed": seed, "work_dir": work_dir}
        examples, classifier = _real(config, sizes, place, data, fingerprint, common)
        selected = path_rank_filter(
            options=_options(
                target=experiment.target,
                alphas=experiment.alphas,
                folds=experiment.folds,
                # what changes nothing must not run the step again
                **({"classifier": config.classifier} if experiment.folds else {}),
            ),
            examples=examples,
            model=classifier.outputs["model"],
            **common,
        )
        place(selected, "generate")
        with dsl.ParallelFor(jobs, parallelism=_at_once(group)) as job:
            trained = train_cyclegan(
                options=job,
                examples=examples,
                selection=selected.outputs["selection"],
                **_judge(config.cyclegan, classifier),
                **common,
            )
            place(trained, "train")
            made = translate_images(
                options=_options(largest=max(experiment.amounts), sizes=[config.classifier.size]),
                examples=examples,
                model=trained.outputs["model"],
                **common,
            )
            place(made, "generate")
        _results(
            config,
            "nevus_to_melanoma",
            place,
            common,
            models_dir,
            group=group,
            imported=_imported(
                config, "nevus_to_melanoma", (), place, synthetic_fingerprint, common, examples=examples
            ),
            examples=examples,
            classifier=classifier,
            trained=trained,
            made=made,
            selection=selected.outputs["selection"],
        )

    return pipeline


def noise_to_lesion(config: Config, *, classes: Sequence[str], place: Place = anywhere, group: int = 0, **defaults):
    """Experiment 1: ACGAN -> its images -> a CycleGAN a class -> refined images -> classifiers -> report.

    Args as for `nevus_to_melanoma`; `classes`: the data's classes, all of which get a CycleGAN unless the
    configuration names some.
    """
    experiment = config.noise_to_lesion
    classes = tuple(experiment.classes or classes)
    sizes = {config.classifier.size, config.acgan.size, config.cyclegan.size}
    given = {"cyclegan": config.cyclegan, "with_validation": experiment.with_validation}
    jobs = [_options(**given, classes=part) for part in _groups(classes, group)]

    @dsl.pipeline(name="noise-to-lesion", description=noise_to_lesion.__doc__.splitlines()[0])
    def pipeline(
        data: str = defaults.get("data", "phantoms"),
        fingerprint: str = defaults.get("fingerprint", ""),
        seed: int = defaults.get("seed", 0),
        work_dir: str = defaults.get("work_dir", "work"),
        models_dir: str = defaults.get("models_dir", "saved_models"),
        synthetic_fingerprint: str = defaults.get("synthetic_fingerprint", ""),
    ):
        common = {"seed": seed, "work_dir": work_dir}
        examples, classifier = _real(config, sizes, place, data, fingerprint, common)
        acgan = train_acgan(
            options=_options(acgan=config.acgan, with_validation=experiment.with_validation),
            examples=examples,
            **_judge(config.acgan, classifier),
            **common,
        )
        place(acgan, "train")
        sampled = sample_images(
            options=_options(
                classes=classes,
                largest=max(experiment.amounts),
                distribution=experiment.distribution,
                sizes=[config.cyclegan.size, config.classifier.size],
            ),
            examples=examples,
            model=acgan.outputs["model"],
            **common,
        )
        place(sampled, "generate")
        with dsl.ParallelFor(jobs, parallelism=_at_once(group)) as job:
            trained = train_cyclegan(
                options=job,
                examples=examples,
                generated=sampled.outputs["references"],
                **_judge(config.cyclegan, classifier),
                **common,
            )
            place(trained, "train")
            made = translate_images(
                options=_options(sizes=[config.classifier.size]),
                examples=examples,
                model=trained.outputs["model"],
                sampled=sampled.outputs["generated"],
                **common,
            )
            place(made, "generate")
        _results(
            config,
            "noise_to_lesion",
            place,
            common,
            models_dir,
            group=group,
            classes=classes,
            imported=_imported(
                config, "noise_to_lesion", classes, place, synthetic_fingerprint, common, examples=examples
            ),
            examples=examples,
            classifier=classifier,
            trained=trained,
            made=made,
            acgan=acgan,
            sampled=sampled.outputs["generated"],
        )

    return pipeline


def _real(config: Config, sizes: set[int], place: Place, data, fingerprint, common: dict):
    """What both pipelines begin with: Examples, and the classifier that judges."""
    ingested = example_gen(
        data=data, fingerprint=fingerprint, options=_options(data=config.data, sizes=sorted(sizes)), **common
    )
    place(ingested, "data")
    examples = ingested.outputs["examples"]
    classifier = train_classifier(options=_options(classifier=config.classifier), examples=examples, **common)
    place(classifier, "train")
    return examples, classifier


def _judge(config: ACGANConfig | CycleGANConfig, classifier: dsl.PipelineTask) -> dict:
    """The classifier as a GAN's judge, where its options ask for one; otherwise its training does not wait for the
    classifier, and another classifier does not train it again."""
    judged = config.measure_every_images or config.export == "best" or config.patience
    return {"judge": classifier.outputs["model"]} if judged else {}


def _results(
    config: Config,
    experiment: str,
    place: Place,
    common: dict,
    models_dir,
    *,
    examples,
    classifier,
    trained,
    made,
    selection=None,
    acgan=None,
    sampled=None,
    imported=None,
    classes: tuple[str, ...] = (),
    group: int = 0,
):
    """What both pipelines end with: classifiers, Evaluator, report, InfraValidator, Pusher.

    kfp changes a `Collected` where it is used, so each use has its own.
    """
    more = {} if sampled is None else {"sampled": sampled}
    outside = {} if imported is None else {"imported": imported}
    acgan_model = {} if acgan is None else {"acgan": acgan.outputs["model"]}
    predictions, grid_run = _grid(
        config,
        experiment,
        place,
        common,
        classes,
        group,
        {"examples": examples, "classifier": classifier.outputs["model"]},
        made,
        {**more, **outside},
    )
    pair = config.nevus_to_melanoma
    target = {"target": pair.target, "against": pair.source} if experiment == "nevus_to_melanoma" else {}
    evaluated = evaluator(
        options=_options(evaluation=config.evaluation, **target),
        examples=examples,
        predictions=predictions,
        classifier=classifier.outputs["model"],
        generated=dsl.Collected(made.outputs["generated"]),
        **more,
        **outside,
        **common,
    )
    place(evaluated, "evaluate")
    report = reporter(
        options=_options(experiment=experiment, config=config),
        examples=examples,
        classifier_run=classifier.outputs["model_run"],
        gan_runs=dsl.Collected(trained.outputs["model_run"]),
        generated=dsl.Collected(made.outputs["generated"]),
        grid_run=grid_run,
        predictions=predictions,
        evaluation=evaluated.outputs["evaluation"],
        blessing=evaluated.outputs["blessing"],
        **({} if selection is None else {"selection": selection}),
        **({} if acgan is None else {"acgan_run": acgan.outputs["model_run"]}),
        **more,
        **common,
    )
    place(report, "light")
    served = infra_validator(
        options="{}",
        classifier=classifier.outputs["model"],
        models=dsl.Collected(trained.outputs["model"]),
        **acgan_model,
        **common,
    )
    place(served, "evaluate")
    pushed = pusher(
        options=_options(prefix=f"{experiment.replace('_', '-')}-"),
        models_dir=models_dir,
        classifier=classifier.outputs["model"],
        models=dsl.Collected(trained.outputs["model"]),
        blessing=evaluated.outputs["blessing"],
        infra_blessing=served.outputs["blessing"],
        **acgan_model,
        **common,
    )
    place(pushed, "light")


def _imported(config: Config, experiment: str, classes, place: Place, fingerprint, common: dict, *, examples):
    """Examples of the images that were made elsewhere, where there are some."""
    if not config.grid.synthetic:
        return None
    given = getattr(config, experiment)
    made = import_synthetic(
        options=_options(
            synthetic=config.grid.synthetic,
            synthetic_copies=config.grid.synthetic_copies,
            data=config.data,
            classes=target_classes(experiment, config, classes),
            largest=max(given.amounts),
            **({"distribution": given.distribution} if experiment == "noise_to_lesion" else {}),
            sizes=[config.classifier.size],
        ),
        fingerprint=fingerprint,
        examples=examples,
        **common,
    )
    place(made, "data")
    return made.outputs["generated"]


def _grid(config: Config, experiment: str, place: Place, common: dict, classes, group: int, real, made, more):
    """The table's classifiers: in one task, or in `grid.parts` side by side, which are joined.

    Args:
        real: the inputs with real images: Examples and classifier.
        made: the loop's task that makes images.
        more: inputs with further generated images.

    Returns:
        The outputs `predictions` and `model_run`.
    """
    given = {
        "experiment": experiment,
        "classifier": config.classifier,
        "grid": config.grid,
        experiment: getattr(config, experiment),
        # what changes nothing must not run the step again
        **({"acgan_size": config.acgan.size} if experiment == "noise_to_lesion" else {}),
    }
    if not group:
        generated = dsl.Collected(made.outputs["generated"])
        grid = train_grid(options=_options(**given), generated=generated, **real, **more, **common)
        place(grid, "train")
        return grid.outputs["predictions"], grid.outputs["model_run"]
    # a loop's task cannot take what another loop collected
    sets = join_sets(options="{}", parts=dsl.Collected(made.outputs["generated"]), **more, **common)
    place(sets, "light")
    cells = experiment_cells(experiment, config, classes)
    jobs = [_options(**given, seeds=[seed], cells=names) for seed, names in parts(cells, config.grid)]
    with dsl.ParallelFor(jobs, parallelism=_at_once(group)) as job:
        part = train_grid_part(options=job, generated=sets.outputs["generated"], **real, **common)
        place(part, "train")
    joined = join_grid(
        options=_options(cells=[cell.name for cell in cells], seeds=config.grid.seeds),
        parts=dsl.Collected(part.outputs["predictions"]),
        part_runs=dsl.Collected(part.outputs["model_run"]),
        **common,
    )
    place(joined, "light")
    return joined.outputs["predictions"], joined.outputs["model_run"]


def _at_once(group: int) -> int:
    """How many turns of a loop may run at once: one on one machine, any number (0) on a cluster."""
    return 0 if group else 1


def _groups(items: Sequence, size: int) -> list[tuple]:
    """Items in groups of `size`; 0: one group of all."""
    items = tuple(items)
    return [items[i : i + size] for i in range(0, len(items), size)] if size else [items]


def _options(**values) -> str:
    """A step's options as canonical JSON (a part of its cache key)."""
    plain = {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in values.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))
