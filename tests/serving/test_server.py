"""The server as a process: what it answers over HTTP and gRPC is what the model says, and what it cannot answer it says
in one line."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from chromium import executable, tab
from PIL import Image

import lesiongan
from lesiongan.config.acgan import ACGANConfig
from lesiongan.config.cyclegan import CycleGANConfig
from lesiongan.data.generated import DIGITAL_SOURCE_TYPE
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.models.acgan.model import ACGAN
from lesiongan.models.classifier.model import LesionClassifier
from lesiongan.models.cyclegan.model import CycleGAN
from lesiongan.serving import saved_models

pytest.importorskip("kserve", reason="pip install 'lesiongan[serve]'")
pytestmark = pytest.mark.slow
SIZE = 32


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    classifier = LesionClassifier(8, width=0.1)
    classifier.reset(0)
    acgan = ACGAN(ACGANConfig(size=SIZE, width=0.1), 8, seed=0)
    for kernel in acgan.generator.kernels.values():
        kernel.assign(10 * kernel)
    cyclegan = CycleGAN(CycleGANConfig(size=SIZE, blocks=1, filters=4, discriminator_filters=4))
    details = {"source": "NV", "target": "MEL"}
    for kind, model in {"classifier": classifier, "acgan": acgan, "cyclegan": cyclegan}.items():
        saved_models.export(model, folder / kind, kind=kind, size=SIZE, taxonomy=ISIC_2019, details=details)
    return folder


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """Ports of REST and gRPC of a running server."""
    port, grpc_port = free_port(), free_port()
    command = [sys.executable, "-m", "pipelines.cli", "serve", "acgan", "cyclegan", "judge=classifier"]
    command += ["--port", str(port), "--grpc-port", str(grpc_port), "--max-batch", "8", "--max-request", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(lesiongan.__file__).parents[1])}
    log = (tmp_path_factory.mktemp("server") / "log").open("w+")
    process = subprocess.Popen(command, cwd=models, env=environment, stdout=log, stderr=log)
    end = time.monotonic() + 240
    while True:
        try:
            if get(port, "/v2/health/ready")[0] == 200:
                break
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > end:
            log.seek(0)
            raise RuntimeError(log.read())
        time.sleep(0.5)
    yield port, grpc_port
    process.terminate()
    assert process.wait(timeout=60) == 0


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.status, answer.read().decode()


def post(port: int, path: str, body, content="application/json") -> tuple[int, dict]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": content})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def picture() -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue(), pixels


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


# The page for people


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    if executable() is None:
        pytest.skip("no Chromium here")
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def opened(page, server, width: int) -> None:
    page.open(f"http://127.0.0.1:{server[0]}/", width)
    page.until("document.getElementById('class').options.length === 8")


def test_a_person_generates_lesions_of_a_class(page, server, models):
    opened(page, server, 1200)
    page.value("document.getElementById('class').value = 'BCC'")
    page.value("document.getElementById('seed').value = '7'; document.getElementById('count').value = '3'")
    page.value("document.querySelector('#generate button').click()")
    assert page.until("document.querySelectorAll('#results img').length") == 3
    captions = page.value("[...document.querySelectorAll('#results img')].map(image => image.alt)")
    assert captions == ["BCC, seed 7", "BCC, seed 8", "BCC, seed 9"]
    sources = page.value("[...document.querySelectorAll('#results a')].map(link => [link.href, link.download])")
    assert sources[0][1] == "acgan-BCC-7.png"
    png = base64.b64decode(sources[0][0].partition("base64,")[2])
    expected = saved_models.load(models / "acgan").sample(np.array([2]), np.array([7]))[0]
    assert np.abs(pixels_of(png).astype(int) - expected).max() <= 1
    assert Image.open(io.BytesIO(png)).text["lesiongan:class"] == "BCC"
    assert page.problems == []
    assert all(url.startswith((f"http://127.0.0.1:{server[0]}/", "data:", "blob:")) for url in page.requests)


def test_a_person_has_a_picture_translated_and_classified(page, server):
    opened(page, server, 1200)
    give = (
        "var bytes = Uint8Array.from(atob('DATA'), letter => letter.charCodeAt(0)), files = new DataTransfer();"
        "files.items.add(new File([bytes], 'nevus.png', {type: 'image/png'}));"
        "document.getElementById('file').files = files.files"
    ).replace("DATA", base64.b64encode(picture()[0]).decode())
    for model, seen in (
        ("cyclegan", "document.querySelectorAll('#results img').length === 2"),
        ("judge", "/MEL .*%/.test(document.getElementById('status').textContent)"),
    ):
        page.value(f"document.getElementById('model').value = '{model}'")
        page.value("document.getElementById('model').dispatchEvent(new Event('change'))")
        page.value(give)
        page.value("document.getElementById('send-button').click()")
        assert page.until(seen)
    assert page.value("/Not a diagnosis/.test(document.getElementById('status').textContent)")
    assert page.problems == []


def test_an_error_is_shown_where_a_person_looks(page, server):
    opened(page, server, 1200)
    page.value("document.getElementById('count').max = 99; document.getElementById('count').value = 9")
    page.value("document.querySelector('#generate button').click()")
    shown = page.until("document.querySelector('#status.bad')?.textContent")
    assert shown == "9 instances: at most 8 are answered at a time"


def test_the_page_works_on_a_phone_and_by_keyboard(page, server):
    opened(page, server, 375)
    assert page.value("document.documentElement.scrollWidth") <= 375
    assert page.value("getComputedStyle(document.querySelector('.notice')).display") == "block"
    reached = []
    for _ in range(5):
        page.key("Tab")
        reached.append(page.value("document.activeElement.id || document.activeElement.textContent"))
    assert reached == ["model", "class", "seed", "count", "Generate"]
    page.key("Enter")
    assert page.until("document.querySelectorAll('#results img').length") == 4
    assert page.problems == []
