"""Every option of the project, as frozen dataclasses that check their own values: one module per group.

Two axes are never mixed: a *recipe* says what the algorithm is, a *scale* says how large; presets (`pipelines.presets`)
fill both in. Budgets are counted in images seen (`images`), so that a schedule scales with them; 0 means that `epochs`
decides.

This file imports none of them: what a component depends on is followed through its imports (`base.code_version`), and a
new option of the report must not reach a training.
"""

from lesiongan.base.moved import face

__getattr__ = face(
    __name__,
    {
        "ACGANConfig": "acgan",
        "ClassifierConfig": "classifier",
        "Config": "run",
        "CycleGANConfig": "cyclegan",
        "DataConfig": "data",
        "EvaluationConfig": "evaluation",
        "GridConfig": "grid",
        "NevusToMelanomaConfig": "experiments",
        "NoiseToLesionConfig": "experiments",
        **dict.fromkeys(("assign", "from_dict", "from_json", "to_json", "update"), "reader"),
    },
)
