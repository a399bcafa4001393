"""What the benchmarks of generated images share: real images, one a lesion, as a judge sees them; lines of numbers."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.evaluation.feature_metrics import feature_scale
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.evaluation.imagenet_judge import judge_of
from lesiongan.evaluation.judge import Judge

SHOWN = ("kid", "recall", "coverage")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that both benchmarks take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("examples")
    made.add_argument("models", nargs="+", type=Path)
    made.add_argument("--judge", action="append", default=[], metavar="imagenet|CLASSIFIER")
    made.add_argument("--grids", type=Path)
    return made


def one_a_lesion(directory: str, size: int, split: str) -> ImageSet:
    """The images of a split that are the first of their lesion: several of one would not be independent, and the
    intervals too narrow."""
    images = examples.load(directory, size, split)
    lesions = examples.lesion_ids(directory, images.ids)
    keys = [lesion or f" {image}" for lesion, image in zip(lesions, images.ids, strict=True)]
    return images.take(np.sort(np.unique(keys, return_index=True)[1]))


@dataclasses.dataclass(frozen=True)
class Looks:
    """Real images as a judge sees them.

    Attributes:
        judge: whose features.
        test, floor: features `[n, d]` of the test images, and of the validation images that are the floor: the judge
            has seen neither (the training images it knows by heart).
        scale: one for all features: their root mean square over test images, of all classes.
    """

    judge: Judge
    test: np.ndarray
    floor: np.ndarray
    scale: float

    @classmethod
    def of(cls, judge: str, test: ImageSet, floor: ImageSet) -> Looks:
        eyes = judge_of(judge)
        seen = eyes.features(test.images)
        scale = feature_scale(seen)
        return cls(eyes, seen / scale, eyes.features(floor.images) / scale, scale)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.judge.features(images) / self.scale

    def quality(self, made: np.ndarray, among: np.ndarray, held: np.ndarray) -> dict:
        """`image_quality` of features `made` beside the test images at the places `among`, with the validation images
        at `held` as the floor."""
        return image_quality(self.test[among], made, floor=self.floor[held])


def run_name(model: Path) -> str:
    """What rows call an exported model: its run's folder, where it stands in its usual place `RUN/model/NAME`."""
    return (model.parents[1] if model.parent.name == "model" else model.parent).name


def line(name: str, images: tuple[int, int], found: dict) -> str:
    values = (f"{metric} {_interval(found[metric])}" for metric in SHOWN)
    return f"  {name:<28}{images[0]:>6} real {images[1]:>6} made   " + "   ".join(values)


def _interval(value: dict) -> str:
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
