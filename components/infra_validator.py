"""InfraValidator: does each SavedModel serve?"""

from typing import List, Optional

from kfp.dsl import Artifact, Input, Metrics, Model, Output

from components.base import component


@component
def infra_validator(
    options: str, seed: int, work_dir: str,
    classifier: Input[Model],
    blessing: Output[Artifact], metrics: Output[Metrics],
    models: Optional[Input[List[Model]]] = None,
    acgan: Optional[Input[Model]] = None, chained: Optional[Input[Model]] = None,
):  # fmt: skip
    """Loads every model in a fresh process and asks it for an answer."""
    given = locals()
    from lesiongan.steps import infra_validate as step, run_component

    run_component(step, **given)
