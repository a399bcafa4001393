"""The network of an exported CycleGAN, made again from the variables of its export."""

from __future__ import annotations

from lesiongan.base.errors import UsageError
from lesiongan.models.cyclegan.networks import ResNetGenerator
from lesiongan.serving.saved_models import Served


def trained_generator(served: Served) -> ResNetGenerator:
    """The trained ResNet generator, in the plain form.

    Raises:
        UsageError: exported by a version that kept no variables, or of another architecture.
    """
    # `NETWORK/BLOCK/WEIGHT:0`; what the network is called does not matter
    values = {variable.name.partition("/")[2].removesuffix(":0"): variable for variable in _variables(served)}
    if "stem/kernel" not in values:
        raise UsageError(f"{served.record['name']}: exported by an earlier version; export the model again")
    generator = ResNetGenerator(
        served.size,
        filters=values["stem/kernel"].shape[-1],
        blocks=sum(name.endswith("/first") for name in values),
        upsampling=served.record.get("config", {}).get("upsampling", "transposed"),
    )
    for weight in generator.weights:
        weight.assign(values[weight.path.partition("/")[2]])
    return generator


def _variables(served: Served) -> list:
    return list(getattr(served.module, "held", ()))
