"""Both experiments as one pipeline: a beginning and an end that they share, and a middle that differs.

`place(task, kind)` is all that an engine adds: on a cluster GPUs, memory, retries and volumes; on one machine nothing.
"""

# no `from __future__ import annotations`: kfp reads the pipeline's annotations as types

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from kfp import dsl

from components.evaluator import evaluator, reporter
from components.example_gen import example_gen
from components.filter import path_rank_filter
from components.generator import chain_generators, import_synthetic, join_sets, sample_images, translate_images
from components.infra_validator import infra_validator
from components.pusher import pusher
from components.trainer import join_grid, train_acgan, train_classifier, train_cyclegan, train_grid, train_grid_part
from lesiongan.base.escaped import escape
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.grid import made_for
from lesiongan.config.run import Config
from lesiongan.experiments.cells import parts, target_classes
from lesiongan.experiments.table import table_cells
from pipelines.parts import Middle, Real

#: `place(task, kind)`, kind being `data`, `train`, `generate`, `evaluate` or `light`.
Place = Callable[[dsl.PipelineTask, str], Any]

_DESCRIPTIONS = {
    "nevus_to_melanoma": "Experiment 2: classifier -> Path-Rank-Filter -> a CycleGAN per alpha -> synthetic melanomas "
    "-> classifiers -> report.",
    "noise_to_lesion": "Experiment 1: ACGAN -> its images -> a CycleGAN per class -> refined images -> classifiers -> "
    "report.",
}


def anywhere(task: dsl.PipelineTask, kind: str) -> None:
    """Places nothing: one machine."""


def experiment_pipeline(
    experiment: str,
    config: Config,
    *,
    classes: Sequence[str],
    place: Place = anywhere,
    group: int = 0,
    at_once: int = 0,
    **defaults: Any,
) -> Any:
    """The pipeline of an experiment.

    Args:
        experiment: `nevus_to_melanoma` or `noise_to_lesion`.
        config: the whole configuration; grids are fixed here.
        classes: the data's classes; in experiment 1 all of them get a CycleGAN, unless the configuration names some.
        place: puts a task on the engine's machines.
        group: alphas or classes that share a training task; 0: all of them (one process, one compilation), and all
            cells of the table too. Otherwise tasks run side by side, those of the table in `cells.parts`.
        at_once: tasks of a loop side by side; 0: any number. Without `group` one after the other.
        defaults: of the pipeline's parameters `data`, `fingerprint`, `seed`, `work_dir`, `models_dir`,
            `synthetic_fingerprint`.
    """
    targets = target_classes(config.experiment(experiment), tuple(classes))

    @dsl.pipeline(name=experiment.replace("_", "-"), description=_DESCRIPTIONS[experiment])
    def pipeline(
        data: str = defaults.get("data", "phantoms"),
        fingerprint: str = defaults.get("fingerprint", ""),
        seed: int = defaults.get("seed", 0),
        work_dir: str = defaults.get("work_dir", "work"),
        models_dir: str = defaults.get("models_dir", "saved_models"),
        synthetic_fingerprint: str = defaults.get("synthetic_fingerprint", ""),
    ):
        build = _Build(experiment, config, targets, place, group, at_once, {"seed": seed, "work_dir": work_dir})
        real = build.real(data, fingerprint)
        middle = build.nevus_to_melanoma(real) if experiment == "nevus_to_melanoma" else build.noise_to_lesion(real)
        imported = build.imported(real, synthetic_fingerprint)
        build.results(real, middle, imported, models_dir)

    return pipeline


@dataclasses.dataclass(frozen=True)
class _Build:
    """Adds the tasks of an experiment; arguments as of `experiment_pipeline`.

    Attributes:
        targets: the classes that the experiment adds images to.
        side_by_side: `at_once` of `experiment_pipeline`.
        common: the arguments of every task.
    """

    experiment: str
    config: Config
    targets: tuple[str, ...]
    place: Place
    group: int
    side_by_side: int
    common: dict[str, Any]

    def task(self, component: Callable, kind: str, **arguments: Any) -> dsl.PipelineTask:
        """A placed task; arguments that are None are left out."""
        task = component(**{k: v for k, v in arguments.items() if v is not None}, **self.common)
        self.place(task, kind)
        return task

    @property
    def at_once(self) -> int:
        """How many turns of a loop may run at once: one on one machine, on a cluster as many as wanted (0: any)."""
        return self.side_by_side if self.group else 1

    @property
    def trains_cyclegans(self) -> bool:
        """Whether there is a middle: kfp loops over nothing neither when it compiles nor when it runs."""
        return self.experiment == "noise_to_lesion" or bool(self.config.nevus_to_melanoma.alphas)

    def real(self, data: Any, fingerprint: Any) -> Real:
        """The shared beginning: Examples, and the classifier that judges."""
        config = self.config
        sizes = {config.classifier.size, config.cyclegan.size} if self.trains_cyclegans else {config.classifier.size}
        sizes |= {config.acgan.size} if self.experiment == "noise_to_lesion" else set()
        options = _options(data=config.data, sizes=sorted(sizes))
        ingested = self.task(example_gen, "data", data=data, fingerprint=fingerprint, options=options)
        examples = ingested.outputs["examples"]
        options = _options(classifier=config.classifier)
        return Real(examples, self.task(train_classifier, "train", options=options, examples=examples))

    def nevus_to_melanoma(self, real: Real) -> Middle:
        """The middle of experiment 2."""
        config, settings = self.config, self.config.nevus_to_melanoma
        if not self.trains_cyclegans:
            return Middle()
        ranking = _options(
            target=settings.target,
            alphas=settings.alphas,
            folds=settings.folds,
            # what changes nothing must not run the step again
            **({"classifier": config.classifier} if settings.folds else {}),
        )
        model = real.classifier.outputs["model"]
        selected = self.task(path_rank_filter, "generate", options=ranking, examples=real.examples, model=model)
        selection = selected.outputs["selection"]
        pair = {"source": settings.source, "target": settings.target, "cyclegan": config.cyclegan}
        jobs = [_options(**pair, alphas=alphas) for alphas in _groups(settings.alphas, self.group)]
        with dsl.ParallelFor(jobs, parallelism=self.at_once) as job:
            judge = _judge(config.cyclegan, real)
            trained = self.task(
                train_cyclegan, "train", options=job, examples=real.examples, selection=selection, judge=judge
            )
            options = _options(
                largest=made_for(config.grid, max(settings.amounts)), sizes=[config.classifier.size], **self.withheld()
            )
            model = trained.outputs["model"]
            translated = self.task(translate_images, "generate", options=options, examples=real.examples, model=model)
        return Middle(trained, translated, selection=selection)

    def noise_to_lesion(self, real: Real) -> Middle:
        """The middle of experiment 1."""
        config, settings = self.config, self.config.noise_to_lesion
        options = _options(acgan=config.acgan, with_validation=settings.with_validation)
        judge = _judge(config.acgan, real)
        acgan = self.task(train_acgan, "train", options=options, examples=real.examples, judge=judge)
        options = _options(
            classes=self.targets,
            largest=made_for(config.grid, max(settings.amounts)),
            distribution=settings.distribution,
            sizes=[config.cyclegan.size, config.classifier.size],
            **self.withheld(),
        )
        model = acgan.outputs["model"]
        sampled = self.task(sample_images, "generate", options=options, examples=real.examples, model=model)
        references, fresh = sampled.outputs["references"], sampled.outputs["generated"]
        refining = {"cyclegan": config.cyclegan, "with_validation": settings.with_validation}
        jobs = [_options(**refining, classes=classes) for classes in _groups(self.targets, self.group)]
        with dsl.ParallelFor(jobs, parallelism=self.at_once) as job:
            judge = _judge(config.cyclegan, real)
            trained = self.task(
                train_cyclegan, "train", options=job, examples=real.examples, generated=references, judge=judge
            )
            options, model = _options(sizes=[config.classifier.size], **self.withheld()), trained.outputs["model"]
            translated = self.task(
                translate_images, "generate", options=options, examples=real.examples, model=model, sampled=fresh
            )
        return Middle(trained, translated, acgan=acgan, sampled=fresh)

    def withheld(self) -> dict[str, Any]:
        """The Generators' options by which suspected copies are withheld; none where they are handed on."""
        rate = self.config.evaluation.false_alarms
        return {"withhold": rate, **self.learned()} if self.config.grid.withhold_copies else {}

    def learned(self) -> dict[str, Any]:
        """Whether GANs learned from validation images, where they did."""
        both = self.experiment == "noise_to_lesion" and self.config.noise_to_lesion.with_validation
        return {"with_validation": True} if both else {}

    def imported(self, real: Real, fingerprint: Any) -> Any:
        """Examples of the images that were made elsewhere, where there are some."""
        config, settings = self.config, self.config.experiment(self.experiment)
        if not config.grid.synthetic:
            return None
        options = _options(
            synthetic=config.grid.synthetic,
            synthetic_copies=config.grid.synthetic_copies,
            data=config.data,
            classes=self.targets,
            largest=made_for(config.grid, max(settings.amounts)),
            **({"distribution": config.noise_to_lesion.distribution} if self.experiment == "noise_to_lesion" else {}),
            sizes=[config.classifier.size],
        )
        imported = self.task(import_synthetic, "data", options=options, fingerprint=fingerprint, examples=real.examples)
        return imported.outputs["generated"]

    def results(self, real: Real, middle: Middle, imported: Any, models_dir: Any) -> None:
        """The shared end: classifiers, Evaluator, report, InfraValidator, Pusher."""
        config, pair = self.config, self.config.nevus_to_melanoma
        more = {"sampled": middle.sampled, "imported": imported}
        predictions, grid_run = self.grid(real, middle, more)
        classes = {"target": pair.target, "against": pair.source} if self.experiment == "nevus_to_melanoma" else {}
        scored = {"classifier": config.classifier} if config.evaluation.accuracy_score_images else {}
        evaluated = self.task(
            evaluator,
            "evaluate",
            options=_options(evaluation=config.evaluation, **classes, **scored, **self.learned()),
            predictions=predictions,
            generated=middle.collected("generated"),
            **real.inputs,
            **more,
        )
        self.task(
            reporter,
            "light",
            options=_options(experiment=self.experiment, config=config),
            examples=real.examples,
            classifier_run=real.classifier.outputs["model_run"],
            gan_runs=middle.collected("model_run"),
            generated=middle.collected("generated"),
            grid_run=grid_run,
            predictions=predictions,
            evaluation=evaluated.outputs["evaluation"],
            blessing=evaluated.outputs["blessing"],
            selection=middle.selection,
            acgan_run=middle.acgan and middle.acgan.outputs["model_run"],
            sampled=middle.sampled,
        )
        models = {
            "classifier": real.classifier.outputs["model"],
            "acgan": middle.acgan and middle.acgan.outputs["model"],
        }
        if middle.acgan:
            trained = {"acgan": models["acgan"], "models": middle.collected("model")}
            models["chained"] = self.task(chain_generators, "evaluate", options="{}", **trained).outputs["model"]
        limits = _options(max_latency=self.config.evaluation.max_latency, max_memory=self.config.evaluation.max_memory)
        served = self.task(infra_validator, "evaluate", options=limits, models=middle.collected("model"), **models)
        self.task(
            pusher,
            "light",
            options=_options(prefix=f"{self.experiment.replace('_', '-')}-"),
            models_dir=models_dir,
            models=middle.collected("model"),
            blessing=evaluated.outputs["blessing"],
            infra_blessing=served.outputs["blessing"],
            **models,
        )

    def grid(self, real: Real, middle: Middle, more: dict[str, Any]) -> tuple[Any, Any]:
        """The table's classifiers: in one task, or in `cells.parts` side by side, which are joined.

        Args:
            more: inputs with further generated images.

        Returns:
            The outputs `predictions` and `model_run`.
        """
        config, experiment = self.config, self.experiment
        shared = {
            "experiment": experiment,
            "classifier": config.classifier,
            "grid": config.grid,
            experiment: config.experiment(experiment),
            # what changes nothing must not run the step again
            **({"acgan_size": config.acgan.size} if experiment == "noise_to_lesion" else {}),
        }
        generated = middle.collected("generated")
        if not self.group:
            options = _options(**shared)
            grid = self.task(train_grid, "train", options=options, generated=generated, **real.inputs, **more)
            return grid.outputs["predictions"], grid.outputs["model_run"]
        # a loop's task cannot take what another loop collected
        sets = self.task(join_sets, "light", options="{}", parts=generated, **more)
        cells = table_cells(experiment, config, self.targets)
        jobs = [_options(**shared, seeds=[seed], cells=names) for seed, names in parts(cells, config.grid)]
        with dsl.ParallelFor(jobs, parallelism=self.at_once) as job:
            generated = sets.outputs["generated"]
            part = self.task(train_grid_part, "train", options=job, generated=generated, **real.inputs)
        joined = self.task(
            join_grid,
            "light",
            options=_options(cells=[cell.name for cell in cells], seeds=config.grid.seeds),
            parts=dsl.Collected(part.outputs["predictions"]),
            part_runs=dsl.Collected(part.outputs["model_run"]),
        )
        return joined.outputs["predictions"], joined.outputs["model_run"]


def _judge(config: ACGANConfig | CycleGANConfig, real: Real) -> Any:
    """The classifier as a GAN's judge or guide, where its options ask for one; otherwise its training does not wait for
    the classifier, and another classifier does not train it again."""
    judged = config.measure_every_images or config.export == "best" or config.patience or config.guidance
    return real.classifier.outputs["model"] if judged else None


def _groups(items: Sequence, size: int) -> list[tuple]:
    """Items in groups of `size`; 0: one group of all."""
    items = tuple(items)
    return [items[i : i + size] for i in range(0, len(items), size)] if size else [items]


def _options(**values: Any) -> str:
    """A step's options as canonical JSON (a part of its cache key)."""
    plain = {
        k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) and not isinstance(v, type) else v
        for k, v in values.items()
    }
    return escape(json.dumps(plain, sort_keys=True, separators=(",", ":")))
