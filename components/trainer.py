"""Trainer: four of them, one a kind of model; `model` is what is served, `model_run` what a training leaves for
people."""

from typing import List, Optional  # noqa: UP035 - kfp reads these

from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def train_classifier(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Output[Model],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
):
    """The lesion classifier on real images."""
    from lesiongan.steps import train_classifier as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path},
        outputs={"model": model.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def train_acgan(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Output[Model],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
    judge: Optional[Input[Model]] = None,  # noqa: UP045
):
    """The ACGAN, noise and class -> image; with `judge` (a classifier) measured while it trains."""
    from lesiongan.steps import train_acgan as step
    from lesiongan.steps.step import execute

    given = {"examples": examples, "judge": judge}
    numbers = execute(
        step.run,
        step.Options,
        inputs={key: artifact.path for key, artifact in given.items() if artifact},
        outputs={"model": model.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def train_cyclegan(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Output[Model],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
    selection: Optional[Input[Dataset]] = None,  # noqa: UP045
    generated: Optional[Input[Dataset]] = None,  # noqa: UP045
    judge: Optional[Input[Model]] = None,  # noqa: UP045
):
    """One or several CycleGANs: an alpha each (with `selection`), or a class each (with `generated`); with `judge` (a
    classifier) measured while they train."""
    from lesiongan.steps import train_cyclegan as step
    from lesiongan.steps.step import execute

    given = {"examples": examples, "selection": selection, "generated": generated, "judge": judge}
    numbers = execute(
        step.run,
        step.Options,
        inputs={key: artifact.path for key, artifact in given.items() if artifact},
        outputs={"model": model.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def train_grid(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    classifier: Input[Model],
    generated: Input[List[Dataset]],  # noqa: UP006
    predictions: Output[Dataset],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
    sampled: Optional[Input[Dataset]] = None,  # noqa: UP045
    imported: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """The classifiers of an experiment's table, on real + synthetic images, and their predictions on the real test
    images."""
    from lesiongan.steps import train_grid as step
    from lesiongan.steps.step import execute

    sets = [artifact.path for artifact in (*generated, sampled, imported) if artifact]
    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path, "classifier": classifier.path, "generated": sets},
        outputs={"predictions": predictions.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def train_grid_part(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    classifier: Input[Model],
    generated: Input[Dataset],
    predictions: Output[Dataset],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
):
    """Some of the classifiers of an experiment's table (see `train_grid`)."""
    from lesiongan.steps import train_grid as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path, "classifier": classifier.path, "generated": [generated.path]},
        outputs={"predictions": predictions.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def join_grid(
    options: str,
    seed: int,
    work_dir: str,
    parts: Input[List[Dataset]],  # noqa: UP006
    part_runs: Input[List[Artifact]],  # noqa: UP006
    predictions: Output[Dataset],
    model_run: Output[Artifact],
    metrics: Output[Metrics],
):
    """The parts of an experiment's table, which were trained side by side, as one."""
    from lesiongan.steps import join_grid as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={
            "predictions": [artifact.path for artifact in parts],
            "model_runs": [artifact.path for artifact in part_runs],
        },
        outputs={"predictions": predictions.path, "model_run": model_run.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
