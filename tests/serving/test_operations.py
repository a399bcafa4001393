"""Models that are programs of others: looked at before they are loaded."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lesiongan.base.errors import UsageError
from lesiongan.base.files import digest_directory, write_json
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.serving import known_models, loading, model_artifact, operations, saved_models


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def exported(folder: Path, module: tf.Module, **signatures) -> Path:
    """A SavedModel with a record that fits it to the last byte, as an attacker would write it."""
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=signatures)
    record = {"format": 1, "name": "m", "kind": "classifier", "size": 32, "taxonomy": ISIC_2019.to_dict()}
    model_artifact.write_record(folder, record | {"digest": digest_directory(folder / "saved_model")})
    return folder


def hostile(kind: str, target: Path) -> tf.Module:
    """A module that answers as a classifier does, and does more."""
    module = tf.Module()
    module.v = tf.Variable(1.0)

    def more() -> None:
        text = tf.constant("written by a model")
        if kind == "WriteFile":
            tf.io.write_file(str(target), text)
        elif kind == "ReadFile":
            tf.io.read_file(str(target))
        elif kind == "SaveV2":
            tf.raw_ops.SaveV2(prefix=str(target), tensor_names=["x"], shape_and_slices=[""], tensors=[module.v])
        elif kind == "PrintV2":
            tf.raw_ops.PrintV2(input=text, output_stream=f"file://{target}")
        elif kind == "EagerPyFunc":
            tf.py_function(lambda: target.write_text("x"), [], [])
        elif kind == "PyFuncStateless":
            tf.raw_ops.PyFuncStateless(input=[], token="t", Tout=[tf.float32])

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def classify(images):
        more()
        return {"probabilities": tf.zeros([tf.shape(images)[0], 8]) + module.v}

    module.classify = classify
    return module


@pytest.mark.parametrize("kind", ["WriteFile", "ReadFile", "SaveV2", "PrintV2", "EagerPyFunc", "PyFuncStateless"])
def test_a_model_that_touches_files_is_refused_before_it_is_loaded(tmp_path, kind):
    module = hostile(kind, tmp_path / "target")
    place = exported(tmp_path / "model", module, classify=module.classify)
    with pytest.raises(UsageError, match=f"touch files or run code .*{kind}"):
        saved_models.load(place)
    assert not (tmp_path / "target").exists()


def test_a_file_written_deep_in_what_nothing_calls_by_name_is_found(tmp_path):
    module = hostile("", tmp_path)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def aside(x):
        def write():
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "target"), "x")]):
                return tf.identity(x)

        return tf.cond(x > 0, lambda: tf.while_loop(lambda i: i < 1, lambda i: (i + write(),), (x,))[0], lambda: x)

    module.aside = aside
    with pytest.raises(UsageError, match="WriteFile"):
        saved_models.load(exported(tmp_path / "model", module, classify=module.classify))


def test_a_file_written_while_a_model_is_loaded_is_found(tmp_path):
    """A resource's initialiser runs in `tf.saved_model.load`."""
    (tmp_path / "words").write_text("a\nb\n", encoding="utf-8")
    module = hostile("", tmp_path)
    words = tf.lookup.TextFileInitializer(str(tmp_path / "words"), tf.string, -2, tf.int64, -1)  # line -> its number
    module.table = tf.lookup.StaticHashTable(words, -1)
    inner = module.classify

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def classify(images):
        answer = inner(images)["probabilities"] + tf.cast(module.table.lookup(tf.constant("a")), tf.float32)
        return {"probabilities": answer}

    module.looked_up = classify
    with pytest.raises(UsageError, match=r"TextFile|HashTable"):
        saved_models.load(exported(tmp_path / "model", module, classify=classify))


def test_the_saver_s_function_called_by_a_signature_is_refused(models, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(models / "classifier", tmp_path / "model")
    path = tmp_path / "model" / "saved_model" / "saved_model.pb"
    content = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = content.meta_graphs[0]
    record = model_artifact.describe(tmp_path / "model")
    operations.check(path.parent, record)  # it is well
    saver = graph.saver_def.save_tensor_name.partition(":")[0]
    node = next(node for node in graph.graph_def.node if node.name == saver)
    graph.graph_def.node.add(name="again", op=node.op).attr["f"].CopyFrom(node.attr["f"])
    path.write_bytes(content.SerializeToString())
    with pytest.raises(UsageError, match="MergeV2Checkpoints"):
        operations.check(path.parent, record)


def test_another_form_of_the_graph_beside_it_is_refused(models, tmp_path):
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        shutil.copytree(models / "classifier", tmp_path / name)
        (tmp_path / name / "saved_model" / name).write_bytes(b"")
        with pytest.raises(UsageError, match=name):
            operations.check(tmp_path / name / "saved_model", model_artifact.describe(tmp_path / name))


def test_what_trainings_export_passes(models):
    for kind in ("acgan", "classifier", "cyclegan"):
        operations.check(models / kind / "saved_model", model_artifact.describe(models / kind))


CHANGES = {
    "size": lambda record: record.update(size=64),
    "kind": lambda record: record.update(kind="cyclegan" if record["kind"] != "cyclegan" else "acgan"),
    "order": lambda record: [record["taxonomy"][key].reverse() for key in record["taxonomy"]],
    "fewer": lambda record: [record["taxonomy"][key].pop() for key in record["taxonomy"]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_without_a_digest_of_itself_has_to_fit_its_model(models, tmp_path, change):
    for kind in ("acgan", "classifier", "cyclegan"):
        if kind == "cyclegan" and change in ("order", "fewer"):
            continue  # it knows no classes
        shutil.copytree(models / kind, tmp_path / kind)
        record = json.loads((tmp_path / kind / "model.json").read_text(encoding="utf-8"))
        del record["record_digest"]
        write_json(tmp_path / kind / "model.json", record)
        saved_models.load(tmp_path / kind)  # an older model is read
        CHANGES[change](record)
        write_json(tmp_path / kind / "model.json", record)
        with pytest.raises(UsageError, match=r"record says|none of"):
            saved_models.load(tmp_path / kind)


def test_a_model_of_others_is_spoken_of_once(models, monkeypatch, capsys):
    monkeypatch.setenv("LESIONGAN_STEP", "lines")
    saved_models.load(models / "classifier")
    assert "was not made or used on this machine" in capsys.readouterr().out
    saved_models.load(models / "classifier")
    assert "not made" not in capsys.readouterr().out


def test_a_state_that_cannot_be_written_is_no_hindrance(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/no/such")
    assert not known_models.remember("0" * 64)


def changed_keras(path: Path, change) -> Path:
    """A `.keras` file whose configuration was edited."""
    model = LesionClassifier(2, width=0.1)
    model.reset(0)
    model.predict(np.zeros((1, 32, 32, 3), np.float32), verbose=0)
    model.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = json.loads(members["config.json"])
    change(config, members)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c, m: c["config"].update(x={"module": "os", "class_name": "system", "config": "x"}), "os.system"),
        (
            lambda c, m: c["config"].update(
                x={"module": "keras.utils", "class_name": "get_file", "config": {"origin": "file:///etc/passwd"}}
            ),
            "keras.utils.get_file",
        ),
        (
            lambda c, m: c["config"].update(x={"module": "keras.layers", "class_name": "Lambda", "config": {}}),
            "keras.layers.Lambda",
        ),
        (lambda c, m: c["config"].update(x={"class_name": "__lambda__", "config": {}}), "__lambda__"),
        (lambda c, m: m.update({"../outside": b"x"}), "more in it than a model"),
    ],
)
def test_a_keras_file_that_names_other_code_is_refused(tmp_path, change, said):
    path = changed_keras(tmp_path / "m.keras", change)
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        loading.load(path)


def test_a_keras_file_with_a_loss_and_an_optimizer_of_keras_is_read(tmp_path):
    def compiled(config, members):
        optimizer = keras.saving.serialize_keras_object(keras.optimizers.SGD(0.1))
        config["compile_config"] = {"optimizer": optimizer}

    assert isinstance(loading.load(changed_keras(tmp_path / "m.keras", compiled)), LesionClassifier)
