"""A pipeline of three small steps, run for real by kfp's local engine: numbers -> their squares -> the sum.

    python toy_pipeline.py WORKDIR [MISCHIEF]

prints each step that ran, and what the launcher says. MISCHIEF is for `squares`: `killed` or `sleep`.
"""

import argparse
import sys
from pathlib import Path

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Output

from lesiongan.base.locks import held
from pipelines import local, workdir
from pipelines.cli import _guarded


@dsl.component(base_image="python")
def step(
    kind: str, mischief: str, options: str, seed: int, work_dir: str,
    made: Output[Dataset], metrics: Output[Metrics],
    given: Input[Dataset] = None,
):  # fmt: skip
    import dataclasses
    import os
    import signal
    import time
    import types

    from lesiongan.steps import run_component

    @dataclasses.dataclass(frozen=True)
    class Options:
        batch: int = 4

    def run(task):
        print("temporary folder", os.environ["TMPDIR"], flush=True)
        if mischief == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if mischief == "sleep":
            time.sleep(60)
        numbers = [1, 2, 3]
        if task.has("given"):
            numbers = [int(line) for line in (task.artifact("given") / "numbers.csv").read_text().split()]
        result = {"numbers": numbers, "squares": [n * n for n in numbers], "sum": [sum(numbers)]}[kind]
        task.outputs["made"].mkdir()
        (task.outputs["made"] / "numbers.csv").write_text("\n".join(map(str, result)))
        (task.outputs["made"] / "more").mkdir()
        (task.outputs["made"] / "more" / "bytes").write_bytes(bytes(range(256)))
        checkpoints = task.run_dir / "run" / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "one").write_text("x")
        return {"last": result[-1]}

    module = types.ModuleType(f"lesiongan.steps.{'push' if kind == 'sum' else 'join_sets'}")
    module.run, module.Options, module.OUTPUTS = run, Options, ("made",)
    values = {} if given is None else {"given": given}
    run_component(
        module, options=options, seed=seed, work_dir=work_dir, made=made, metrics=metrics, kind=kind, **values
    )


@dsl.pipeline(name="toy")
def toy(mischief: str = "none"):
    common = {"options": "{}", "seed": 0, "work_dir": "work"}
    numbers = step(kind="numbers", mischief="none", **common)
    squares = step(kind="squares", mischief=mischief, given=numbers.outputs["made"], **common)
    step(kind="sum", mischief="none", given=squares.outputs["made"], **common)


def main(place: str, mischief: str = "none") -> int:
    return _guarded(argparse.Namespace(run=lambda arguments: launch(Path(place).resolve(), mischief)))


def launch(where: Path, mischief: str) -> None:
    config = {"cyclegan": {"batch": 4, "size": 48}}
    with held(where):
        workdir.sweep(where)
        record = local.run(lambda: toy(mischief=mischief), "toy", where, {"command": "toy", "config": config})
    for row in record.data["steps"]:
        print("step", row["name"], row["status"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
