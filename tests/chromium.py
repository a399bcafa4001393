"""A page in headless Chromium, over its DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATIENCE = 120  # seconds; a loaded machine starts it slowly


def executable() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One page. `problems` holds what the console, the log and failed requests said; `requests` every address asked."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=_PATIENCE, suppress_origin=True)
        self._number = 0
        self._events: list[dict] = []
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def open(self, page: Path | str, width: int, *, dark: bool = False) -> None:
        """Loads a file from disk, with no network, or an address, on a screen of so many CSS pixels."""
        self.problems, self.requests, self._events = [], [], []
        offline = isinstance(page, Path)
        self.call(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        end = time.monotonic() + _PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            if time.monotonic() > end:
                raise TimeoutError(f"{page} did not load")
            self._note(json.loads(self._socket.recv()))

    def value(self, script: str) -> Any:
        """What an expression (or a promise) comes to."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """Waits for an expression that is true, and returns it."""
        end = time.monotonic() + _PATIENCE
        while not (found := self.value(script)):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.1)
        return found

    def key(self, name: str) -> None:
        """Presses a key: a letter, or `Tab`, `Enter`, `Space`, `Backspace`, `ArrowLeft`, `ArrowRight`."""
        code = {"Tab": 9, "Enter": 13, "Space": 32, "Backspace": 8, "ArrowLeft": 37, "ArrowRight": 39}.get(
            name, ord(name[0])
        )
        text = {"Enter": "\r", "Space": " "}.get(name, name.lower() if len(name) == 1 else "")
        key = text if len(name) == 1 or name == "Space" else name
        shared = {"key": key, "code": f"Key{name}" if len(name) == 1 else name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def close(self) -> None:
        self._socket.close()

    def _note(self, message: dict) -> None:
        method, given = message.get("method", ""), message.get("params", {})
        self._events.append({"method": method})
        if method == "Runtime.exceptionThrown":
            self.problems.append(f"exception: {given['exceptionDetails'].get('text')}")
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(f"console: {given['type']}")
        elif method == "Log.entryAdded":
            self.problems.append(f"log: {given['entry']['text']}")
        elif method == "Network.loadingFailed":
            self.problems.append(f"failed: {given['errorText']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])


@contextlib.contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A tab of a new headless Chromium, whose profile is in `folder`."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--disable-extensions", "about:blank"]
    process = subprocess.Popen([executable(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file, end = folder / "DevToolsActivePort", time.monotonic() + _PATIENCE
        while not port_file.exists() or not port_file.read_text().strip():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Chromium did not start")
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_PATIENCE) as answer:
            address = next(t for t in json.load(answer) if t["type"] == "page")["webSocketDebuggerUrl"]
        page = Tab(address)
        yield page
        page.close()
    finally:
        process.terminate()
        process.wait(timeout=30)
