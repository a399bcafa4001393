"""Failures of GANs, noticed in the numbers of a training and reported: what it is, since when, what to try.

A rule looks at one number or two. It warns once, when it has held in every line for a share of the training, so that
neither the start of a training nor a bad moment counts as a failure.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from lesiongan.base.progress import say
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.training.lines import Lines
from lesiongan.training.run import Run, TrainingCallback

WARNINGS = "warnings.jsonl"
_LEAST = 20  # steps for which anything must have held: of a training of twenty nothing can be said


@dataclasses.dataclass(frozen=True)
class Rule:
    """One failure.

    Attributes:
        names: the numbers that it looks at; lines without all of them say nothing.
        fails: whether numbers, in the order of `names`, show it.
        lasting: for what share of the training it must have held.
        what: what it is; `{}` stands for the numbers, in the order of `names`.
        advice: what to try.
    """

    names: tuple[str, ...]
    fails: Callable[..., bool]
    lasting: float
    what: str
    advice: str


class FailureWatch:
    """Judges the recorded numbers of one training; for `WatchFailures`.

    Args:
        rules: see `cyclegan_rules` and `acgan_rules`.
        steps: of the whole training.
    """

    def __init__(self, rules: Sequence[Rule], steps: int):
        self.rules, self.steps = rules, steps
        self._since: dict[Rule, int] = {}
        self._said: set[Rule] = set()

    def __call__(self, step: int, values: Mapping[str, float]) -> list[str]:
        """Warnings that the numbers of a step bring, each once in a training; called with rising steps."""
        warnings = []
        for rule in self.rules:
            if not all(name in values for name in rule.names):
                continue
            numbers = [values[name] for name in rule.names]
            if not rule.fails(*numbers):
                self._since.pop(rule, None)
                continue
            since = self._since.setdefault(rule, step)
            if rule not in self._said and step > since and step - since >= max(_LEAST, rule.lasting * self.steps):
                self._said.add(rule)
                what = rule.what.format(*(f"{number:.3g}" for number in numbers))
                warnings.append(f"{what}, since step {since:,}: {rule.advice}")
        return warnings


class WatchFailures(TrainingCallback):
    """Reports what a watch notices in the recorded numbers, each warning once, and keeps it in `warnings.jsonl`.

    It comes after the callbacks that record. On a resume a new copy of the watch is shown again what it was shown
    before the checkpoint, so that a resumed training warns of the same as an uninterrupted one.

    Args:
        watch: called with a step and its recorded numbers, gives warnings; one that has seen no numbers yet.
    """

    def __init__(self, watch: Callable[[int, Mapping[str, float]], Sequence[str]]):
        super().__init__()
        self._new_watch = watch

    def resume(self, run: Run) -> None:
        super().resume(run)
        self.watch = copy.deepcopy(self._new_watch)
        self.lines = Lines(run.run_dir / WARNINGS, -1)
        # at one step the losses are recorded before the measurements
        before = [line for lines in run.recorded for line in lines.lines]
        for line in sorted(before, key=lambda line: line["step"]):
            self.lines.lines += self._new(line["step"], line)
        run.listeners.append(self._notice)

    def on_train_begin(self, logs=None) -> None:
        self.lines.begin()

    def _notice(self, step: int, values: Mapping[str, float]) -> None:
        for line in self._new(step, values):
            say(f"{self.run.name}: warning: {line['warning']}")
            self.lines.append(line)

    def _new(self, step: int, values: Mapping[str, float]) -> list[dict]:
        numbers = {k: v for k, v in values.items() if v is not None}
        said = {line["warning"] for line in self.lines.lines}
        return [{"step": step, "warning": text} for text in self.watch(step, numbers) if text not in said]


def cyclegan_rules(config: CycleGANConfig) -> tuple[Rule, ...]:
    """Rules for the losses of `CycleGAN.train_step` and the numbers of `failure_signals.of_translation`."""
    weights = {"identity": config.identity, "cycle": config.cycle}
    lower = [f"cyclegan.{name}={weight / 2:g}" for name, weight in weights.items() if weight]
    return (
        Rule(
            ("movement",),
            lambda movement: movement < 0.025,  # three grey levels of 255
            lasting=0.5 if config.generator == "additive" else 0.15,  # an additive one begins with its input
            what="identity collapse, the output is the input (a pixel moves by {} of 2)",
            advice=f"set {' or '.join(lower)}" if lower else "give a longer training",
        ),
        Rule(
            ("diversity",),
            lambda diversity: diversity < 0.25,
            lasting=0.1,
            what="mode collapse, the outputs differ among themselves by only {} of what the inputs do",
            advice="set cyclegan.augment=true and cyclegan.identity=0.5, halve cyclegan.learning_rate, or give more "
            "images of Y",
        ),
        Rule(
            ("luminance_correlation",),
            lambda correlation: correlation < -0.1,
            lasting=0.1,
            what="colours are inverted, light becomes dark (correlation {} of the brightness before and after)",
            advice="set cyclegan.identity=0.5, or start again with another --seed",
        ),
        *(
            Rule(
                (f"discriminator_{domain}",),
                lambda loss: loss < 0.01,
                lasting=0.1,
                what=f"the discriminator of {domain.upper()} is at zero (loss {{}}), its generator learns nothing more",
                advice="set cyclegan.augment=true or cyclegan.spectral_norm=true, or lower cyclegan.cycle or "
                "cyclegan.discriminator_rate; with few images of this domain give more",
            )
            for domain in ("x", "y")
        ),
    )


def acgan_rules() -> tuple[Rule, ...]:
    """Rules for `d_source_accuracy` of `ACGAN.train_step` and the numbers of `failure_signals.of_classes`."""
    return (
        Rule(
            ("class_diversity",),
            lambda diversity: diversity < 0.3,
            lasting=0.25,  # a generator begins with images that are all alike
            what="mode collapse, images of one class differ by only {} of what real ones do",
            advice="set acgan.augment=true, lower acgan.learning_rate by half, or end the training earlier "
            "(acgan.export=best, acgan.patience=5)",
        ),
        Rule(
            ("class_diversity_lowest",),
            lambda diversity: diversity < 0.1,
            lasting=0.25,
            what="one class has collapsed, its images differ by only {} of what real ones do",
            advice="set acgan.balanced=true and acgan.augment=true; a class of a few dozen images may be too small",
        ),
        Rule(
            ("d_source_accuracy",),
            lambda accuracy: accuracy > 0.99,
            lasting=0.2,
            what="the discriminator has won for good (it tells {} of real and generated images apart)",
            advice="set acgan.augment=true, or give acgan.dropout=0.5 or a lower acgan.learning_rate",
        ),
    )
