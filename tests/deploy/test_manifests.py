"""The manifests of `deploy/` and docs/inference-service.yaml, against the models of Kubeflow Trainer and the schemas of
Kubernetes; and what the pods of a TrainJob run, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import lesiongan

ROOT = Path(lesiongan.__file__).parent.parent
KUBERNETES = "1.33"


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def one(name: str, kind: str) -> dict:
    (found,) = [document for document in documents(name) if document["kind"] == kind]
    return found


TRAIN_JOB = one("deploy/train-job.yaml", "TrainJob")
RUNTIME = one("deploy/train-job.yaml", "TrainingRuntime")
(NODE,) = RUNTIME["spec"]["template"]["spec"]["replicatedJobs"]
SERVED = documents("docs/inference-service.yaml")[0]["spec"]["predictor"]


def refused(document: dict) -> str:
    """Why Kubernetes would refuse a document, strictly: what it does not know is refused too; "" where it would not."""
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    try:
        validate.validate(document, KUBERNETES, strict=True)
    except validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""


def known(model: type, document: dict) -> dict:
    """A document as a model of Kubeflow Trainer reads it; what the model does not know is gone."""
    return model.from_dict(document).to_dict()


@pytest.mark.parametrize("document", [TRAIN_JOB, RUNTIME], ids=lambda document: document["kind"])
def test_kubeflow_trainer_knows_every_key(document):
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="pip install kubeflow-trainer-api")
    model = getattr(models, f"TrainerV1alpha1{document['kind']}")
    assert known(model, document) == document
    document = json.loads(json.dumps(document))
    document["spec"]["numNodez"] = 2
    assert known(model, document) != document


@pytest.mark.parametrize(
    "document",
    [*documents("deploy/volume.yaml"), one("deploy/train-job.yaml", "NetworkPolicy")],
    ids=lambda document: document["kind"],
)
def test_kubernetes_takes_what_is_its_own(document):
    assert refused(document) == ""
    assert "unheardOf" in refused({**document, "spec": {**document["spec"], "unheardOf": 1}})


def test_kubernetes_takes_the_jobs_and_pods_of_what_is_not():
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "node"}, "spec": NODE["template"]["spec"]}
    assert refused(job) == ""
    trainer = TRAIN_JOB["spec"]["trainer"]
    container = {"name": "node", **{key: trainer[key] for key in ("image", "env", "command", "args")}}
    container["resources"] = trainer["resourcesPerNode"]
    for spec in (SERVED, {"containers": [container]}):
        pod = {key: value for key, value in spec.items() if key in ("containers", "volumes")}
        assert refused({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}) == ""


def test_the_job_takes_this_runtime_and_as_many_nodes_as_it_says():
    spec = TRAIN_JOB["spec"]
    assert (spec["runtimeRef"]["kind"], spec["runtimeRef"]["name"]) == (RUNTIME["kind"], RUNTIME["metadata"]["name"])
    assert (
        int(spec["trainer"]["env"][0]["value"])
        == spec["trainer"]["numNodes"]
        == RUNTIME["spec"]["mlPolicy"]["numNodes"]
    )
    policy = one("deploy/train-job.yaml", "NetworkPolicy")["spec"]
    name = TRAIN_JOB["metadata"]["name"]
    assert policy["podSelector"]["matchLabels"] == {"jobset.sigs.k8s.io/jobset-name": name}


@pytest.mark.parametrize("index", [0, 1])
def test_each_pod_makes_tf_config_of_its_index(tmp_path, index):
    """The container's command is run, with the environment that JobSet gives it, and `lesiongan` that tells its own."""
    told = tmp_path / "lesiongan"
    told.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([os.environ['TF_CONFIG'], sys.argv[1:]]))\n"
    )
    told.chmod(0o755)
    trainer = TRAIN_JOB["spec"]["trainer"]
    environment = {each["name"]: each["value"] for each in trainer["env"]}
    environment |= {"JOB": "lesions-acgan", "JOB_COMPLETION_INDEX": str(index)}
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [*trainer["command"], *trainer["args"]]
    result = subprocess.run(command, env={**environment, "PATH": path}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    text, words = json.loads(result.stdout)
    port = NODE["template"]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert json.loads(text) == {
        "cluster": {"worker": [f"lesions-acgan-node-0-{each}.lesions-acgan:{port}" for each in (0, 1)]},
        "task": {"type": "worker", "index": index},
    }
    assert words[:2] == ["train", "acgan"]


def test_the_command_is_one_of_ours():
    from pipelines.cli import _parse

    (script,) = TRAIN_JOB["spec"]["trainer"]["args"]
    (line,) = [line for line in script.splitlines() if "lesiongan" in line]
    arguments = _parse(line.removeprefix("exec ").split())
    mount = NODE["template"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    assert str(arguments.data).startswith(mount)
