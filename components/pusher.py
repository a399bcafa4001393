"""Pusher: what is blessed twice goes to where it is served from."""

from typing import List, Optional  # noqa: UP035 - kfp reads these

from kfp.dsl import Artifact, Input, Metrics, Model, Output

from components.base import component


@component
def pusher(
    options: str,
    seed: int,
    work_dir: str,
    models_dir: str,
    classifier: Input[Model],
    models: Input[List[Model]],  # noqa: UP006
    blessing: Input[Artifact],
    infra_blessing: Input[Artifact],
    pushed: Output[Artifact],
    metrics: Output[Metrics],
    acgan: Optional[Input[Model]] = None,  # noqa: UP045
):
    """Copies each model that the Evaluator and the InfraValidator bless to `<models_dir>/<name>/<version>/`."""
    from lesiongan.steps import push as step
    from lesiongan.steps.step import execute

    given = [classifier, *([acgan] if acgan else []), *models]
    numbers = execute(
        step.run,
        step.Options,
        inputs={
            "models": [artifact.path for artifact in given],
            "blessing": blessing.path,
            "infra_blessing": infra_blessing.path,
        },
        outputs={"pushed": pushed.path},
        parameters={"models_dir": models_dir},
        options=options,
        seed=seed,
        work_dir=work_dir,
        metrics=metrics.path,
    )
    metrics.metadata.update(numbers)
