"""The Evaluator, and the limits of its blessings."""

from __future__ import annotations

import dataclasses
from typing import Literal

from lesiongan.config.checks import at_least, known_choices, require, within


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluator and the limits of its blessings."""

    confidence: float = 0.95  # of all intervals
    resamples: int = 2000  # of the bootstrap over lesions
    # share of generated images that the classifier must call their intended class for a generator to be blessed
    min_agreement: float = 0.0
    max_kid: float = 0.0  # the highest KID of a generator that is blessed; 0: no limit
    # a generator is blessed only where it beats what there was before it, in MMD and in agreement: the images that it
    # was given, for images from noise real images of the other classes
    beat_before: bool = True
    min_diversity: float = 0.5  # of the class whose images differ least, as a share of what real ones do; 0: no limit
    # share of generated images that may be nearly a training image, above that of held-out real ones; 1: no limit
    max_copies: float = 0.01
    # the search for remembered training images: `off`; `pictures`, by structure and perceptual hash; `features`, also
    # in the features of EfficientNet-Lite2, which no training uses (the extra `imagenet`)
    audit: Literal["off", "pictures", "features"] = "pictures"
    # share of held-out real images that the search may suspect; also by it are copies withheld (grid.withhold_copies)
    false_alarms: float = 0.01
    # images seen by each classifier that is trained on generated images alone, and on as many real ones, and tested on
    # real ones (classification accuracy score); 0: none is trained
    accuracy_score_images: int = 0
    max_latency: float = 0.0  # seconds of a served answer to two pictures, after the first; 0: no limit
    max_memory: float = 0.0  # GB of a process that serves a model; 0: no limit

    def __post_init__(self):
        known_choices(self, "evaluation")
        require(0.0 < self.false_alarms < 1.0, "evaluation.false_alarms", f"{self.false_alarms} is not between 0 and 1")
        require(0.0 < self.confidence < 1.0, "evaluation.confidence", f"{self.confidence} is not between 0 and 1")
        at_least(self, "evaluation", 1, ("resamples",))
        at_least(self, "evaluation", 0, ("max_kid", "max_latency", "max_memory", "accuracy_score_images"))
        within(self, "evaluation", 0.0, 1.0, ("min_agreement", "min_diversity", "max_copies"))
