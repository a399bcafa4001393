"""Evaluator: tables, image quality and blessings; and the report that a person opens."""

from typing import List, Optional

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def evaluator(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], predictions: Input[Dataset], classifier: Input[Model],
    evaluation: Output[Artifact], blessing: Output[Artifact], metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    generated: Optional[Input[List[Dataset]]] = None,
    sampled: Optional[Input[Dataset]] = None, imported: Optional[Input[Dataset]] = None,
):  # fmt: skip
    """The experiment's table with intervals, the quality of the generated images, and which models are blessed."""
    given = locals()
    from lesiongan.steps import evaluate as step, run_component

    run_component(step, **given)


@component
def reporter(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], classifier_run: Input[Artifact],
    grid_run: Input[Artifact], predictions: Input[Dataset],
    evaluation: Input[Artifact], blessing: Input[Artifact],
    report: Output[HTML], metrics: Output[Metrics],
    gan_runs: Optional[Input[List[Artifact]]] = None, generated: Optional[Input[List[Dataset]]] = None,
    selection: Optional[Input[Dataset]] = None, acgan_run: Optional[Input[Artifact]] = None,
    sampled: Optional[Input[Dataset]] = None,
):  # fmt: skip
    """One HTML file with everything that a person wants to see of a run."""
    given = locals()
    from lesiongan.steps import report as step, run_component

    run_component(step, **given)
