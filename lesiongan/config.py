"""Every option of the project, as frozen dataclasses; presets (`pipelines.presets`) fill them in.

Two axes are never mixed: a *recipe* says what the algorithm is, a *scale* says how large. Budgets are counted in images
seen (`images`), so that a schedule scales with them; 0 means that `epochs` decides.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from lesiongan.errors import UsageError

T = typing.TypeVar("T")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """ExampleGen."""

    kind: str = ""  # the layout of the source, a name of `lesiongan.data.sources.KINDS`; "" finds it from the files
    split: str = "by_lesion"  # by_image, by_lesion, or the path of a CSV of image, split that is taken as it is
    join_near_duplicates: bool = True  # by_lesion: nearly the same pictures stay on one side, whatever their lesion_id
    validation: float = 0.1  # share of the images
    test: float = 0.1  # share of the images
    resize: Literal["squash", "crop", "pad"] = "squash"  # how a picture becomes a square
    exact_resize: bool = (
        True  # from the fully decoded image; False lets the JPEG decoder scale first (DCT), much faster
    )
    max_unusable: float = 0.01  # share of the files there that may be unusable before the run fails
    allow_missing: bool = False  # allow more than half of the rows to have no image
    diagnoses: str = ""  # a CSV of diagnosis, class in place of the built-in table; for sources with diagnoses in words
    further_tests: tuple[str, ...] = ()  # more test sets: sources of their own, each a split of its own
    by_source: tuple[str, ...] = ()  # beginnings of lesion ids (HAM,BCN): split the first, test on each other one too
    source_minimum: int = 30  # images of a class that each part of `by_source` must have; other classes are left out
    phantoms: int = 1600  # how many phantoms to draw, where the source is `phantoms`
    phantom_size: int = 96  # pixels of a drawn phantom


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """The lesion classifier (the paper, section 2; fastai's recipe)."""

    backbone: Literal["resnet50", "efficientnet_lite0"] = "resnet50"
    weights: str = "none"  # `imagenet`, `none`, or the path of a weights file
    stem: Literal["imagenet", "small"] = "imagenet"  # `small`: 3 x 3 stride 2 without pooling, for 64 px or less
    width: float = 1.0  # factor on the backbone's filters; 1 is ResNet50, less is for a first look on a small machine
    size: int = 224  # pixels
    batch: int = 64
    epochs: float = 10.0
    images: int = 0  # budget in images seen; 0: `epochs` decides
    schedule: Literal["one_cycle", "fine_tune"] = "one_cycle"  # fine_tune: fastai's, first the head alone
    frozen_epochs: float = 1.0  # of fine_tune; a third of all steps at most
    rate_multiplier: float = 100.0  # of fine_tune: the head's rate over the first stages'
    learning_rate: float = 1e-3  # the peak of 1cycle; fine_tune: of the frozen phase, half of it in the other
    find_learning_rate: bool = False  # run the finder first and use its `steep` suggestion as the peak
    weight_decay: float = 0.01  # decoupled; none on batch norm and biases
    flips: bool = True
    rotations: bool = True  # by quarter turns
    angle: float = 0.0  # degrees; rotate at random by up to as much, on top of the quarter turns
    zoom: float = 0.0  # enlarge at random by up to this share, about a random place
    colour: float = 0.0  # strength of random brightness, contrast and saturation
    class_balance: Literal["none", "loss", "sampling"] = "none"
    balance_power: float = 1.0  # of class_balance: 1 makes all classes weigh the same, 0.5 goes half the way
    label_smoothing: float = 0.0
    mixup: float = 0.0  # alpha of the Beta distribution; fastai's 0.4
    focal: float = 0.0  # gamma of the focal loss
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"  # mixed_float16 is for GPUs
    tta: bool = False  # test-time augmentation: probabilities are means over the square's eight symmetries


@dataclasses.dataclass(frozen=True)
class ACGANConfig:
    """Noise + class -> image (Odena et al. 2017)."""

    size: int = 128  # pixels
    latent: int = 110
    batch: int = 100
    epochs: float = 200.0
    images: int = 0  # budget in images seen by the discriminator; 0: `epochs` decides
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    aux_on_fake: bool = False  # train the class head on generated images too
    ema: float = 0.0  # decay of the averaged generator that is exported; 0: none
    balanced: bool = False  # draw real images with equal probability for every class
    flip: bool = False  # mirror real images left-right at random
    networks: Literal["paper", "residual"] = "paper"  # residual: blocks, class-conditional batch norm
    width: float = 1.0  # factor on the networks' filters
    dropout: float = 0.5  # rate in the paper's discriminator, after each of its layers
    loss: Literal["cross_entropy", "hinge"] = "cross_entropy"  # of the source, real or generated
    label_smoothing: float = 0.0  # the target for real images is 1 less this; never on the class
    discriminator_rate: float = 0.0  # the discriminator's own learning rate; 0: the generator's
    spectral_norm: bool = False  # of the discriminator's kernels
    r1: float = 0.0  # gamma of the R1 penalty on the discriminator's slope at real images; 0: none
    r1_every: int = 16  # steps from one R1 penalty to the next, which counts for all of them
    augment: bool = False  # differentiable augmentation of real and generated images alike
    ada_target: float = 0.0  # of augment: E[sign(D(real))] that steers how often (ADA's 0.6); 0: always
    ada_images: int = 500_000  # images seen while that probability goes from 0 to 1
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"  # mixed_float16 is for GPUs
    xla: bool = False  # compile the whole step by XLA, for GPUs
    measure_every_images: int = 0  # images seen between two measurements; 0: a twentieth of the training
    export: Literal["last", "best"] = "last"  # best: the weights of the lowest KID that was measured
    patience: int = 0  # end the training when KID has not improved for so many measurements; 0: never


@dataclasses.dataclass(frozen=True)
class CycleGANConfig:
    """X -> Y without pairs (Zhu et al. 2017)."""

    size: int = 256  # pixels
    blocks: int = 9  # residual blocks; 6 at 128 px and below
    filters: int = 64  # ngf
    discriminator_filters: int = 64  # ndf
    batch: int = 1
    epochs: float = 200.0  # half at a constant rate, half towards 0
    images: int = 0  # budget in images of X seen; 0: `epochs` decides, at most `max_steps`
    max_steps: int = 267_000  # horse2zebra's 200 x 1,334; the cap of an epoch budget
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    cycle: float = 10.0  # lambda of the cycle-consistency loss
    identity: float = 0.0  # share of lambda on the identity loss; the reference's 0.5
    pool: int = 50  # generated images kept per domain for the discriminators
    upsampling: Literal["transposed", "resize"] = "transposed"
    crop: bool = False  # resize to size * 286 / 256, then a random crop
    flip: bool = True
    ema: float = 0.0  # decay of the averaged generator that is exported; 0: none
    spectral_norm: bool = False  # of the discriminators' kernels, in place of their instance norm
    augment: bool = False  # differentiable augmentation before the discriminators, real and generated images alike
    discriminator_scales: int = 1  # discriminators a domain, each at half the size of the one before
    discriminator_rate: float = 0.0  # the discriminators' own learning rate; 0: the generators'
    accumulate: int = 1  # parts of a batch that are computed one after the other, for less memory
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"  # mixed_float16 is for GPUs
    xla: bool = False  # compile the whole step by XLA, for GPUs
    measure_every_images: int = 0  # images seen between two measurements; 0: a twentieth of the training
    export: Literal["last", "best"] = "last"  # best: the weights of the lowest KID that was measured
    patience: int = 0  # end the training when KID has not improved for so many measurements; 0: never


@dataclasses.dataclass(frozen=True)
class NevusToMelanomaConfig:
    """Experiment 2."""

    source: str = "NV"
    target: str = "MEL"
    alphas: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)
    folds: int = 0  # Path-Rank-Filter by out-of-fold scores of so many folds; 0: by the classifier's own scores
    amounts: tuple[int, ...] = (500, 1000, 2000, 3000, 4000, 5000, 6000, 7000)


@dataclasses.dataclass(frozen=True)
class NoiseToLesionConfig:
    """Experiment 1."""

    classes: tuple[str, ...] = ()  # the classes that get a CycleGAN; empty: all
    amounts: tuple[int, ...] = (2000, 4000, 8000, 16000, 24000)
    distribution: Literal["equal", "proportional", "levelling"] = "equal"  # of an amount over the classes
    with_validation: bool = False  # build the GANs on training AND validation images, as the paper did


@dataclasses.dataclass(frozen=True)
class GridConfig:
    """The classifiers of an experiment's table: one a cell and seed."""

    seeds: int = 1
    budget: Literal["equal_epochs", "equal_steps"] = "equal_steps"
    warm_start: bool = False  # each seed trains once on real images; every cell goes on from there for equal steps
    images: int = 0  # budget of a cell in images seen; 0: as the classifier's own
    learning_rate: float = 0.0  # peak of a cell's 1cycle; 0: as the classifier's own
    synthetic_weight: float = (
        1.0  # how often an added image is drawn, beside 1 for a real one; at 1 epochs are permutations
    )
    controls: tuple[
        Literal["equal_steps", "oversampling", "class_weights", "augmentation", "synthetic_only", "acgan_resolution"],
        ...,
    ] = ()  # further classifiers at the same numbers of steps, counted apart (`lesiongan.grid`)
    synthetic: tuple[str, ...] = ()  # images made elsewhere: sources of their own, cells beside the GANs'
    synthetic_copies: Literal["refuse", "drop"] = "refuse"  # what to do with those that copy a real test image


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluator and the limits of its blessings."""

    confidence: float = 0.95
    resamples: int = 2000
    min_agreement: float = 0.0  # share of generated images that the classifier must call their intended class
    max_kid: float = 0.0  # 0: no limit


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that a run depends on, apart from the data and the seed."""

    recipe: Literal["paper", "best"] = "best"
    scale: Literal["demo", "small", "full"] = "demo"
    data: DataConfig = DataConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    acgan: ACGANConfig = ACGANConfig()
    cyclegan: CycleGANConfig = CycleGANConfig()
    nevus_to_melanoma: NevusToMelanomaConfig = NevusToMelanomaConfig()
    noise_to_lesion: NoiseToLesionConfig = NoiseToLesionConfig()
    grid: GridConfig = GridConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


def to_json(config: Any) -> str:
    """The canonical JSON of a configuration: the same text for the same values (it is part of cache keys)."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, separators=(",", ":"))


def from_json(cls: type[T], text: str) -> T:
    return from_dict(cls, json.loads(text))


def from_dict(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """A dataclass from nested dicts; an unknown key or a value of the wrong type raises `UsageError`."""
    return update(cls(), data, where)


def update(config: T, data: Mapping[str, Any], where: str = "") -> T:
    """A copy of `config` with the values of nested dicts put in; unknown keys and wrong types raise `UsageError`."""
    hints = typing.get_type_hints(type(config))
    changes = {}
    for key, value in data.items():
        name = f"{where}{key}"
        if key not in hints:
            known = ", ".join(f"{where}{k}" for k in hints)
            raise UsageError(f"unknown option {name!r}; known here: {known}")
        old = getattr(config, key)
        if dataclasses.is_dataclass(old):
            if not isinstance(value, Mapping):
                raise UsageError(f"option {name!r} is a group of options, not one value; set {name}.KEY=VALUE")
            changes[key] = update(old, value, f"{name}.")
        else:
            changes[key] = _typed(value, hints[key], name)
    return dataclasses.replace(config, **changes)


def assign(config: T, assignment: str) -> T:
    """A copy of `config` with one `dotted.key=value` put in, the value parsed by the option's type."""
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {assignment!r}: write it as key=value, for example cyclegan.images=2000")
    data: Any = text.strip()
    for part in reversed(key.strip().split(".")):
        data = {part: data}
    return update(config, data)


def _typed(value: Any, hint: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise UsageError(f"option {name!r}: {value!r} is none of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"option {name!r}: give a list separated by commas, got {value!r}")
        return tuple(_typed(part, arguments[0], name) for part in value)
    if origin in (typing.Union, types.UnionType):
        raise TypeError(f"option {name!r} has a union type, which the command line cannot parse")
    try:
        if hint is bool:
            if isinstance(value, bool):
                return value
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]
        if hint is int:
            number = float(str(value).replace("_", ""))
            if number != int(number):
                raise ValueError(value)
            return int(number)
        if hint is float:
            top, _, bottom = str(value).partition("/")  # alphas are written 1/8
            number = float(top) / float(bottom) if bottom else float(top)
            if not math.isfinite(number):
                raise ValueError(value)
            return number
    except (ValueError, KeyError, OverflowError, ZeroDivisionError):
        raise UsageError(f"option {name!r}: {value!r} is not of type {hint.__name__}") from None
    if not isinstance(value, hint):
        raise UsageError(f"option {name!r}: {value!r} is not of type {hint.__name__}")
    return value
