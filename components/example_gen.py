"""ExampleGen: raw images -> Examples."""

from kfp.dsl import HTML, Dataset, Metrics, Output

from components.base import component


@component
def example_gen(
    options: str, seed: int, work_dir: str, data: str, fingerprint: str,
    examples: Output[Dataset], metrics: Output[Metrics],
    samples: Output[HTML],
):  # fmt: skip
    """Reads a source, splits it and writes it as TFDS datasets. `fingerprint` is of the files, so that the cache
    sees a change."""
    given = locals()
    from lesiongan.steps import example_gen as step, run_component

    run_component(step, **given)
