"""A served model behind KServe's protocols: V1 (`instances`) and V2 (named tensors, over REST and gRPC)."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Sequence
from typing import Any

import kserve
import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput

from lesiongan.serving.server.answers import Answers, Refused

AT_ONCE = 2  # requests that compute side by side; others wait, so that memory is bounded


class LesionModel(kserve.Model):
    """One model.

    V1: `{"instances": [...]}` -> `{"predictions": [...]}`, items as `Answers` says; pictures are `image_bytes`,
    `{"b64": PNG}`. V2, all of shape `[n]`: an ACGAN takes `class` (BYTES) and `seed` (INT64), the others `image_bytes`
    (BYTES: over REST base64, over gRPC the file itself); generators give `image_bytes` (PNG, in the same form) and
    `class`, classifiers `class` and `probabilities` (FP32 `[n, k]`).
    """

    def __init__(self, answers: Answers, turn: asyncio.Semaphore):
        super().__init__(answers.name)
        self.answers, self.turn = answers, turn
        self.ready = True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        items = _of_v2(payload, self.answers.kind) if isinstance(payload, InferRequest) else _of_v1(payload)
        async with self.turn:
            try:
                found = await asyncio.to_thread(self.answers, items)
            except Refused as refused:
                raise InvalidInput(str(refused)) from None
        if isinstance(payload, InferRequest):
            return self._v2(payload, found)
        return {"predictions": [_with_base64(answer) for answer in found]}

    async def get_input_types(self) -> list[dict]:
        if self.answers.kind == "acgan":
            return [_tensor("class", "BYTES"), _tensor("seed", "INT64")]
        return [_tensor("image_bytes", "BYTES")]

    async def get_output_types(self) -> list[dict]:
        if self.answers.kind == "classifier":
            wide = {**_tensor("probabilities", "FP32"), "shape": [-1, len(self.answers.classes)]}
            return [_tensor("class", "BYTES"), wide]
        return [_tensor("image_bytes", "BYTES"), _tensor("class", "BYTES")]

    def _v2(self, request: InferRequest, found: Sequence[dict]) -> InferResponse:
        raw = bool(request.from_grpc)  # gRPC takes all outputs as raw bytes or none
        outputs = [_strings("class", [answer["class"] for answer in found], raw)]
        if self.answers.kind == "classifier":
            rows = np.array([list(answer["probabilities"].values()) for answer in found], np.float32)
            wide = InferOutput("probabilities", list(rows.shape), "FP32")
            wide.set_data_from_numpy(rows, binary_data=raw)
            outputs.append(wide)
        else:
            files = [answer["png"] if raw else base64.b64encode(answer["png"]).decode() for answer in found]
            outputs.insert(0, _strings("image_bytes", files, raw))
        return InferResponse(request.id or str(uuid.uuid4()), self.name, outputs, from_grpc=raw)


def _of_v1(payload: Any) -> list:
    if isinstance(payload, bytes):
        raise InvalidInput("send JSON, and say so: Content-Type: application/json")
    if not isinstance(payload, dict) or not isinstance(payload.get("instances"), list):
        raise InvalidInput('give {"instances": [...]}')
    return payload["instances"]


def _of_v2(request: InferRequest, kind: str) -> list[dict]:
    names = ("class", "seed") if kind == "acgan" else ("image_bytes",)
    tensors = {tensor.name: tensor for tensor in request.inputs}
    missing = [name for name in names if name not in tensors]
    if missing:
        raise InvalidInput(f"no input {missing[0]!r}; give {', '.join(names)}")
    columns = [_values(tensors[name], name) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise InvalidInput(
            f"inputs {', '.join(names)} must be equally many, got {', '.join(str(len(c)) for c in columns)}"
        )
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(tensor: InferInput, name: str) -> list:
    wanted = "INT64" if name == "seed" else "BYTES"
    if tensor.datatype != wanted:
        raise InvalidInput(f"input {name!r}: datatype {tensor.datatype}; give {wanted}")
    try:
        values = tensor.as_numpy().ravel().tolist()
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise InvalidInput(f"input {name!r}: {error}") from None
    if name == "class":
        return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    return values


def _strings(name: str, values: Sequence[str | bytes], raw: bool) -> InferOutput:
    output = InferOutput(name, [len(values)], "BYTES")
    encoded = [value.encode() if raw and isinstance(value, str) else value for value in values]
    output.set_data_from_numpy(np.array(encoded, object), binary_data=raw)
    return output


def _with_base64(answer: dict) -> dict:
    shown = {key: value for key, value in answer.items() if key != "png"}
    return {"image_bytes": {"b64": base64.b64encode(answer["png"]).decode()}, **shown} if "png" in answer else shown


def _tensor(name: str, datatype: str) -> dict:
    return {"name": name, "datatype": datatype, "shape": [-1]}
