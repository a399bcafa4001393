"""Filter: the Path-Rank-Filter."""

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components.base import component


@component
def path_rank_filter(
    options: str,
    seed: int,
    work_dir: str,
    examples: Input[Dataset],
    model: Input[Model],
    selection: Output[Dataset],
    metrics: Output[Metrics],
):
    """Ranks the training images of the target class by the classifier's probability."""
    from lesiongan.steps import path_rank_filter as step
    from lesiongan.steps.step import execute

    numbers = execute(
        step.run,
        step.Options,
        inputs={"examples": examples.path, "model": model.path},
        outputs={"selection": selection.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
