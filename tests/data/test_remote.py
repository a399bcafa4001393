"""Data in object storage, copied from a local S3 server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.data import remote

pytest.importorskip("s3fs", reason="pip install 'lesiongan[cloud]'")
FILES = {"classes/MEL/1.png": b"one", "classes/NV/2.png": b"two", "truth.csv": b"image,MEL\n"}


@pytest.fixture(scope="module")
def server():
    """A bucket with `FILES` below `isic/`, and what consoles and careless people put beside them."""
    moto = pytest.importorskip("moto.server", reason="pip install moto[server]")
    boto3 = pytest.importorskip("boto3")
    running = moto.ThreadedMotoServer(port=0)
    running.start()
    _, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for key in list(os.environ):
            if key.startswith("AWS_"):
                patch.delenv(key)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "word")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        for name, content in FILES.items():
            client.put_object(Bucket="bucket", Key=f"isic/{name}", Body=content)
        client.put_object(Bucket="bucket", Key="isic/classes/", Body=b"")
        client.put_object(Bucket="bucket", Key="isic-2/other.png", Body=b"not below isic/")
        client.put_object(Bucket="bucket", Key="hostile/../../../etc/x", Body=b"x")
        yield client
    running.stop()


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What a person is told."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "say", lines.append)
    return lines


def test_everything_below_the_url_is_copied_and_nothing_twice(server, tmp_path, said):
    assert remote.fetch("s3://bucket/isic", tmp_path) == tmp_path / "isic"
    assert contents(tmp_path / "isic") == FILES
    assert said == ["s3://bucket/isic: 3 files, 0.0 GB, 3 to copy", "copied 3 of 3 files"]
    said.clear()
    remote.fetch("s3://bucket/isic/", tmp_path)
    assert said == ["s3://bucket/isic/: 3 files, 0.0 GB, 0 to copy"]


def test_an_interrupted_copy_goes_on_and_a_changed_object_is_copied_again(server, tmp_path, said):
    remote.fetch("s3://bucket/isic", tmp_path)
    (tmp_path / "isic" / "truth.csv").unlink()
    (tmp_path / "isic" / "gone.png").write_bytes(b"was in the bucket when the copy began")
    server.put_object(Bucket="bucket", Key="isic/classes/MEL/1.png", Body=b"new")  # as long as before
    said.clear()
    remote.fetch("s3://bucket/isic", tmp_path)
    assert said[0].endswith("2 to copy")
    assert contents(tmp_path / "isic") == {**FILES, "classes/MEL/1.png": b"new"}
    server.put_object(Bucket="bucket", Key="isic/classes/MEL/1.png", Body=FILES["classes/MEL/1.png"])


def test_one_object_is_one_file(server, tmp_path):
    assert remote.fetch("s3://bucket/isic/truth.csv", tmp_path).read_bytes() == FILES["truth.csv"]


def test_what_cannot_be_copied_is_one_line_and_nothing_is_written_elsewhere(server, tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    for url, said in (
        ("s3://bucket/nothing", "nothing below it"),
        ("s3://no-such-bucket/x", "no such bucket"),
        ("s3://bucket/hostile", "is no name for a file"),
    ):
        with pytest.raises(UsageError, match=said):
            remote.fetch(url, folder)
    assert contents(tmp_path) == {}


def test_a_server_that_does_not_answer_is_one_line(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(MachineError) as error:
        remote.fetch("s3://bucket/isic", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "is_remote"), [("s3://b/x", True), ("gs://b/x", True), ("/mnt/s3://b", False), ("phantoms", False)]
)
def test_which_data_are_remote(data, is_remote):
    assert remote.is_remote(data) is is_remote
