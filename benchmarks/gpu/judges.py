"""Both judges of the screening in JAX, and the numbers by which a training is ranked; see `benchmarks.screened`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.networks import efficientnet
from lesiongan.evaluation.feature_metrics import kernel_inception_distance, precision_recall

SIZES = {"lite2": 128, "classifier": 96}
_BATCH = 256
_ALONE = {"MEL": 0, "NV": 1, "BCC": 2, "BKL": 4}


class Judges:
    """EfficientNet-Lite2 and the classifier, with the validation images as they saw them.

    Args:
        weights: `lite2/...` and `classifier/...`.
        validation: what `pack` wrote of the validation images.
    """

    def __init__(self, weights: dict, validation: dict):
        self.labels, self.validation = validation["labels"], validation
        self.networks = {
            name: {
                key[len(name) + 1 :]: jnp.asarray(v, jnp.float32)
                for key, v in weights.items()
                if key.startswith(name + "/")
            }
            for name in SIZES
        }
        self._look = {name: jax.jit(lambda w, x, name=name: _look(name, w, x)) for name in SIZES}

    def look(self, name: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features over the judge's scale, and class probabilities, of uint8 `[n, s, s, 3]`."""
        parts = []
        for begin in range(0, len(images), _BATCH):
            part = images[begin : begin + _BATCH]
            padded = np.concatenate([part, np.zeros((_BATCH - len(part), *part.shape[1:]), part.dtype)])
            found = self._look[name](self.networks[name], padded)
            parts.append([np.asarray(x, np.float32)[: len(part)] for x in found])
        features, *rest = (np.concatenate(x) for x in zip(*parts, strict=True))
        return features / self.validation[f"{name}/scale"], rest[0] if rest else None

    def real(self, name: str) -> np.ndarray:
        return self.validation[f"{name}/features"].astype(np.float32)

    def acgan(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """The columns of `benchmarks.screened.acgan`; images of each class at least as many as real ones."""
        counts = np.bincount(self.labels, minlength=8)
        first = np.concatenate([np.flatnonzero(labels == k)[: counts[k]] for k in range(8)])
        measured: dict[str, float] = {}
        for name, short in (("lite2", "Lite2"), ("classifier", "classifier")):
            features, probabilities = self.look(name, images)
            real = self.real(name)
            measured[f"KID {short}, all"] = kernel_inception_distance(real, features[first])
            kids = {
                key: kernel_inception_distance(real[self.labels == k], features[labels == k])
                for key, k in _ALONE.items()
            }
            if probabilities is None:
                measured["mean of four"] = float(np.mean(list(kids.values())))
                measured |= {f"Lite2 {key}": value for key, value in kids.items()}
            else:
                measured |= {key: value for key, value in kids.items() if key != "NV"}
                called = probabilities.argmax(1)
                measured["named as intended"] = float(np.mean([(called[labels == k] == k).mean() for k in range(8)]))
            measured[f"recall {short}"] = precision_recall(real, features[first])["recall"]
        spread = []
        for k in np.flatnonzero(counts >= 16):
            real_colours = self.validation["colours"][self.labels == k]
            made = images[labels == k].mean((1, 2))
            spread.append(np.sqrt(made.var(0, ddof=1).mean() / real_colours.var(0, ddof=1).mean()))
        return measured | {"colour spread, least": float(min(spread)), "most": float(max(spread))}

    def cyclegan(self, made: np.ndarray) -> dict[str, float]:
        """The columns of `benchmarks.screened.cyclegan`; `made` of the validation nevi, in their order."""
        measured: dict[str, float] = {}
        for name, short in (("lite2", "Lite2"), ("classifier", "classifier")):
            features, probabilities = self.look(name, made)
            real = self.real(name)[self.labels == 0]
            measured[f"KID {short}"] = kernel_inception_distance(real, features)
            measured[f"recall {short}"] = precision_recall(real, features)["recall"]
            if probabilities is not None:
                measured["called melanoma"] = float((probabilities.argmax(1) == 0).mean())
        nevi = self.validation["nevi"].astype(np.float32) / 255
        moved = np.sqrt(np.square(made.astype(np.float32) / 255 - nevi).mean((1, 2, 3)))
        colours = self.validation["colours"][self.labels == 0].var(0, ddof=1).mean()
        spread = np.sqrt(made.mean((1, 2)).var(0, ddof=1).mean() / colours)
        return measured | {"moved": float(moved.mean()), "colour spread": float(spread)}


def _look(name: str, weights, images):
    size = SIZES[name]
    x = jax.image.resize(images.astype(jnp.float32), (len(images), size, size, 3), "bicubic")
    x = jnp.clip(jnp.round(x), 0, 255) / 127.5 - 1.0
    maps = efficientnet(weights, x)[-1]
    average = maps.mean((1, 2))
    if name == "lite2":
        return (average,)
    x = jnp.concatenate([maps.max((1, 2)), average], 1) * weights["head/pooled/scale"] + weights["head/pooled/offset"]
    x = jax.nn.relu(x @ weights["head/hidden"]) * weights["head/hidden/scale"] + weights["head/hidden/offset"]
    return average, jax.nn.softmax(x @ weights["head/classes"])
