"""A run whose images were all made elsewhere, for real: no GAN is trained, and the table has their cells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import lesiongan
from lesiongan.data.phantoms import table
from lesiongan.data.readers import PhantomReader

pytestmark = pytest.mark.slow


def test_real_and_real_with_images_made_elsewhere(tmp_path):
    drawn = table(150, 7)
    drawn = drawn[drawn["label"] == "MEL"].head(12)
    reader = PhantomReader(32)
    for place, rows in (("MEL", drawn), ("NV", drawn[:1])):
        (tmp_path / "theirs" / place).mkdir(parents=True)
        for row in rows.itertuples():
            picture = Image.fromarray(reader.read(f"{row.label}/{row.lesion_seed}/{row.view_seed}"))
            picture.save(tmp_path / "theirs" / place / f"{row.image_id}.png")
    options = ["nevus_to_melanoma.alphas=", "nevus_to_melanoma.amounts=6,12", "data.phantoms=400"]
    options += ["classifier.images=640", "grid.images=64", "data.phantom_size=32", "evaluation.resamples=100"]
    sets = [part for option in options for part in ("--set", option)]
    command = [sys.executable, "-m", "pipelines.cli", "run", "nevus-to-melanoma", "--preset", "demo"]
    command += ["--data", "phantoms", "--workdir", "run", "--models-dir", "models", "--synthetic", "theirs", *sets]
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parent.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "cyclegan" not in done.stdout.lower()
    (evaluation,) = (tmp_path / "run").glob("artifacts/*/evaluator/evaluation")
    rows = pd.read_csv(evaluation / "table.csv")
    assert rows["cell"].tolist() == ["real only", "theirs + 6", "theirs + 12"]
    assert rows["kind"].tolist() == ["baseline", "synthetic", "synthetic"]
    assert "theirs + 12" in (tmp_path / "run" / "report-nevus-to-melanoma.html").read_text()
