"""docs/inference-service.yaml is what KServe's own models and our command line take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("kserve", reason="pip install 'lesiongan[serve]'")
ROOT = Path(__file__).parents[2]
DOCUMENTS = list(yaml.safe_load_all((ROOT / "docs" / "inference-service.yaml").read_text(encoding="utf-8")))


def check(value, kind: str, where: str) -> None:
    """Raises where a document has a key that a model of KServe or Kubernetes does not know; required ones are asked for
    by the models' constructors."""
    import kserve
    from kubernetes import client

    if kind.startswith("list["):
        for index, item in enumerate(value):
            check(item, kind[5:-1], f"{where}[{index}]")
        return
    model = getattr(kserve, kind, None) or getattr(client, kind, None)
    if model is None or not hasattr(model, "openapi_types"):
        return
    known = {json: (python, model.openapi_types[python]) for python, json in model.attribute_map.items()}
    unknown = set(value) - set(known)
    assert not unknown, f"{where}: {kind} has no {unknown}"
    model(**{known[key][0]: inner for key, inner in value.items()})
    for key, inner in value.items():
        check(inner, known[key][1], f"{where}.{key}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["metadata"]["name"])
def test_every_key_is_one_of_kserves(document):
    check(document, "V1beta1InferenceService", "document")


def test_a_wrong_key_would_be_found():
    wrong = {**DOCUMENTS[0], "spec": {"predictor": {"containers": [{"name": "a", "imagee": "b"}]}}}
    with pytest.raises(AssertionError, match="imagee"):
        check(wrong, "V1beta1InferenceService", "document")


def test_the_command_is_one_of_ours():
    from pipelines.cli import _parse

    container = DOCUMENTS[0]["spec"]["predictor"]["containers"][0]
    arguments = _parse([*container["command"], *container["args"]])
    ports = {port["containerPort"] for port in container["ports"]}
    assert {arguments.port, arguments.grpc_port} == ports
    assert container["readinessProbe"]["httpGet"]["port"] == arguments.port
