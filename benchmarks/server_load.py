"""`lesiongan serve` under many clients: errors, rate, waiting, memory, and how soon it is back after a kill.

    python -m benchmarks.server_load [CALLED=]MODEL ... [--clients 16] [--seconds 60] [--quick]

Each client asks again as soon as it is answered, three of four over REST (V1), the others over gRPC, each time another
of the models: an ACGAN for an image of a random class and seed, the others about a picture of random colours and size.
Needs the extra `serve`. The last line is the rate and the number of errors.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import quick
from benchmarks.live_server import LiveServer

_SIDES = (40, 400)  # pixels of the pictures


class Load:
    """What clients saw.

    Attributes:
        seconds: of each answer.
        errors: what was wrong with the others.
        megabytes: of the server, before, at most, and after.
    """

    def __init__(self, server: LiveServer, clients: int, seconds: float):
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._server, self._end = server, time.monotonic() + seconds
        self._about = json.loads(server.get("/about")[1])["models"]
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]
        memory = [server.megabytes()]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.25)
            memory.append(server.megabytes())
        self.megabytes = (memory[0], max(memory), memory[-1])
        self.rate = len(self.seconds) / seconds

    def lines(self) -> list[str]:
        first, most, last = self.megabytes
        text = [f"  {len(self.seconds):,} answers, {self.rate:.1f} per second, {len(self.errors)} errors"]
        if len(self.seconds) > 1:
            percentiles = statistics.quantiles(self.seconds, n=100)
            text.append(f"  waiting: median {percentiles[49]:.3f} s, 95 % within {percentiles[94]:.3f} s")
        text.append(f"  memory: {first:,.0f} MB before, {most:,.0f} at most, {last:,.0f} after")
        return text + [f"  error: {error}" for error in sorted(set(self.errors))[:5]]

    def _client(self, number: int) -> None:
        rng = np.random.default_rng(number)
        ask = self._grpc() if number % 4 == 3 else self._rest()
        while time.monotonic() < self._end:
            model = self._about[rng.integers(len(self._about))]
            begin = time.monotonic()
            try:
                ask(model["name"], _question(model, rng))
            except Exception as error:  # whatever a client may meet is what is counted
                self.errors.append(f"{model['name']}: {str(error).splitlines()[0]}")
            else:
                self.seconds.append(time.monotonic() - begin)

    def _rest(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=300)

        def ask(name: str, question: dict) -> None:
            given = dict(question)
            if "image_bytes" in given:
                given["image_bytes"] = {"b64": base64.b64encode(given["image_bytes"]).decode()}
            body = json.dumps({"instances": [given]})
            connection.request("POST", f"/v1/models/{name}:predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or len(json.loads(text)["predictions"]) != 1:
                raise RuntimeError(f"{answer.status} {text[:200]!r}")

        return ask

    def _grpc(self):
        import grpc
        from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages, grpc_predict_v2_pb2_grpc as services

        options = [("grpc.max_receive_message_length", 2**28)]
        channel = grpc.insecure_channel(f"127.0.0.1:{self._server.grpc_port}", options)
        stub = services.GRPCInferenceServiceStub(channel)

        def ask(name: str, question: dict) -> None:
            request = messages.ModelInferRequest(model_name=name)
            for key, value in question.items():
                kind, content = (
                    ("INT64", {"int64_contents": [value]})
                    if isinstance(value, int)
                    else ("BYTES", {"bytes_contents": [value if isinstance(value, bytes) else value.encode()]})
                )
                tensor = messages.ModelInferRequest.InferInputTensor(name=key, datatype=kind, shape=[1])
                tensor.contents.CopyFrom(messages.InferTensorContents(**content))
                request.inputs.append(tensor)
            if not stub.ModelInfer(request, timeout=300).outputs:
                raise RuntimeError("no outputs")

        return ask


def _question(model: dict, rng: np.random.Generator) -> dict:
    if model["kind"] == "acgan":
        return {"class": str(rng.choice(list(model["classes"]))), "seed": int(rng.integers(2**62))}
    sides = rng.integers(*_SIDES, 2)
    colours = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).resize([int(side) for side in sides]).save(stream, "JPEG")
    return {"image_bytes": stream.getvalue()}


def under_load(models: Sequence[str], clients: int, seconds: float, scratch: Path) -> Load:
    """The load of a server that is started for it, and then killed and started again; prints what it sees."""
    server = LiveServer(models, scratch / "log")
    print(f"server of {len(models)} models: ready after {server.seconds:.1f} s; {clients} clients, {seconds:g} s")
    try:
        load = Load(server, clients, seconds)
    finally:
        server.kill()
    print("\n".join(load.lines()), flush=True)
    again = LiveServer(models, scratch / "log")
    print(f"  killed, and ready again after {again.seconds:.1f} s; stopped with exit code {again.stop()}", flush=True)
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="[CALLED=]MODEL")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = quick.parse(parser, "--seconds and half a minute", seconds=10.0)
    with tempfile.TemporaryDirectory() as scratch:
        load = under_load(arguments.models, arguments.clients, arguments.seconds, Path(scratch))
    quick.last_line(arguments, f"{load.rate:.1f} answers per second, {len(load.errors)} errors")
    raise SystemExit(1 if load.errors else 0)


if __name__ == "__main__":
    main()
