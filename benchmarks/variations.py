"""The recipes that are screened, and their variations: one change each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

ACGAN = (
    "acgan.size=64 acgan.batch=32 acgan.latent=72 acgan.networks=projected acgan.loss=hinge acgan.beta_1=0.0 "
    "acgan.class_weight=0.1 acgan.aux_on_fake=false acgan.ema=0.999 acgan.balanced=true acgan.flip=true "
    "acgan.augment=true acgan.augment_colour=false acgan.augment_cutout=0.25"
)
CYCLEGAN = (
    "cyclegan.size=64 cyclegan.generator=additive cyclegan.discriminator=projected cyclegan.filters=24 "
    "cyclegan.blocks=3 cyclegan.batch=16 cyclegan.beta_1=0.0 cyclegan.cycle=5 cyclegan.identity=0 cyclegan.pool=0 "
    "cyclegan.augment=true cyclegan.augment_colour=false cyclegan.augment_cutout=0.25 cyclegan.ema=0.999 "
    "cyclegan.decay=false cyclegan.match_sources=true"
)


class Variation(NamedTuple):
    """A change of the recipe.

    Attributes:
        says: what it is, for the table.
        options: assignments beside the recipe's.
        without: a part of the code that is taken away or exchanged while it trains.
    """

    says: str
    options: str = ""
    without: Callable[[], Any] = contextlib.nullcontext


@contextlib.contextmanager
def _no_pairs() -> Iterator[None]:
    import tensorflow as tf

    from lesiongan.models.acgan import projected

    with mock.patch.object(projected, "partners_of", lambda labels: tf.range(tf.size(labels))):
        yield


@contextlib.contextmanager
def _norms_know_the_class_alone() -> Iterator[None]:
    from lesiongan.models.acgan.projected import ProjectedGenerator

    with mock.patch.object(ProjectedGenerator, "NOISE_IN_NORMS", False):
        yield


@contextlib.contextmanager
def _no_colour_map() -> Iterator[None]:
    from lesiongan.models.projected.features import FrozenFeatures

    shapes, look = FrozenFeatures.shapes.fget, FrozenFeatures.__call__
    with (
        mock.patch.object(FrozenFeatures, "shapes", property(lambda self: shapes(self)[:-1])),
        mock.patch.object(FrozenFeatures, "__call__", lambda self, images: look(self, images)[:-1]),
    ):
        yield


@contextlib.contextmanager
def _fine_map() -> Iterator[None]:
    import tensorflow as tf

    from lesiongan.models.projected.features import FrozenFeatures

    shapes, look = FrozenFeatures.shapes.fget, FrozenFeatures.__call__

    def seen(self, images):
        return [*look(self, images), tf.cast(tf.nn.space_to_depth(images, 2), self.compute)]

    with (
        mock.patch.object(FrozenFeatures, "shapes", property(lambda self: [*shapes(self), (self.size // 2, 12)])),
        mock.patch.object(FrozenFeatures, "__call__", seen),
    ):
        yield


@contextlib.contextmanager
def _bilinear() -> Iterator[None]:
    import tensorflow as tf

    from lesiongan.models.acgan import residual

    convolve = residual.resize_convolution

    def smoothed(*given, **options):  # weights 1 2 1 along each axis, which take a pixel on each side
        return tf.nn.avg_pool2d(tf.nn.avg_pool2d(convolve(*given, **options), 2, 1, "VALID"), 2, 1, "VALID")

    with (
        mock.patch.object(residual.ResidualGenerator, "MARGIN", 3),
        mock.patch.object(residual, "resize_convolution", smoothed),
    ):
        yield


@contextlib.contextmanager
def _repeated_shortcuts() -> Iterator[None]:
    import tensorflow as tf

    from lesiongan.models.acgan import residual

    with mock.patch.object(residual, "doubled", lambda x: tf.repeat(tf.repeat(x, 2, 1), 2, 2)):
        yield


@contextlib.contextmanager
def _no_projection() -> Iterator[None]:
    from lesiongan.models.acgan import projected
    from lesiongan.models.projected.heads import Heads

    class Unconditional(Heads):
        def __init__(self, shapes, num_classes=0, **options):
            super().__init__(shapes, **options)

    with mock.patch.object(projected, "Heads", Unconditional):
        yield


def _heads_of_width(width: float) -> Callable[[], Any]:
    @contextlib.contextmanager
    def patched() -> Iterator[None]:
        from lesiongan.models.projected import heads

        with mock.patch.dict(heads.WIDTHS, {side: round(width * filters) for side, filters in heads.WIDTHS.items()}):
            yield

    return patched


_ACGAN = {
    "recipe": Variation("the recipe"),
    "heads-0.5": Variation("heads half as wide", without=_heads_of_width(0.5)),
    "class-0.3": Variation("class loss 0.3", "acgan.class_weight=0.3"),
    "batch-64": Variation("batch 64", "acgan.batch=64"),
    "features-96": Variation("features look at 96 px", "acgan.look_size=96"),
    "rate-4e-4": Variation("rate 4e-4", "acgan.learning_rate=4e-4"),
    "decay": Variation("rates towards 0 in the second half", "acgan.decay=true"),
    "no-pairs": Variation("images alone, not in pairs", without=_no_pairs),
    "no-noise-in-norms": Variation("norms know the class alone", without=_norms_know_the_class_alone),
    "no-colour": Variation("no map of colours", without=_no_colour_map),
    "fine": Variation("and the picture itself as a map, blocks of 2 x 2 as channels", without=_fine_map),
    "bilinear": Variation("bilinear doubling in the generator's convolutions too", without=_bilinear),
    "repeated-shortcuts": Variation("the generator's shortcuts repeat pixels", without=_repeated_shortcuts),
    "no-projection": Variation("no embedding of the class in the logits", without=_no_projection),
    "no-class-loss": Variation("class loss 0 in the generator", "acgan.class_weight=0"),
    "class-1": Variation("class loss 1", "acgan.class_weight=1"),
    "aux-on-fake": Variation("class head learns from generated images too", "acgan.aux_on_fake=true"),
    "batch-16": Variation("batch 16", "acgan.batch=16"),
    "features-128": Variation("features look at 128 px", "acgan.look_size=128"),
    "latent-40": Variation("32 numbers of noise", "acgan.latent=40"),
    "latent-136": Variation("128 numbers of noise", "acgan.latent=136"),
    "width-0.7": Variation("all widths x 0.7", "acgan.width=0.7"),
    "width-1.4": Variation("all widths x 1.4", "acgan.width=1.4"),
    "no-augment": Variation("no augmentation", "acgan.augment=false"),
    "colour": Variation("colours augmented too", "acgan.augment_colour=true"),
    "cutout-0.5": Variation("cutout of half the side", "acgan.augment_cutout=0.5"),
    "no-cutout": Variation("no cutout", "acgan.augment_cutout=0"),
    "ema-0.998": Variation("average over half as many steps", "acgan.ema=0.998"),
    "ema-0.9995": Variation("average over twice as many steps", "acgan.ema=0.9995"),
    "rate-1e-4": Variation("rate 1e-4", "acgan.learning_rate=1e-4"),
    "cross-entropy": Variation("cross-entropy in place of hinge", "acgan.loss=cross_entropy"),
}

_CYCLEGAN = {
    "recipe": Variation("the recipe"),
    "negatives": Variation(
        "discriminators learn to tell the other side's real images apart too", "cyclegan.negatives=true"
    ),
    "negatives-cycle-2": Variation("the same with cycle weight 2", "cyclegan.negatives=true cyclegan.cycle=2"),
    "features-96": Variation("features look at 96 px", "cyclegan.look_size=96"),
    "cycle-2": Variation("cycle weight 2", "cyclegan.cycle=2"),
    "cycle-10": Variation("cycle weight 10", "cyclegan.cycle=10"),
    "identity": Variation("identity loss 0.5", "cyclegan.identity=0.5"),
    "decay": Variation("rate towards 0 in the second half", "cyclegan.decay=true"),
    "any-source": Variation("nevi of any source", "cyclegan.match_sources=false"),
    "patches": Variation("the PatchGAN in place of features", "cyclegan.discriminator=patch"),
    "resnet": Variation("the ResNet generator in place of the additive one", "cyclegan.generator=resnet"),
    "batch-8": Variation("batch 8", "cyclegan.batch=8"),
    "filters-32": Variation("32 filters", "cyclegan.filters=32"),
    "filters-16": Variation("16 filters", "cyclegan.filters=16"),
    "rate-4e-4": Variation("rate 4e-4", "cyclegan.learning_rate=4e-4"),
    "generator-rate-1e-4": Variation(
        "rate of the generators 1e-4", "cyclegan.learning_rate=1e-4 cyclegan.discriminator_rate=2e-4"
    ),
    "no-augment": Variation("no augmentation", "cyclegan.augment=false"),
}

OF = {"acgan": _ACGAN, "cyclegan": _CYCLEGAN}
RECIPES = {"acgan": ACGAN, "cyclegan": CYCLEGAN}
