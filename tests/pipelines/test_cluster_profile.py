"""Cluster profiles: what compiled pipelines ask a cluster for, and one line for a profile that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

import lesiongan
from lesiongan.base.errors import UsageError
from lesiongan.data.taxonomy import ISIC_2019
from pipelines import definitions, kubeflow
from pipelines.cluster_profile import ClusterProfile, read_profile
from pipelines.presets import resolve

REPOSITORY = Path(lesiongan.__file__).parent.parent
PROFILES = sorted((REPOSITORY / "deploy" / "profiles").glob("*.toml"))
EXPERIMENTS = ("nevus_to_melanoma", "noise_to_lesion")
ON_GPU = {"train-classifier", "train-acgan", "train-cyclegan", "train-grid-part"}
ON_GPU |= {"sample-images", "translate-images", "path-rank-filter"}


class Compiled:
    """A compiled pipeline, strictly parsed: a field that the messages do not have fails."""

    def __init__(self, folder: Path, experiment: str, profile: ClusterProfile, version: str = ""):
        config = resolve("best", here=False, assignments=["grid.synthetic=/mnt/lesiongan/theirs"])
        pipeline = definitions.experiment_pipeline(
            experiment,
            config,
            classes=ISIC_2019.classes,
            place=kubeflow.Placement(profile, version),
            group=1,
            at_once=profile.at_once,
            fingerprint=version,
            **{name: profile.storage.place(name) for name in ("data", "work_dir", "models_dir")},
        )
        kubeflow.compile_pipeline(pipeline, folder / "pipeline.yaml")
        self.text = (folder / "pipeline.yaml").read_text()
        spec, platform = yaml.safe_load_all(self.text)
        self.spec = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        deployment = json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
        self.containers = {name.removeprefix("exec-"): e.container for name, e in deployment.executors.items()}
        pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        self.pods = {
            name.removeprefix("exec-"): json_format.ParseDict(
                pod, kubernetes_executor_config_pb2.KubernetesExecutorConfig()
            )
            for name, pod in pods.items()
        }
        dags = [self.spec.root.dag, *(c.dag for c in self.spec.components.values())]
        self.tasks = {name: task for dag in dags for name, task in dag.tasks.items()}


@pytest.fixture(scope="module", params=[p.stem for p in PROFILES])
def profile(request) -> ClusterProfile:
    return read_profile(REPOSITORY / "deploy" / "profiles" / f"{request.param}.toml")


@pytest.fixture(scope="module", params=EXPERIMENTS)
def compiled(request, profile, tmp_path_factory) -> Compiled:
    return Compiled(tmp_path_factory.mktemp("compiled"), request.param, profile)


def test_there_is_an_example_of_each_kind_of_cluster():
    assert [path.stem for path in PROFILES] == ["bare", "eks", "gke"]


def test_trainers_and_generators_have_gpus_and_no_other_step(compiled, profile):
    counts = {name: int(c.resources.accelerator.resource_count or 0) for name, c in compiled.containers.items()}
    assert {name for name, count in counts.items() if count} == ON_GPU & set(compiled.containers)
    for name in compiled.containers:
        labels = {f"{k}={v}" for k, v in compiled.pods[name].node_selector.labels.items()}
        shared = {mount.mount_path: mount.size_limit for mount in compiled.pods[name].empty_dir_mounts}
        tolerated = {t.key for t in compiled.pods[name].tolerations}
        if name in ON_GPU:
            assert compiled.containers[name].resources.accelerator.resource_type == "nvidia.com/gpu"
            assert labels == set(profile.gpu.node_selector)
            assert shared == {"/dev/shm": profile.gpu.shm}
            assert "nvidia.com/gpu" in tolerated
        else:
            assert (labels, shared, tolerated) == (set(), {}, set())


def test_every_step_is_tried_again_and_each_try_resumes_in_the_same_folder(compiled, profile):
    for name in compiled.containers:
        task = compiled.tasks[name]
        assert task.retry_policy.max_retry_count == profile.retry.count
        assert task.retry_policy.backoff_duration.seconds > 0
        mounts = {mount.mount_path for mount in compiled.pods[name].pvc_mount}
        assert mounts == {profile.storage.mount}
        # the folder is a parameter of the whole pipeline, with a constant for a default: no try or run changes it
        given = task.inputs.parameters["work_dir"]
        assert given.component_input_parameter in ("work_dir", "pipelinechannel--work_dir")
    default = compiled.spec.root.input_definitions.parameters["work_dir"].default_value.string_value
    assert default.startswith(profile.storage.mount + "/")
    assert "{{" not in default


def test_no_secret_and_no_place_of_this_machine_is_written(compiled):
    assert not re.search(r"(?i)password|secret_access_key|token\b|-----BEGIN", compiled.text)
    for pod in compiled.pods.values():
        assert not pod.secret_as_env
        assert not pod.secret_as_volume
    assert "hostPath" not in compiled.text
    assert str(REPOSITORY) not in compiled.text
    assert str(Path.home()) not in compiled.text
    paths = {m.mount_path for pod in compiled.pods.values() for m in (*pod.pvc_mount, *pod.empty_dir_mounts)}
    assert paths == {"/mnt/lesiongan", "/dev/shm"}


def test_images_are_of_the_profile_and_their_tags_of_the_code(compiled, profile):
    for name, container in compiled.containers.items():
        repository, tag = container.image.rsplit(":", 1)
        assert repository == (profile.image.gpu_repository if name in ON_GPU else "") or profile.image.repository
        assert re.fullmatch(rf"{name}-[0-9a-f]{{16}}", tag)
        assert "pip install" not in " ".join(container.command)
        assert compiled.pods[name].image_pull_policy == profile.image.pull_policy
        assert compiled.pods[name].security_context.run_as_non_root


def test_loops_run_as_many_at_once_as_the_profile_says(compiled, profile):
    loops = [task for task in compiled.tasks.values() if task.HasField("parameter_iterator")]
    assert {task.iterator_policy.parallelism_limit for task in loops} == {profile.at_once}


def test_what_the_examples_do_not_show(tmp_path):
    """A profile with every key away from its default, in the YAML."""
    (tmp_path / "all.toml").write_text(
        """caching = false
        [image]
        pull_secrets = ["login"]
        [storage]
        volume = "v"
        mount = "/mnt/v"
        data = "/mnt/v/isic"
        work_dir = "/mnt/v/a/work"
        models_dir = "/mnt/v/models"
        secret = "s3-keys"
        endpoint = "http://minio.storage:9000"
        [retry]
        count = 0
        [gpu]
        resource = "amd.com/gpu"
        train = 4
        generate = 0
        [pods]
        node_selector = ["pool=gan"]
        tolerations = ["dedicated=gan:NoExecute", "spot"]
        [train]
        memory = "1Ti"
        memory_request = "512Gi"
        cpu = "500m"
        cpu_limit = "8"
        timeout = "12h"
        """
    )
    made = Compiled(tmp_path, "noise_to_lesion", read_profile(tmp_path / "all.toml"))
    train = made.containers["train-cyclegan"].resources
    assert (train.resource_memory_limit, train.resource_memory_request) == ("1Ti", "512Gi")
    assert (train.resource_cpu_request, train.resource_cpu_limit) == ("500m", "8")
    assert (train.accelerator.resource_type, train.accelerator.resource_count) == ("amd.com/gpu", "4")
    assert not made.containers["translate-images"].resources.HasField("accelerator")
    assert made.pods["train-cyclegan"].active_deadline_seconds == 12 * 3600
    assert not made.pods["reporter"].active_deadline_seconds
    for name, pod in made.pods.items():
        assert dict(pod.node_selector.labels) == {"pool": "gan"}
        wanted = [("dedicated", "Equal", "gan", "NoExecute"), ("spot", "Exists", "", "")]
        assert [(t.key, t.operator, t.value, t.effect) for t in pod.tolerations][:2] == wanted
        assert pod.image_pull_secret[0].secret_name == "login"
        assert not made.tasks[name].HasField("retry_policy")
        assert not made.tasks[name].caching_options.enable_cache
    keys = {"example-gen": 2, "import-synthetic": 2, "train-cyclegan": 0}
    for name, count in keys.items():
        assert sum(len(s.key_to_env) for s in made.pods[name].secret_as_env) == count
        assert bool(made.containers[name].env) == bool(count)
    defaults = made.spec.root.input_definitions.parameters
    assert defaults["data"].default_value.string_value == "/mnt/v/isic"
    assert defaults["models_dir"].default_value.string_value == "/mnt/v/models"


def test_without_a_version_of_the_data_no_step_that_reads_them_is_cached(tmp_path):
    for version in ("", "2026-11"):
        made = Compiled(tmp_path, "nevus_to_melanoma", ClusterProfile(), version)
        cached = {name for name in made.containers if made.tasks[name].caching_options.enable_cache}
        assert set(made.containers) - cached == (set() if version else {"example-gen", "import-synthetic"})
        assert made.spec.root.input_definitions.parameters["fingerprint"].default_value.string_value == version


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpus = 1", "unknown option 'gpus'; known here: caching, at_once, image"),
        ("[train]\ngpu = 1", "unknown option 'train.gpu'; known here: train.memory"),
        ("train = 4", "option 'train' is a group of options"),
        ("[gpu]\ntrain = 'two'", "option 'gpu.train': 'two' is not of type int"),
        ("[gpu]\ntrain = -1", "option 'gpu.train': -1 is less than 0"),
        ("[gpu]\ntrain = 64", "option 'gpu.train': 64 is more than the 16"),
        ("[gpu]\nresource = 'A100'", "option 'gpu.resource': 'A100' is no resource"),
        ("[gpu]\nnode_selector = ['l4']", "option 'gpu.node_selector': 'l4' is no label"),
        ("[gpu]\nnode_selector = ['a=b', 'a=c']", "a key stands in it twice"),
        ("[pods]\ntolerations = ['x:Sometimes']", "option 'pods.tolerations': 'x:Sometimes' is no toleration"),
        ("[train]\nmemory = 32", "option 'train.memory': 32 is not of type str"),
        ("[train]\nmemory = '32 GB'", "option 'train.memory': '32 GB' is no amount of memory; write it as 32G"),
        ("[train]\nmemory = '0G'", "option 'train.memory': '0G' is no amount"),
        ("[train]\nmemory_request = '64G'", "option 'train.memory_request': 64G is more than the limit, 32G"),
        ("[light]\ncpu = 'many'", "option 'light.cpu': 'many' is no number of processors"),
        ("[light]\ntimeout = '1 day'", "option 'light.timeout': '1 day' is no duration; write it as 90s"),
        ("[retry]\nbackoff = '2h'", "option 'retry.longest': it is shorter than retry.backoff"),
        ("[image]\nrepository = 'r.example.org/x:latest'", "has a tag; leave it out"),
        ("[image]\nrepository = 'https://r.example.org/x'", "names no repository"),
        ("[image]\npull_policy = 'Sometimes'", "'Sometimes' is none of "),
        ("[image]\npull_secrets = ['My Login']", "is no name of an object of Kubernetes"),
        ("[storage]\nmount = '/'", "option 'storage.mount': '/' is no folder to mount"),
        ("[storage]\nwork_dir = 's3://b/work'", "trainings resume from it, so it must be on the volume"),
        ("[storage]\nwork_dir = '/mnt/lesiongan/../etc'", "does not lie in /mnt/lesiongan"),
        ("[storage]\ndata = 's3://'", "option 'storage.data': 's3://' names no bucket"),
        ("[storage]\ndata = '/home/me/isic'", "is neither in /mnt/lesiongan, nor s3://"),
        ("[storage]\nendpoint = 'http://key:word@minio'", "names and passwords belong into storage.secret"),
        ("at_once = -1", "option 'at_once': -1 is less than 0"),
        ("caching = 'perhaps'", "option 'caching': 'perhaps' is not of type bool"),
        ("[train", "not TOML"),
        (None, "No such file"),
    ],
)
def test_a_profile_that_is_wrong_is_one_line(tmp_path, text, said):
    path = tmp_path / "profile.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError) as error:
        read_profile(path)
    assert str(error.value).startswith(f"--profile {path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_page_on_kubeflow_names_every_key():
    page = (REPOSITORY / "docs" / "kubeflow.md").read_text()
    assert [key for key in _keys() if f"`{key}`" not in page] == []


def _keys() -> list[str]:
    profile = ClusterProfile()
    names = ["caching", "at_once"]
    for group in ("image", "storage", "retry", "gpu", "pods"):
        names += [f"{group}.{key}" for key in vars(getattr(profile, group))]
    return names + [f"train.{key}" for key in vars(profile.train)]
