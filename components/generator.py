"""Generator: images from noise, images from images, and images made elsewhere."""

from typing import List, Optional

from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def sample_images(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], model: Input[Model],
    references: Output[Dataset], generated: Output[Dataset], metrics: Output[Metrics],
    samples: Output[HTML],
):  # fmt: skip
    """The ACGAN's images: those that the CycleGANs learn from, and fresh ones."""
    given = locals()
    from lesiongan.steps import run_component, sample_images as step

    run_component(step, **given)


@component
def translate_images(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], model: Input[Model],
    generated: Output[Dataset], metrics: Output[Metrics],
    samples: Output[HTML],
    sampled: Optional[Input[Dataset]] = None,
):  # fmt: skip
    """The CycleGANs' images: nevi as melanomas, or (with `sampled`) the ACGAN's images refined."""
    given = locals()
    from lesiongan.steps import run_component, translate_images as step

    run_component(step, **given)


@component
def chain_generators(
    options: str, seed: int, work_dir: str,
    acgan: Input[Model], models: Input[List[Model]],
    model: Output[Model], metrics: Output[Metrics],
):  # fmt: skip
    """The ACGAN and the CycleGANs that refine its images as one model."""
    given = locals()
    from lesiongan.steps import chain_generators as step, run_component

    run_component(step, **given)


@component
def import_synthetic(
    options: str, seed: int, work_dir: str, fingerprint: str,
    examples: Input[Dataset],
    generated: Output[Dataset], metrics: Output[Metrics],
):  # fmt: skip
    """Images made elsewhere as Examples, after a look for copies of the real images that are held out."""
    given = locals()
    from lesiongan.steps import import_synthetic as step, run_component

    run_component(step, **given)


@component
def join_sets(
    options: str, seed: int, work_dir: str,
    generated: Output[Dataset], metrics: Output[Metrics],
    parts: Optional[Input[List[Dataset]]] = None,
    sampled: Optional[Input[Dataset]] = None, imported: Optional[Input[Dataset]] = None,
):  # fmt: skip
    """All generated images as one artifact."""
    given = locals()
    from lesiongan.steps import join_sets as step, run_component

    run_component(step, **given)
