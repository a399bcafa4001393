"""What is gained, or lost, where a batch is shared: by two devices of a process, and by two processes on loopback.

    python -m benchmarks.scaling [--model cyclegan|acgan] [--size 64] [--batch 8] [--devices 2] [--rounds 3] [--quick]

The contenders take turns, each a live process (or two) that trains the same model on the same global batch: one device,
`--devices` of one process (GPUs where there are enough, else logical CPUs), and on processors as many processes. A CPU
device computes with one thread. Efficiency is images/s over those of one device times the devices: it can be near 1
only where each device has hardware of its own, which a machine of few busy cores has not; there it measures what the
division costs. The last line is the efficiency.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.interleaved import in_turn, medians

_WARM = 2  # steps that are not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("cyclegan", "acgan"), default="cyclegan")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8, help="of all devices together")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="timed ones, of each contender and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny networks, one round: whether it runs")
    parser.add_argument("--train", type=int, metavar="REPLICAS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train is not None:
        print(_images_per_second(given))
        return
    if given.quick:
        given.size, given.steps, given.rounds = 32, 3, 1
    devices = given.devices
    several = medians(
        in_turn(
            {
                "one device": lambda: _run(given, 1, 1),
                f"{devices} devices of a process": lambda: _run(given, devices, 1),
                f"{devices} processes": lambda: _run(given, 1, devices),
            },
            given.rounds,
        )
    )
    one = several.pop("one device")
    print(f"{given.model}, {given.size} px, global batch {given.batch}, {os.cpu_count()} cores")
    print(f"one device: {one:.2f} images/s")
    for name, rate in several.items():
        print(f"{name}: {rate:.2f} images/s")
    efficiencies = ", ".join(f"{name} {rate / one / devices:.2f}" for name, rate in several.items())
    print(f"efficiency (1: each device adds all it can): {efficiencies}")


def _run(given: argparse.Namespace, replicas: int, processes: int) -> float:
    """Images per second, of all together."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--model", given.model, "--train", str(replicas)]
    for name in ("size", "batch", "steps"):
        command += [f"--{name}", str(getattr(given, name))]
    command += ["--quick"] if given.quick else []
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": str(replicas)}
    addresses = _addresses(processes)
    running = []
    for index in range(processes):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        named = {"TF_CONFIG": json.dumps(task)} if processes > 1 else {}
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **threads, **named}
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"a process ended with {[process.returncode for process in running]}")
    return float(said[0].splitlines()[-1])


def _addresses(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def _images_per_second(given: argparse.Namespace) -> float:
    import keras

    import lesiongan  # noqa: F401
    from lesiongan.config.acgan import ACGANConfig
    from lesiongan.config.cyclegan import CycleGANConfig
    from lesiongan.training.distribution import fit_steps, joined, scope, shared

    narrow = given.quick
    config: ACGANConfig | CycleGANConfig
    if given.model == "acgan":
        config = ACGANConfig(size=given.size, batch=given.batch, width=1 / 8 if narrow else 1.0, replicas=given.train)
    else:
        filters = 4 if narrow else 32
        config = CycleGANConfig(
            size=given.size,
            batch=given.batch,
            blocks=1 if narrow else 6,
            filters=filters,
            discriminator_filters=filters,
            replicas=given.train,
        )
    _logical_devices(given.train)

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seconds, self.begin = [], 0.0

        def on_train_batch_begin(self, batch, logs=None):
            self.begin = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            for loss in logs.values():
                float(loss)  # waits for the device
            self.seconds.append(time.perf_counter() - self.begin)

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, joined(config, given.model, Path(folder)):
        with scope(config.replicas, given.model):
            model = _model(config)
        batches = shared(model, lambda start: _batches(config, given))(0)
        fit_steps(model, batches, _WARM + given.steps, [clock])
    return given.batch / statistics.median(clock.seconds[_WARM:])


def _logical_devices(count: int) -> None:
    """As many logical CPUs, where there are no GPUs."""
    import tensorflow as tf

    if count > 1 and not tf.config.list_physical_devices("GPU"):
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def _model(config):
    from lesiongan.config.acgan import ACGANConfig
    from lesiongan.models.acgan.model import ACGAN
    from lesiongan.models.cyclegan.model import CycleGAN

    if not isinstance(config, ACGANConfig):
        return CycleGAN(config)
    model = ACGAN(config, 8)
    model.compile()
    return model


def _batches(config, given: argparse.Namespace):
    import numpy as np
    import tensorflow as tf

    images = np.random.default_rng(0).uniform(-1, 1, (2, given.batch, given.size, given.size, 3)).astype(np.float32)
    second = images[1] if given.model == "cyclegan" else np.arange(given.batch, dtype=np.int32) % 8
    return tf.data.Dataset.from_tensors((images[0], second)).repeat()


if __name__ == "__main__":
    main()
