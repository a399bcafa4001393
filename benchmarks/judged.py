"""What benchmarks of generated images share: real images, one per lesion, as a judge sees them; lines of numbers."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from lesiongan.data import examples
from lesiongan.data.image_set import ImageSet
from lesiongan.data.lesions import first_of_each_lesion
from lesiongan.evaluation.feature_metrics import feature_scale, kernel_inception_distance, precision_recall
from lesiongan.evaluation.image_quality import image_quality
from lesiongan.evaluation.imagenet_judge import judge_of
from lesiongan.evaluation.judge import Judge
from lesiongan.serving import model_artifact

SHOWN = ("kid", "recall", "coverage")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that both benchmarks take."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("examples")
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--judge", action="append", default=[], metavar="imagenet|CLASSIFIER")
    arguments.add_argument("--grids", type=Path)
    return arguments


def one_per_lesion(directory: str, size: int, split: str) -> ImageSet:
    """The images of a split that are the first of their lesion: several of one would not be independent, and the
    intervals too narrow."""
    images = examples.load(directory, size, split)
    lesions = dict(zip(images.ids, examples.lesion_ids(directory, images.ids), strict=True))
    return images.take(first_of_each_lesion(images.ids, lesions))


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
    def of(cls, judge: str | Path, test: ImageSet, floor: ImageSet) -> Looks:
        network = judge_of(judge)
        seen = network.features(test.images)
        scale = feature_scale(seen)
        return cls(network, seen / scale, network.features(floor.images) / scale, scale)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self.judge.features(images) / self.scale

    def kid(self, features: np.ndarray, test_rows: np.ndarray) -> float:
        """KID of generated images by their features, to the test images in `test_rows`."""
        return kernel_inception_distance(self.test[test_rows], features)

    def recall(self, features: np.ndarray, test_rows: np.ndarray) -> float:
        """The share of the test images in `test_rows` that lie among the generated ones."""
        return precision_recall(self.test[test_rows], features)["recall"]

    def quality(self, features: np.ndarray, test_rows: np.ndarray, floor_rows: np.ndarray) -> dict:
        """`image_quality` of generated images by their features, beside the test images in `test_rows`, with the
        validation images in `floor_rows` as the floor."""
        return image_quality(self.test[test_rows], features, floor=self.floor[floor_rows])


def run_name(model: Path) -> str:
    """What rows call an exported model: its run's folder, where it is in its usual place `RUN/model/NAME`."""
    folder = model_artifact.find(model)
    return (folder.parents[1] if folder.parent.name == "model" else folder.parent).name


def line(name: str, images: tuple[int, int], quality: dict) -> str:
    values = (f"{metric} {_interval(quality[metric])}" for metric in SHOWN)
    return f"  {name:<28}{images[0]:>6} real {images[1]:>6} made   " + "   ".join(values)


def _interval(value: dict) -> str:
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
