"""The server's OpenAPI: each model's own paths, what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lesiongan import __version__
from lesiongan.serving.server.answers import Answers

_STRING = {"type": "string"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_B64 = {"type": "object", "required": ["b64"], "properties": {"b64": _BASE64}}
_TITLES = {
    "acgan": "images of a class from noise, as PNG",
    "cyclegan": "pictures of one kind as pictures of another, as PNG",
    "classifier": "the probabilities of a lesion's classes",
}


def openapi(app: Any, answers: Sequence[Answers]) -> dict[str, Any]:
    """KServe's schema without the paths that any model could have: in their place those of the models that there are,
    without its versions of models and its loading and unloading, which are not served here."""
    from fastapi.openapi.utils import get_openapi

    general = get_openapi(title="lesiongan", version=__version__, routes=app.routes)
    paths = {path: methods for path, methods in general["paths"].items() if path != "/" and "{" not in path}
    paths = {path: methods for path, methods in paths.items() if "repository" not in path}
    paths["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": _STRING}}
    for each in answers:
        paths |= _paths(each)
    error = {"type": "object", "required": ["error"], "properties": {"error": _STRING}}
    schemas = general.get("components", {}).get("schemas", {}) | {"Error": error}
    return {**general, "paths": paths, "components": {"schemas": schemas}}


def _paths(model: Answers) -> dict[str, Any]:
    v1, v2 = f"/v1/models/{model.name}", f"/v2/models/{model.name}"
    about = _TITLES[model.kind]
    return {
        v1: {"get": _operation(f"{model.name} is ready", {"type": "object"})},
        f"{v1}:predict": {"post": _operation(about, _answers_v1(model), _instances(model))},
        v2: {"get": _operation(f"the tensors of {model.name}", {"type": "object"})},
        f"{v2}/ready": {"get": _operation(f"{model.name} is ready", {"type": "object"})},
        f"{v2}/infer": {"post": _operation(about, _answers_v2(), _tensors(model))},
    }


def _operation(summary: str, answer: dict, asked: dict | None = None) -> dict[str, Any]:
    def content(schema: dict) -> dict:
        return {"application/json": {"schema": schema}}

    described = {"200": {"description": "the answer", "content": content(answer)}}
    if asked is None:
        return {"summary": summary, "responses": described}
    refused = {"$ref": "#/components/schemas/Error"}
    described["400"] = {"description": "what is wrong in the request", "content": content(refused)}
    described["413"] = {"description": "the request is too large", "content": content(refused)}
    body = {"required": True, "content": content(asked)}
    return {"summary": summary, "requestBody": body, "responses": described}


def _instances(model: Answers) -> dict[str, Any]:
    if model.kind == "acgan":
        known = {
            "class": {"enum": list(model.classes)},
            "seed": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        }
        item = {"type": "object", "required": ["class", "seed"], "properties": known}
    else:
        item = {"type": "object", "required": ["image_bytes"], "properties": {"image_bytes": _B64}}
    instances = {"type": "array", "minItems": 1, "maxItems": model.limits.batch, "items": item}
    return {"type": "object", "required": ["instances"], "properties": {"instances": instances}}


def _answers_v1(model: Answers) -> dict[str, Any]:
    given: dict[str, Any] = {"class": {"enum": list(model.classes)}}
    if model.kind == "classifier":
        probability = {"type": "number", "minimum": 0, "maximum": 1}
        given["probabilities"] = {"type": "object", "additionalProperties": probability}
    else:
        given = {"class": _STRING, "image_bytes": _B64}
    item = {"type": "object", "required": list(given), "properties": given}
    predictions = {"type": "array", "items": item}
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": predictions}}


def _tensors(model: Answers) -> dict[str, Any]:
    def tensor(name: str, datatype: str, values: dict) -> dict[str, Any]:
        shape = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 1}
        data = {"type": "array", "minItems": 1, "maxItems": model.limits.batch, "items": values}
        known = {"name": {"const": name}, "shape": shape, "datatype": {"const": datatype}, "data": data}
        return {"type": "object", "required": list(known), "properties": known}

    if model.kind == "acgan":
        seed = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
        prefix = [tensor("class", "BYTES", {"enum": list(model.classes)}), tensor("seed", "INT64", seed)]
    else:
        prefix = [tensor("image_bytes", "BYTES", _BASE64)]
    inputs = {"type": "array", "prefixItems": prefix, "minItems": len(prefix), "maxItems": len(prefix)}
    return {"type": "object", "required": ["inputs"], "properties": {"inputs": inputs}}


def _answers_v2() -> dict[str, Any]:
    known = {"name": _STRING, "shape": {"type": "array"}, "datatype": _STRING, "data": {"type": "array"}}
    outputs = {"type": "array", "items": {"type": "object", "required": list(known), "properties": known}}
    return {"type": "object", "required": ["outputs"], "properties": {"outputs": outputs}}
