"""Evaluator: tables, image quality and blessings; and the report that a person opens."""

from typing import List, Optional  # noqa: UP035 - kfp reads these

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def evaluator(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    predictions: Input[Dataset],
    classifier: Input[Model],
    generated: Input[List[Dataset]],  # noqa: UP006
    evaluation: Output[Artifact],
    blessing: Output[Artifact],
    metrics: Output[Metrics],
    sampled: Optional[Input[Dataset]] = None,  # noqa: UP045
    imported: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """The experiment's table with intervals, the quality of the generated images, and who is blessed."""
    from lesiongan.steps import evaluate as step
    from lesiongan.steps.step import execute

    sets = [artifact.path for artifact in (*generated, sampled, imported) if artifact]
    inputs = {
        "examples": examples.path,
        "predictions": predictions.path,
        "classifier": classifier.path,
        "generated": sets,
    }
    numbers = execute(
        step.run,
        step.Options,
        inputs=inputs,
        outputs={"evaluation": evaluation.path, "blessing": blessing.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def reporter(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    classifier_run: Input[Artifact],
    gan_runs: Input[List[Artifact]],  # noqa: UP006
    generated: Input[List[Dataset]],  # noqa: UP006
    grid_run: Input[Artifact],
    predictions: Input[Dataset],
    evaluation: Input[Artifact],
    blessing: Input[Artifact],
    report: Output[HTML],
    metrics: Output[Metrics],
    selection: Optional[Input[Dataset]] = None,  # noqa: UP045
    acgan_run: Optional[Input[Artifact]] = None,  # noqa: UP045
    sampled: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """One HTML file with everything that a person wants to see of a run."""
    from lesiongan.steps import report as step
    from lesiongan.steps.step import execute

    runs = [classifier_run, *([acgan_run] if acgan_run else []), *gan_runs, grid_run]
    sets = [*([sampled] if sampled else []), *generated]
    inputs = {
        "examples": examples.path,
        "runs": [artifact.path for artifact in runs],
        "generated": [artifact.path for artifact in sets],
        "predictions": predictions.path,
        "evaluation": evaluation.path,
        "blessing": blessing.path,
    }
    if selection:
        inputs["selection"] = selection.path
    numbers = execute(
        step.run,
        step.Options,
        inputs=inputs,
        outputs={"report": report.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
