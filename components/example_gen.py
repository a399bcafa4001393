"""ExampleGen: raw images -> Examples."""

from kfp.dsl import Dataset, Metrics, Output

from components.base import component


@component
def example_gen(
    data: str,
    fingerprint: str,
    options: str,
    seed: int,
    work_dir: str,
    examples: Output[Dataset],
    metrics: Output[Metrics],
):
    """Reads a source, splits it and writes it as TFDS datasets. `fingerprint` is of the files, so that the cache
    sees a change."""
    from lesiongan.steps import example_gen as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={},
        outputs={"examples": examples.path},
        parameters={"data": data, "fingerprint": fingerprint},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
