"""Pusher: what is blessed twice goes to where it is served from."""

from typing import List, Optional

from kfp.dsl import Artifact, Input, Metrics, Model, Output

from components.base import component


@component
def pusher(
    options: str, seed: int, work_dir: str, models_dir: str,
    classifier: Input[Model], blessing: Input[Artifact], infra_blessing: Input[Artifact],
    pushed: Output[Artifact], metrics: Output[Metrics],
    models: Optional[Input[List[Model]]] = None,
    acgan: Optional[Input[Model]] = None, chained: Optional[Input[Model]] = None,
):  # fmt: skip
    """Copies each model that the Evaluator and the InfraValidator bless to `<models_dir>/<name>/<version>/`."""
    given = locals()
    from lesiongan.steps import push as step, run_component

    run_component(step, **given)
