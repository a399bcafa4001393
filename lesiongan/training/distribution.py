"""One training on several devices of a machine, and by several processes on several machines.

On one machine a model that is made in `scope` has a copy on each device, and `shared` gives each of them its part of a
batch (tf.distribute.MirroredStrategy). What a step then does is `lesiongan.models.replicas`.

On several machines every process is given the same command and an environment variable TF_CONFIG, which names them all
(tf.distribute.MultiWorkerMirroredStrategy). The first one, the chief, writes; the others do the same work in a folder
that is thrown away, so that whatever needs all of them finds all of them. Their state is the chief's: from its
checkpoint at the beginning, by equal steps from then on. What one process alone can know (a signal that it got; of the
chief, an end that it measured) is told to all after each step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lesiongan.base.errors import MachineError, UsageError, first_line
from lesiongan.base.progress import say
from lesiongan.models.replicas import check_share
from lesiongan.training.run import TrainingCallback
from lesiongan.training.stopping import Stop

#: Names the processes of a training, and which of them this is, as TensorFlow and Kubeflow have it.
VARIABLE = "TF_CONFIG"
_ROLES = ("chief", "worker")  # in the order of their replicas
#: What TensorFlow says where another process does not answer any more.
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a training, as one of them sees them.

    Attributes:
        strategy: of all of them.
        is_chief: this is the one that writes.
    """

    strategy: tf.distribute.Strategy
    is_chief: bool


_cluster: Cluster | None = None


def scope(replicas: int, group: str) -> contextlib.AbstractContextManager:
    """Within it a model is to be made (and compiled) that trains on several devices; with one device it is nothing.

    Args:
        replicas: GPUs of this machine; 0: all that there are. In a process of several (see `joined`) they are chosen
            already.
        group: of the options, for messages.

    Raises:
        UsageError: there are fewer devices.
    """
    if _cluster is not None:
        return _cluster.strategy.scope()
    if replicas == 1:
        return contextlib.nullcontext()
    devices = tf.config.list_logical_devices("GPU")
    if not devices:
        devices = tf.config.list_logical_devices("CPU")[: replicas or 1]
    _check_devices(replicas, len(devices), group)
    chosen = tuple(device.name for device in devices[: replicas or None])
    return _mirrored(chosen).scope() if len(chosen) > 1 else contextlib.nullcontext()


def check_replicas(replicas: int, batch: int, group: str, parts: int = 1) -> None:
    """Refuses what `scope` and the model in it would refuse, before anything is computed.

    Args:
        replicas, group: see `scope`.
        batch, parts: images of a step, and in how many parts each replica computes its share.

    Raises:
        UsageError: there are fewer devices, or the batch is no multiple.
    """
    there = max(1, len(tf.config.list_physical_devices("GPU")))
    _check_devices(replicas, there, group)
    check_share(batch, f"{group}.batch", parts, replicas or there)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


def _check_devices(replicas: int, there: int, group: str) -> None:
    if replicas > there:
        raise UsageError(
            f"option '{group}.replicas': {replicas}, but TensorFlow sees {there} device{'' if there == 1 else 's'} "
            "here (GPUs, or the processor where there are none); give that many, or 0 for all GPUs"
        )


def shared(
    model: keras.Model, batches: Callable[[int], tf.data.Dataset]
) -> Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]:
    """Batches of which each replica of a model's strategy gets its part; on one device they are whole.

    Args:
        model: see `scope`.
        batches: gives whole batches from a step on, as functions of the step, each the same in all processes.
    """
    strategy = model.distribute_strategy
    count = strategy.num_replicas_in_sync
    if count == 1:
        return lambda start: batches(start).prefetch(2)

    def of_process(start: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = count // context.num_input_pipelines
        begin = own * context.input_pipeline_id

        def parts(*batch: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices(
                tuple(tf.stack(tf.split(each, count)[begin : begin + own]) for each in batch)
            )

        return batches(start).flat_map(parts).prefetch(2 * own)

    return lambda start: strategy.distribute_datasets_from_function(functools.partial(of_process, start))


def fit_steps(model: keras.Model, batches: Any, steps: int, callbacks: Any) -> None:
    """`model.fit` for so many steps, on batches of `shared`.

    On several replicas without Keras's `fit`, which looks at the first batch and fails where its parts are on several
    machines.

    Args:
        callbacks: a list, or a `CallbackList` of the model.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        model.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=callbacks)
        return
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = keras.callbacks.CallbackList(callbacks, model=model)
    model.stop_training = False
    train, iterator = model.make_train_function(), iter(batches)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for step in range(steps):
        callbacks.on_train_batch_begin(step)
        callbacks.on_train_batch_end(step, train(iterator))
        if model.stop_training:
            break
    callbacks.on_epoch_end(0)
    callbacks.on_train_end()


@contextlib.contextmanager
def joined(config: Any, group: str, output: Path) -> Iterator[Path]:
    """Makes this process one of those that TF_CONFIG names, for one training; without it nothing is done.

    It must come before anything that TensorFlow computes in this process.

    Args:
        config: of the training, `ACGANConfig`, `CycleGANConfig` or `ClassifierConfig`.
        group: its options.
        output: of the command.

    Yields:
        Where this process writes: `output`, or where it is not the chief a folder that is removed at the end.

    Raises:
        UsageError: TF_CONFIG is not understood, or the options are not for several processes.
        MachineError: another process of the training is gone.
    """
    global _cluster
    given = _read(os.environ.get(VARIABLE, ""))
    if given is None:
        yield output
        return
    count, is_chief = given
    _check_options(config, group)
    with _lost_peers(), contextlib.ExitStack() as cleanup:
        say(f"{'the chief' if is_chief else 'a worker'} of {count} processes ({VARIABLE}); waits until all are there")
        _cluster = Cluster(_strategy(config.replicas, group), is_chief)
        cleanup.callback(_leave)
        say(f"{count} processes with {_cluster.strategy.num_replicas_in_sync} devices train together")
        if is_chief:
            yield output
        else:
            yield Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="lesiongan-worker-")))


def _leave() -> None:
    global _cluster
    _cluster = None


@contextlib.contextmanager
def _lost_peers() -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        raise MachineError(
            "another process of this training is gone; give all of them their command again: they go on from the "
            "chief's last checkpoint"
        ) from error


def _read(text: str) -> tuple[int, bool] | None:
    """How many processes TF_CONFIG names and whether this is the chief; None where there is only this one.

    Raises:
        UsageError: it is not understood.
    """
    if not text.strip():
        return None
    try:
        given = json.loads(text)
        cluster, task = given.get("cluster", {}), given.get("task", {})
        addresses = {role: list(cluster[role]) for role in cluster}
        role, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f'{VARIABLE}: give JSON as {{"cluster": {{"worker": ["HOST:PORT", ...]}}, "task": {{"type": "worker", '
            f'"index": 0}}}} ({first_line(error)})'
        ) from None
    others = sorted(set(addresses) - set(_ROLES))
    if others:
        raise UsageError(f"{VARIABLE}: there is a {others[0]!r}; only {' and '.join(_ROLES)} train together")
    count = sum(map(len, addresses.values()))
    if count < 2:
        return None
    if role not in addresses or not 0 <= index < len(addresses[role]):
        raise UsageError(f"{VARIABLE}: the task {role} {index} is none of its cluster")
    return count, role == next(each for each in _ROLES if addresses.get(each)) and index == 0


def _check_options(config: Any, group: str) -> None:
    if config.rollbacks:
        raise UsageError(
            f"option '{group}.rollbacks': the processes of one training do not go back together; set it to 0"
        )
    if config.precision == "auto":
        raise UsageError(
            f"option '{group}.precision': auto is measured by each process for itself; give float32, mixed_bfloat16 or "
            "mixed_float16"
        )
    if getattr(config, "find_learning_rate", False):
        raise UsageError(
            f"option '{group}.find_learning_rate': is not for several processes; find the rate in one, and give "
            f"{group}.learning_rate and {group}.find_learning_rate=false"
        )


def _strategy(replicas: int, group: str) -> tf.distribute.Strategy:
    gpus = tf.config.list_physical_devices("GPU")
    _check_devices(replicas, max(1, len(gpus)), group)
    try:
        if replicas and gpus:
            tf.config.set_visible_devices(gpus[:replicas], "GPU")
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:  # TensorFlow has computed something already
        raise UsageError(f"{VARIABLE}: the processes must join before anything else ({first_line(error)})") from error
    except tf.errors.OpError as error:
        raise MachineError(f"{VARIABLE}: the processes do not find each other ({first_line(error)[:200]})") from error


def is_chief() -> bool:
    """Whether this process writes; one alone does."""
    return _cluster is None or _cluster.is_chief


def any_says(*flags: bool) -> list[bool]:
    """Whether any process says so, of each flag; all processes must ask."""
    if _cluster is None:
        return list(flags)
    counts = _adding(_cluster.strategy)(tf.constant([float(flag) for flag in flags])).numpy()
    return [bool(count) for count in counts]


@functools.cache
def _adding(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """The sum of what each replica has."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.float32)])
    def added(own):
        return strategy.reduce("SUM", strategy.run(tf.identity, args=(own,)), axis=None)

    return added


def differs(digest: str) -> bool:
    """Whether any process was given something else than the chief; all processes must ask.

    Args:
        digest: hexadecimal, of what it was given.
    """
    own = int(digest[:12], 16)
    return any_says(of_chief((), own) != own)[0]


def of_chief(state: Sequence[tf.Variable], step: int) -> int:
    """Gives all processes the chief's values of the variables; returns its `step`, or another number."""
    if _cluster is None:
        return step
    strategy = _cluster.strategy

    @tf.function(autograph=False)
    def first_ones(values):
        def of_first():
            context = tf.distribute.get_replica_context()
            first = tf.get_static_value(context.replica_id_in_sync_group) == 0
            # x + -0.0 is x, also where x is -0.0
            added = [tf.identity(value) if first else -tf.zeros_like(value) for value in values]
            return [context.all_reduce(tf.distribute.ReduceOp.SUM, value) for value in added]

        return [strategy.experimental_local_results(value)[0] for value in strategy.run(of_first)]

    *values, chiefs = first_ones([*(tf.constant(variable.numpy()) for variable in state), tf.constant(step, tf.int64)])
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    return int(chiefs)


class Agree(TrainingCallback):
    """After each step: a signal that one process got, or an end that the chief has measured, is one for all. It comes
    before the callback that saves."""

    def __init__(self, stop: Stop):
        super().__init__()
        self.stop = stop

    def at_step(self, step: int, losses: Mapping[str, tf.Tensor]) -> None:
        asked, ended = any_says(self.stop.asked is not None, is_chief() and self.model.stop_training)
        if asked and self.stop.asked is None:
            self.stop.note(signal.SIGTERM)
        self.model.stop_training = ended
