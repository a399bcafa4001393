"""The server as a process: what it answers over HTTP and gRPC is what the model says, and what it cannot answer it says
in one line."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from server_process import get, picture, pixels_of

from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.serving import saved_models

pytest.importorskip("kserve", reason="pip install 'lesiongan[serve]'")
pytestmark = pytest.mark.slow


def post(port: int, path: str, body, content="application/json") -> tuple[int, dict]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": content})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def test_a_generators_answers_are_the_models_and_say_what_they_are(server, models):
    asked = [{"class": "MEL", "seed": 3}, {"class": "BCC", "seed": 2**62}]
    status, answer = post(server[0], "/v1/models/acgan:predict", {"instances": asked})
    assert status == 200
    expected = saved_models.load(models / "acgan").sample(np.array([0, 2]), np.array([3, 2**62]))
    for found, wanted, pixels in zip(answer["predictions"], asked, expected, strict=True):
        png = base64.b64decode(found["image_bytes"]["b64"])
        assert np.abs(pixels_of(png).astype(int) - pixels).max() <= 1
        assert {key: found[key] for key in ("class", "seed")} == wanted
        assert DIGITAL_SOURCE_TYPE in Image.open(io.BytesIO(png)).text["XML:com.adobe.xmp"]
    again = post(server[0], "/v1/models/acgan:predict", {"instances": asked})[1]
    assert again == answer


def test_pictures_are_translated_and_classified_as_in_process(server, models):
    data, pixels = picture()
    instances = [{"image_bytes": {"b64": base64.b64encode(data).decode()}}] * 2
    status, answer = post(server[0], "/v1/models/cyclegan:predict", {"instances": instances})
    assert status == 200
    expected = saved_models.load(models / "cyclegan").translate(pixels[None])[0]
    for found in answer["predictions"]:
        assert found["class"] == "MEL"
        assert np.abs(pixels_of(base64.b64decode(found["image_bytes"]["b64"])).astype(int) - expected).max() <= 1
    _, answer = post(server[0], "/v1/models/judge:predict", {"instances": instances})
    probabilities, _ = saved_models.load(models / "classifier").predict(pixels[None])
    for found in answer["predictions"]:
        np.testing.assert_allclose(list(found["probabilities"].values()), probabilities[0], atol=1e-5)
        assert found["class"] == ISIC_2019.classes[probabilities[0].argmax()]


def test_the_second_version_of_the_protocol(server, models):
    names = {"name": "class", "shape": [2], "datatype": "BYTES", "data": ["NV", "DF"]}
    seeds = {"name": "seed", "shape": [2], "datatype": "INT64", "data": [5, 6]}
    status, answer = post(server[0], "/v2/models/acgan/infer", {"inputs": [names, seeds]})
    assert status == 200
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs["class"] == ["NV", "DF"]
    expected = saved_models.load(models / "acgan").sample(np.array([1, 5]), np.array([5, 6]))
    for encoded, pixels in zip(outputs["image_bytes"], expected, strict=True):
        assert np.abs(pixels_of(base64.b64decode(encoded)).astype(int) - pixels).max() <= 1
    data = base64.b64encode(picture()[0]).decode()
    image = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [data]}
    status, answer = post(server[0], "/v2/models/judge/infer", {"inputs": [image]})
    wide = next(output for output in answer["outputs"] if output["name"] == "probabilities")
    assert (status, wide["shape"], sum(wide["data"])) == (200, [1, 8], pytest.approx(1.0, abs=1e-4))


def test_grpc(server, models):
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    def tensor(name: str, datatype: str, values: list) -> InferInput:
        given = InferInput(name, [len(values)], datatype)
        given.set_data_from_numpy(np.array(values, object if datatype == "BYTES" else np.int64), binary_data=True)
        return given

    async def ask(model: str, *tensors):
        client = InferenceGRPCClient(f"localhost:{server[1]}")
        try:
            return await client.infer(InferRequest(model_name=model, infer_inputs=list(tensors)))
        finally:
            await client.close()

    answer = asyncio.run(ask("acgan", tensor("class", "BYTES", [b"MEL"]), tensor("seed", "INT64", [9])))
    found = {output.name: output.as_numpy() for output in answer.outputs}
    expected = saved_models.load(models / "acgan").sample(np.array([0]), np.array([9]))[0]
    assert np.abs(pixels_of(found["image_bytes"][0]).astype(int) - expected).max() <= 1
    data, pixels = picture()
    answer = asyncio.run(ask("cyclegan", tensor("image_bytes", "BYTES", [data])))
    found = {output.name: output.as_numpy() for output in answer.outputs}
    expected = saved_models.load(models / "cyclegan").translate(pixels[None])[0]
    assert np.abs(pixels_of(found["image_bytes"][0]).astype(int) - expected).max() <= 1
    with pytest.raises(Exception, match="no class 'LENTIGO'"):
        asyncio.run(ask("acgan", tensor("class", "BYTES", [b"LENTIGO"]), tensor("seed", "INT64", [9])))


def bomb() -> str:
    stream = io.BytesIO()
    Image.new("L", (20_000, 20_000)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


ONE = {"class": "MEL", "seed": 1}


@pytest.mark.parametrize(
    ("model", "body", "status", "words"),
    [
        ("acgan", {"instances": [{"class": "LENTIGO", "seed": 1}]}, 400, "no class 'LENTIGO'; there are MEL"),
        ("acgan", {"instances": [{"class": "MEL"}]}, 400, "seed None"),
        ("acgan", {"instances": [{"seed": 1}]}, 400, "give {'class'"),
        ("acgan", {"instances": [{"class": "MEL", "seed": -1}]}, 400, "from 0 to 2^63 - 1"),
        ("acgan", {"instances": [{"class": "MEL", "seed": 2**63}]}, 400, "from 0 to 2^63 - 1"),
        ("acgan", {"instances": [{"class": "MEL", "seed": 1.5}]}, 400, "seed 1.5"),
        ("acgan", {"instances": [{"class": "MEL", "seed": True}]}, 400, "seed True"),
        ("acgan", b'{"instances": [{"class": "MEL", "seed": NaN}]}', 400, "Unrecognized request format"),
        ("acgan", {"instances": [ONE] * 9}, 400, "at most 8 are answered at a time"),
        ("acgan", {"instances": [ONE] * 10_000}, 400, "10,000 instances"),
        ("acgan", {"instances": []}, 400, "at least one"),
        ("acgan", {"images": []}, 400, "instances"),
        ("acgan", [1, 2], 400, "instances"),
        ("acgan", b"nonsense", 400, "Unrecognized request format"),
        ("nothing", {"instances": [ONE]}, 404, "does not exist"),
        ("cyclegan", {"instances": [{"image_bytes": {"b64": "?"}}]}, 400, "not base64"),
        ("cyclegan", {"instances": [{"image_bytes": {"b64": "aGVsbG8="}}]}, 400, "not a picture"),
        ("cyclegan", {"instances": [{"picture": 1}]}, 400, "image_bytes"),
        ("cyclegan", {"instances": [5]}, 400, "image_bytes"),
        ("judge", {"instances": [{"image_bytes": {"b64": bomb()}}]}, 400, "pixels"),
        ("cyclegan", {"instances": ["A" * 2**20]}, 413, "larger than 1,048,576 bytes"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(server, model, body, status, words):
    found, answer = post(server[0], f"/v1/models/{model}:predict", body)
    assert found == status
    assert words in answer["error"]
    assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([{"name": "class", "shape": [1], "datatype": "BYTES", "data": ["MEL"]}], "no input 'seed'"),
        (
            [
                {"name": "class", "shape": [2], "datatype": "BYTES", "data": ["MEL", "NV"]},
                {"name": "seed", "shape": [1], "datatype": "INT64", "data": [1]},
            ],
            "equally many",
        ),
        (
            [
                {"name": "class", "shape": [1], "datatype": "BYTES", "data": ["MEL"]},
                {"name": "seed", "shape": [1], "datatype": "FP32", "data": [1.5]},
            ],
            "give INT64",
        ),
        (
            [
                {"name": "class", "shape": [5], "datatype": "BYTES", "data": ["MEL"]},
                {"name": "seed", "shape": [1], "datatype": "INT64", "data": [1]},
            ],
            "class",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(server, inputs, words):
    status, answer = post(server[0], "/v2/models/acgan/infer", {"inputs": inputs})
    assert status == 400
    assert words in answer["error"]


def test_what_the_protocol_itself_does_not_allow_is_refused_in_one_line(server):
    for body in (b"", b"{}", b'{"inputs": 5}', b'{"inputs": [{"name": "class"}]}'):
        status, answer = post(server[0], "/v2/models/acgan/infer", body)
        assert status == 400
        assert "\n" not in answer["error"]


def test_a_fuzzer_finds_nothing_that_the_schema_does_not_say(server):
    # valid and invalid requests for every path, by schemathesis
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    fuzzer = str(Path(sys.executable).with_name("schemathesis"))  # of this environment, active or not
    command = [fuzzer, "run", f"http://127.0.0.1:{server[0]}/openapi.json", "--checks", checks]
    command += ["--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    about = json.loads(get(server[0], "/openapi.json")[1])
    assert "/v1/models/acgan:predict" in about["paths"]
    assert not any("{" in path for path in about["paths"])


def test_a_body_that_does_not_say_its_length_is_cut_off_too(server):
    connection = http.client.HTTPConnection("127.0.0.1", server[0], timeout=60)
    chunks = (b" " * 65_536 for _ in range(40))
    try:
        connection.request(
            "POST", "/v1/models/acgan:predict", chunks, {"Content-Type": "application/json"}, encode_chunked=True
        )
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server hung up before all was sent
    assert get(server[0], "/v2/health/ready")[0] == 200


def test_nobody_unloads_a_model_over_the_network(server):
    assert post(server[0], "/v2/repository/models/acgan/unload", {})[0] == 404
    assert post(server[0], "/v1/models/acgan:predict", {"instances": [ONE]})[0] == 200


def test_health_metadata_metrics_and_the_page(server):
    assert json.loads(get(server[0], "/v2/health/live")[1]) == {"live": True}
    about = json.loads(get(server[0], "/about")[1])["models"]
    assert [model["name"] for model in about] == ["acgan", "cyclegan", "judge"]
    assert about[1]["target"] == "MEL"
    metadata = json.loads(get(server[0], "/v2/models/acgan")[1])
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["class", "seed"]
    post(server[0], "/v1/models/acgan:predict", {"instances": [ONE]})
    assert 'request_predict_seconds_count{model_name="acgan"}' in get(server[0], "/metrics")[1]
    status, page = get(server[0], "/")
    assert status == 200
    assert "research only" in page
