"""Generator: images from noise, images from images, and images made elsewhere."""

from typing import List, Optional  # noqa: UP035 - kfp reads these

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def sample_images(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Input[Model],
    references: Output[Dataset],
    generated: Output[Dataset],
    metrics: Output[Metrics],
):
    """The ACGAN's images: those that the CycleGANs learn from, and fresh ones."""
    from lesiongan.steps import sample_images as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path, "model": model.path},
        outputs={"references": references.path, "generated": generated.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def translate_images(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Input[Model],
    generated: Output[Dataset],
    metrics: Output[Metrics],
    sampled: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """The CycleGANs' images: nevi as melanomas, or (with `sampled`) the ACGAN's images refined."""
    from lesiongan.steps import translate_images as step
    from lesiongan.steps.step import execute

    inputs = {"examples": examples.path, "model": model.path}
    if sampled:
        inputs["generated"] = sampled.path
    numbers = execute(
        step.run,
        step.Options,
        inputs=inputs,
        outputs={"generated": generated.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def import_synthetic(
    options: str,
    fingerprint: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    generated: Output[Dataset],
    metrics: Output[Metrics],
):
    """Images made elsewhere as Examples, after a look for copies of the real images that are held out."""
    from lesiongan.steps import import_synthetic as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path},
        outputs={"generated": generated.path},
        parameters={"fingerprint": fingerprint},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)


@component
def join_sets(
    options: str,
    seed: int,
    work_dir: str,
    parts: Input[List[Dataset]],  # noqa: UP006
    generated: Output[Dataset],
    metrics: Output[Metrics],
    sampled: Optional[Input[Dataset]] = None,  # noqa: UP045
    imported: Optional[Input[Dataset]] = None,  # noqa: UP045
):
    """All generated images as one artifact."""
    from lesiongan.steps import join_sets as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"generated": [artifact.path for artifact in (*parts, sampled, imported) if artifact]},
        outputs={"generated": generated.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
