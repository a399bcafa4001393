"""What each component executes: one module per step, plain paths and options in, files out.

A step is a module with `Options`, `OUTPUTS` (the names of what it writes) and `run(task)`.
"""

from lesiongan.steps.component import run_component

__all__ = ["run_component"]
