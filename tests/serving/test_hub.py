"""push-to-hub, against a server of ours that speaks the part of the Hub's API which an upload needs. Never the real
Hub."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import yaml

from lesiongan.base.errors import MachineError, UsageError
from lesiongan.base.files import write_json, write_text
from lesiongan.data.taxonomy import ISIC_2019
from lesiongan.serving import hub

pytest.importorskip("huggingface_hub", reason="pip install 'lesiongan[hub]'")


class Hub(BaseHTTPRequestHandler):
    """Repositories in memory: path -> bytes."""

    repositories: ClassVar[dict[str, dict[str, bytes]]] = {}
    private: ClassVar[dict[str, bool]] = {}
    refuses = False

    def do_POST(self):
        body = self._body()
        if self.refuses:
            return self._answer({"error": "no room"}, 403)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
            self.repositories.setdefault(name, {})
            self.private[name] = asked.get("visibility") == "private" or asked.get("private") is True
            return self._answer({"url": f"{self.server.address}/{name}", "name": name})
        if self.path == "/api/validate-yaml":
            front = json.loads(body)["content"].split("---\n", 2)[1]
            return self._answer({"errors": [], "warnings": []} if yaml.safe_load(front) else {"errors": ["empty"]})
        name, _, verb = self.path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
        if verb == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for file in json.loads(body)["files"]
            ]
            return self._answer({"files": files})
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.repositories[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return self._answer({"commitUrl": f"{self.server.address}/{name}/commit/1", "commitOid": "1", "success": True})

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self):
        return self._answer({"sha": "0", "id": "me/lesions", "siblings": []})

    def _answer(self, found: dict, status: int = 200) -> None:
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server(monkeypatch):
    running = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    running.address = f"http://127.0.0.1:{running.server_port}"
    Hub.repositories, Hub.private, Hub.refuses = {}, {}, False
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", running.address)
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    yield running
    running.shutdown()


@pytest.fixture
def model(tmp_path):
    write_text(tmp_path / "acgan" / "saved_model" / "saved_model.pb", "a model")
    write_text(tmp_path / "acgan" / "saved_model" / "variables" / "variables.index", "weights")
    record = {"format": 1, "name": "acgan", "kind": "acgan", "size": 64, "parameters": 1_234_567, "digest": "abc"}
    record |= {"taxonomy": ISIC_2019.to_dict(), "version": "0.2.0", "exported": {"measured": {"kid": 0.1234}}}
    write_json(tmp_path / "acgan" / "model.json", record)
    return tmp_path / "acgan"


def test_the_model_arrives_whole_with_its_card(server, model):
    where = hub.push(model, "me/lesions")
    assert where.startswith(f"{server.address}/me/lesions/commit")
    files = Hub.repositories["me/lesions"]
    assert set(files) == {
        "README.md",
        "model.json",
        "saved_model/saved_model.pb",
        "saved_model/variables/variables.index",
    }
    assert files["saved_model/saved_model.pb"] == b"a model"
    assert Hub.private["me/lesions"] is True
    _, front, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "cc-by-nc-4.0"
    for words in ("MEL (melanoma)", "For research", "1,234,567 weights", "| kid | 0.1234 |", '["MEL"]', "me/lesions"):
        assert words in text


def test_a_refusal_and_a_server_that_is_not_there_are_one_line(server, model, monkeypatch):
    Hub.refuses = True
    with pytest.raises(MachineError, match="the Hub refuses: "):
        hub.push(model, "me/lesions")
    server.shutdown()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MachineError, match="cannot be reached"):
        hub.push(model, "me/lesions")


def test_a_wrong_name_is_the_users_mistake(server, model):
    with pytest.raises(UsageError, match="give OWNER/NAME"):
        hub.push(model, "me/les ions")
    assert Hub.repositories == {}


def test_a_dry_run_lists_what_would_go(model, tmp_path):
    files = hub.prepared(model, tmp_path / "out", "me/lesions", "mit")
    assert files["saved_model/saved_model.pb"] == len("a model")
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()
