"""Filter: the Path-Rank-Filter."""

from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def path_rank_filter(
    options: str, seed: int, work_dir: str,
    examples: Input[Dataset], model: Input[Model],
    selection: Output[Dataset], metrics: Output[Metrics],
    samples: Output[HTML],
):  # fmt: skip
    """Ranks the training images of the target class by the classifier's probability."""
    given = locals()
    from lesiongan.steps import path_rank_filter as step, run_component

    run_component(step, **given)
