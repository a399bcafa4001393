"""The lesion classifier: a backbone, fastai's head and the training step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.config.classifier import ClassifierConfig
from lesiongan.models.backbones.efficientnet_lite import EfficientNetLite
from lesiongan.models.backbones.resnet50 import ResNet50
from lesiongan.models.classifier.head import Head
from lesiongan.models.keras_file import WholeState
from lesiongan.models.replicas import drawn, mean_over_replicas, next_image, share_of_mean
from lesiongan.optim.adam import Adam, ParameterGroups
from lesiongan.optim.fine_tune import FineTune
from lesiongan.optim.one_cycle import OneCycleCurve

#: The backbones by name; this is the place where another is added (and in the Literal of `ClassifierConfig.backbone`).
#: Each is a layer made from (stem, width), with `features` (channels of its maps), `width`, `reset(random)` and
#: `load_pretrained(weights)`, and maps images float32 `[n, s, s, 3]` in [-1, 1] to `[n, s', s', features]`.
BACKBONES: dict[str, Callable[..., Any]] = {"resnet50": ResNet50, "efficientnet_lite0": EfficientNetLite}


@keras.saving.register_keras_serializable(package="lesiongan")
class LesionClassifier(WholeState):
    """A backbone and fastai's head; called on images, it gives logits.

    All that is random follows from the seed and the step, so that a resumed training, or one that goes on from a
    `.keras` file, equals an uninterrupted one. Compile it with an optimizer and metrics of class labels and logits; the
    loss is its own.

    Args:
        classes: number of classes, k.
        backbone: a name of `BACKBONES`.
        stem: of the backbone, `imagenet` or (resnet50 only) `small`.
        width: of the backbone, a factor on its filters.
        label_smoothing: share of the target spread evenly over all classes.
        mixup: alpha of the Beta distribution by which each image is mixed with its neighbour in the batch (Zhang et al.
            2018, arXiv 1710.09412; the larger share is its own, as in fastai); 0: none.
        focal: gamma of the focal loss (Lin et al. 2017, arXiv 1708.02002); 0: cross-entropy.
        precision: `float32`, or Keras's `mixed_float16` (GPUs) or `mixed_bfloat16`: convolutions in half precision;
            weights, norms' statistics and loss in float32, and the loss scaled for float16.
        seed: see `reset`.

    Raises:
        UsageError: an unknown backbone, or a stem that it does not have.
    """

    def __init__(
        self,
        classes: int,
        *,
        backbone: str = "resnet50",
        stem: str = "imagenet",
        width: float = 1.0,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        focal: float = 0.0,
        precision: str = "float32",
        seed: int = 0,
        name: str = "classifier",
        **kwargs,
    ):
        super().__init__(name=name, dtype=precision, **kwargs)
        self.classes, self.stem, self.label_smoothing = classes, stem, label_smoothing
        self.mixup, self.focal = mixup, focal
        chosen: dict[str, Any] = {"backbone": backbone, "stem": stem}
        ClassifierConfig(**chosen)  # refuses an unknown one, or a stem that it does not have
        self.backbone_name = backbone
        with _precision(precision):
            self.backbone = BACKBONES[backbone](stem, width)
            self.head = Head(self.backbone.features, classes)
        # Settings of a training, in variables so that another training needs no new trace.
        self._seed = tf.Variable(0, dtype=tf.int64, trainable=False, name="seed")
        # A counter of its own: that of the optimizer stands still where float16 overflows.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=first, name="step")
        self._class_weights = tf.Variable(tf.ones([classes]), trainable=False, name="class_weights")
        self._accuracy = keras.metrics.Mean("accuracy")  # of an evaluation
        self.built = True
        self.reset(seed)

    def compile(self, optimizer="rmsprop", *, loss=None, **kwargs):
        """As `keras.Model.compile`, but without a loss.

        Raises:
            UsageError: a loss.
        """
        if loss is not None:
            raise UsageError(
                "LesionClassifier.compile takes no loss: it is cross-entropy or, by the constructor's arguments, "
                "label_smoothing, mixup and focal"
            )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        inner = getattr(config["optimizer"], "inner_optimizer", config["optimizer"])
        if isinstance(inner, Adam) and isinstance(inner.schedule, OneCycleCurve):
            self._join(inner, inner.schedule.cycle)
        self.compile(**config)
        self.build_optimizer()

    def _join(self, optimizer: Adam, cycle) -> None:
        """Makes one again what a file has apart: rate and momentum are curves of one schedule, groups are of its
        variables."""
        self.cycle = cycle
        if isinstance(optimizer.beta_1, OneCycleCurve):
            optimizer.beta_1 = cycle.momentum
        if isinstance(cycle, FineTune):
            optimizer.groups = ParameterGroups(self.parameter_groups(), cycle.groups)

    def call(self, images, training=False):
        return self._forward(images, training)[0]

    def classify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Images float32 `[n, s, s, 3]` in [-1, 1] -> `probabilities` `[n, k]`, `features` (pooled) `[n, f]`."""
        logits, features = self._forward(images, training=False)
        return {"probabilities": tf.nn.softmax(logits), "features": features}

    def train_step(self, data):
        """One step on (images `[n, s, s, 3]` in [-1, 1], labels `[n]`); gives `loss` and `accuracy` of the step,
        rate and momentum, and compiled metrics over the epoch so far."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        targets = tf.one_hot(tf.cast(labels, tf.int32), self.classes)
        if self.mixup:
            images, targets = self._mixed(images, targets)
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self._loss(targets, logits, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        rates = {"learning_rate": tf.convert_to_tensor(self.optimizer.learning_rate)}
        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if hasattr(inner, "momentum_now"):
            rates["momentum"] = inner.momentum_now()
        self.optimizer.apply(share_of_mean(tape.gradient(scaled, [v.value for v in variables])), variables)
        self.step.assign_add(1)
        logs = {"loss": loss, "accuracy": tf.reduce_mean(_hits(labels, logits)), **rates}
        return logs | self._compiled_metrics(labels, logits, sample_weight)

    def test_step(self, data):
        """`loss`, `accuracy` and compiled metrics over all images of an evaluation so far."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        logits = self(images, training=False)
        targets = tf.one_hot(tf.cast(labels, tf.int32), self.classes)
        self._loss_tracker.update_state(*self._losses_and_weights(targets, logits, sample_weight))
        self._accuracy.update_state(_hits(labels, logits))
        logs = {"loss": self._loss_tracker.result(), "accuracy": self._accuracy.result()}
        return logs | self._compiled_metrics(labels, logits, sample_weight)

    def _compiled_metrics(self, labels, logits, sample_weight) -> dict:
        if self._compile_metrics is None:
            return {}
        self._compile_metrics.update_state(labels, logits, sample_weight)
        return self._compile_metrics.result()

    def loss_of(self, labels, logits, sample_weight=None) -> tf.Tensor:
        """The loss of labels `[n]`, averaged with the classes' weights (PyTorch's weighted mean)."""
        return self._loss(tf.one_hot(tf.cast(labels, tf.int32), self.classes), logits, sample_weight)

    def _loss(self, targets, logits, sample_weight) -> tf.Tensor:
        losses, weights = self._losses_and_weights(targets, logits, sample_weight)
        return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), mean_over_replicas(tf.reduce_sum(weights)))

    def _losses_and_weights(self, targets, logits, sample_weight) -> tuple[tf.Tensor, tf.Tensor]:
        """Of each image, `[n]`: its loss and what it weighs. The loss is
        -sum_k t_k (1 - p_k)^gamma log p_k, t being the smoothed targets; gamma 0 is cross-entropy."""
        smooth = targets * (1.0 - self.label_smoothing) + self.label_smoothing / self.classes
        if self.focal:
            log_p = tf.nn.log_softmax(logits)
            losses = -tf.reduce_sum(smooth * (1.0 - tf.exp(log_p)) ** self.focal * log_p, 1)
        else:
            losses = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
        weights = tf.linalg.matvec(targets, self._class_weights)
        if sample_weight is not None:
            weights *= tf.cast(sample_weight, tf.float32)
        return losses, weights

    def _mixed(self, images, targets):
        """Each image with the next one of the batch (whose order is random), in shares max(l, 1 - l), l ~ Beta."""
        seed = self._step_seed() + tf.constant([1, 0], tf.int64)
        one, two = tf.unstack(
            drawn(lambda n: tf.random.stateless_gamma([2, n], seed, alpha=self.mixup), tf.shape(images)[0], 1)
        )
        share = tf.maximum(one, two) / (one + two)
        images = _blend(images, share[:, None, None, None])
        return images, _blend(targets, share[:, None])

    def reset(self, seed: int) -> None:
        """Re-initialises all weights from `seed`, and the optimizer, in place: compiled steps stay valid."""
        random = np.random.Generator(np.random.Philox(seed))
        self.backbone.reset(random)
        self.head.reset(random)
        self._seed.assign(seed % 2**63)
        self.set_class_weights(None)
        self.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Moments and step counts to zero; a learning rate that is a variable keeps its value."""
        self.step.assign(0)
        if not self.compiled:
            return
        self.build_optimizer()
        rate = self.optimizer.learning_rate
        for variable in self.optimizer.variables:
            if variable is not rate:
                variable.assign(tf.zeros(variable.shape, variable.dtype))
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            self.optimizer.dynamic_scale.assign(self.optimizer.initial_scale)

    def build_optimizer(self) -> None:
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def set_class_weights(self, weights) -> None:
        """Weights of the classes in the loss, `[k]`; None for equal ones."""
        self._class_weights.assign(np.ones(self.classes) if weights is None else np.asarray(weights, np.float32))

    def state(self) -> list[tf.Variable]:
        """What a resumed training needs: weights, moving averages, the optimizer's variables, and the step, in a fixed
        order."""
        variables = list(self.weights)
        if self.compiled:
            self.build_optimizer()
            variables += self.optimizer.variables
        return [*(v.value for v in variables), self.step]

    def own_state(self) -> dict[str, tf.Variable]:
        return {"seed": self._seed, "step": self.step, "class_weights": self._class_weights}

    def get_state(self) -> list[np.ndarray]:
        """Weights and moving averages (without the optimizer), copied; `set_state` of an equal model takes them."""
        return [np.array(v.value.numpy()) for v in self.weights]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Weights and moving averages of `get_state`; the optimizer starts anew."""
        if [tuple(v.shape) for v in self.weights] != [np.shape(value) for value in values]:
            raise UsageError(
                f"the saved weights do not fit this classifier ({self.classes} classes, {self.backbone_name}, "
                f"stem {self.stem}); "
                "train it anew, or use the settings that they were trained with"
            )
        for variable, value in zip(self.weights, values, strict=True):
            variable.assign(value)
        self.reset_optimizer()

    def load_backbone_weights(self, weights: str | Path) -> None:
        """Trained weights for the backbone; the head stays as it is.

        Args:
            weights: `imagenet`, or a file: for resnet50 a weights file of `keras.applications.ResNet50` (.h5), for
                efficientnet_lite0 a PyTorch state dict (.pth).

        Raises:
            UsageError: not available, not such a file, or the stem or width is not that of the weights.
        """
        if self.backbone.width != 1.0:
            raise UsageError(
                f"classifier.weights={weights} is for the full {self.backbone_name}, not "
                f"classifier.width={self.backbone.width:g}: use --set classifier.width=1 or "
                "--set classifier.weights=none"
            )
        if self.stem != "imagenet":
            raise UsageError(
                f"classifier.weights={weights} is for stem `imagenet`, not `{self.stem}`: "
                "use --set classifier.stem=imagenet or --set classifier.weights=none"
            )
        self.backbone.load_pretrained(str(weights))

    def get_config(self):
        config = super().get_config()
        config.pop("dtype", None)  # it is `precision`
        return {
            **config,
            "classes": self.classes,
            "backbone": self.backbone_name,
            "stem": self.stem,
            "width": self.backbone.width,
            "label_smoothing": self.label_smoothing,
            "mixup": self.mixup,
            "focal": self.focal,
            "precision": self.dtype_policy.name,
            "seed": int(self._seed.numpy()),
        }

    def _forward(self, images, training):
        seed = self._step_seed() if training else None
        return self.head(self.backbone(images, training=training), seed=seed, training=training)

    def _step_seed(self) -> tf.Tensor:
        """A seed of its own for each step, int64 `[2]`; the head's two dropouts take two in the second place."""
        return tf.stack([self._seed, 2 * self.step])

    def parameter_groups(self) -> dict[int, int]:
        """`id` of each trainable variable -> its group in `fine_tune.GROUPS`."""
        groups: dict[int, int] = {}
        for number, layers in enumerate(self.backbone.parts()):
            for layer in layers:
                kernels = {id(kernel) for kernel in layer.kernels.values()}
                groups |= {id(v): 2 * number + (id(v) not in kernels) for v in layer.trainable_variables}
        return groups | {id(v): 4 for v in self.head.trainable_variables}


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Layers made inside have Keras's dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _blend(values, share):
    return share * values + (1.0 - share) * next_image(values)


def _hits(labels, logits) -> tf.Tensor:
    return tf.cast(tf.equal(tf.cast(labels, tf.int64), tf.argmax(logits, 1)), tf.float32)
