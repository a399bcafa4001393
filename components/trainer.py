"""Trainer: one per kind of model; `model` is what is served, `model_run` what a training leaves for people."""

from typing import List, Optional

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def train_classifier(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset],
    model: Output[Model], model_run: Output[Artifact], metrics: Output[Metrics],
):  # fmt: skip
    """The lesion classifier on real images."""
    given = locals()
    from lesiongan.steps import run_component, train_classifier as step

    run_component(step, **given)


@component
def train_acgan(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset],
    model: Output[Model], model_run: Output[Artifact], metrics: Output[Metrics],
    samples: Output[HTML],
    judge: Optional[Input[Model]] = None,
):  # fmt: skip
    """The ACGAN, noise and class -> image; with `judge` (a classifier) measured or guided while it trains."""
    given = locals()
    from lesiongan.steps import run_component, train_acgan as step

    run_component(step, **given)


@component
def train_cyclegan(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset],
    model: Output[Model], model_run: Output[Artifact], metrics: Output[Metrics],
    samples: Output[HTML],
    selection: Optional[Input[Dataset]] = None, generated: Optional[Input[Dataset]] = None,
    judge: Optional[Input[Model]] = None,
):  # fmt: skip
    """One CycleGAN per alpha (with `selection`) or per class (with `generated`); with `judge` (a classifier) measured
    or guided while they train."""
    given = locals()
    from lesiongan.steps import run_component, train_cyclegan as step

    run_component(step, **given)


@component
def train_grid(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], classifier: Input[Model],
    predictions: Output[Dataset], model_run: Output[Artifact], metrics: Output[Metrics],
    generated: Optional[Input[List[Dataset]]] = None,
    sampled: Optional[Input[Dataset]] = None, imported: Optional[Input[Dataset]] = None,
):  # fmt: skip
    """The classifiers of an experiment's table, on real + synthetic images, and their predictions on the real test
    images."""
    given = locals()
    from lesiongan.steps import run_component, train_grid as step

    run_component(step, **given)


@component
def train_grid_part(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], classifier: Input[Model], generated: Input[Dataset],
    predictions: Output[Dataset], model_run: Output[Artifact], metrics: Output[Metrics],
):  # fmt: skip
    """Some of the classifiers of an experiment's table (see `train_grid`)."""
    given = locals()
    from lesiongan.steps import run_component, train_grid as step

    run_component(step, **given)


@component
def join_grid(
    options: str, seed: int, work_dir: str,
    parts: Input[List[Dataset]], part_runs: Input[List[Artifact]],
    predictions: Output[Dataset], model_run: Output[Artifact], metrics: Output[Metrics],
):  # fmt: skip
    """The parts of an experiment's table, which were trained side by side, as one."""
    given = locals()
    from lesiongan.steps import join_grid as step, run_component

    run_component(step, **given)
