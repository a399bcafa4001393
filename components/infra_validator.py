"""InfraValidator: does each SavedModel serve?"""

from typing import List, Optional  # noqa: UP035 - kfp reads these

from kfp.dsl import Artifact, Input, Metrics, Model, Output

from components.base import component


@component
def infra_validator(
    options: str,
    seed: int,
    work_dir: str,
    classifier: Input[Model],
    models: Input[List[Model]],  # noqa: UP006
    blessing: Output[Artifact],
    metrics: Output[Metrics],
    acgan: Optional[Input[Model]] = None,  # noqa: UP045
):
    """Loads every model in a fresh process and asks it for an answer."""
    from lesiongan.steps import infra_validate as step
    from lesiongan.steps.step import execute

    given = [classifier, *([acgan] if acgan else []), *models]
    numbers = execute(
        step.run,
        step.Options,
        inputs={"models": [artifact.path for artifact in given]},
        outputs={"blessing": blessing.path},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
