"""Starts the server: KServe's application with a page at `/`, a limit on requests, and nothing that unloads models."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesiongan.base.errors import UsageError
from lesiongan.base.progress import say
from lesiongan.serving import saved_models
from lesiongan.serving.model_artifact import find
from lesiongan.serving.server.answers import Answers, Limits
from lesiongan.serving.server.schema import openapi

PAGE = Path(__file__).with_name("page.html")
_THREADS = 8  # gRPC


def serve(models: Mapping[str, Path], *, host: str, port: int, grpc_port: int, limits: Limits) -> None:
    """Serves until it is stopped by a signal.

    Args:
        models: what each model is called -> where it is (see `model_artifact.find`).
        host: address to listen on; `0.0.0.0` in a container.
        port: of REST and of the page.
        grpc_port: 0: no gRPC.
        limits: of a request.

    Raises:
        UsageError: no such model, or KServe is not installed (the extra `serve`).
    """
    places = {name: find(place) for name, place in models.items()}  # refused before TensorFlow starts
    kserve = _kserve(limits)
    answers = [Answers(name, saved_models.load(place), limits) for name, place in places.items()]
    for each in answers:
        _warm_up(each)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn stops at it, and then raises it again
    asyncio.run(_run(kserve, answers, host, port, grpc_port, limits))


def _kserve(limits: Limits):
    """The package, which reads the command line while it is imported."""
    arguments, sys.argv = sys.argv, ["lesiongan", "--configure_logging", "false"]
    try:
        import kserve.model_server
    except ImportError as error:
        raise UsageError("the server is not installed: pip install 'lesiongan[serve]'") from error
    finally:
        sys.argv = arguments
    return kserve


async def _run(kserve, answers: list[Answers], host: str, port: int, grpc_port: int, limits: Limits) -> None:
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc.server import GRPCServer
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer

    from lesiongan.serving.server.kserve_model import AT_ONCE, LesionModel

    turn = asyncio.Semaphore(AT_ONCE)
    registry = kserve.ModelRepository()
    for each in answers:
        registry.update(LesionModel(each, turn))
    plane, extension = DataPlane(model_registry=registry), ModelRepositoryExtension(model_registry=registry)
    app = kserve.model_server.app
    _add_page(app, answers)
    app.add_middleware(LimitedBody, limit=limits.body)
    rest = RESTServer("kserve.model_server:app", plane, extension, port)
    rest.config.host = host
    waiting = [asyncio.create_task(rest.start())]
    if grpc_port:
        # PNG files and base64 make answers larger than requests
        lengths = {"grpc_max_receive_message_length": limits.body, "grpc_max_send_message_length": 8 * limits.body}
        grpc = GRPCServer(grpc_port, plane, extension, lengths, grace_period=5)
        waiting.append(asyncio.create_task(grpc.start(_THREADS)))
    names = ", ".join(each.name for each in answers)
    say(f"serves {names}: http://{host}:{port}" + (f", gRPC on port {grpc_port}" if grpc_port else ""))
    done, running = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)  # REST ends at a signal
    if grpc_port:
        await grpc.stop()
    for task in running:
        task.cancel()
    for task in done:
        task.result()


def _add_page(app, answers: list[Answers]) -> None:
    """Routes that come before KServe's own of the same path, and one line for what its own reading refuses."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, JSONResponse
    from starlette.exceptions import HTTPException

    async def refused(_: Any, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)

    async def unread(_: Any, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, status_code=400)

    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=_HEADERS)

    async def about() -> JSONResponse:
        return JSONResponse({"models": [each.about() for each in answers]})

    async def closed() -> JSONResponse:
        return JSONResponse({"error": "models are not loaded and unloaded over the network"}, status_code=404)

    # their annotations name classes that are known here alone, which the schema's maker could not look up
    app.add_api_route("/", page, include_in_schema=False, response_model=None)
    app.add_api_route("/about", about, response_model=None)
    hidden = {"include_in_schema": False, "response_model": None}
    app.add_api_route("/v2/repository/{rest:path}", closed, methods=["GET", "POST"], **hidden)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, unread)
    app.openapi = lambda: openapi(app, answers)


_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class LimitedBody:
    """ASGI middleware: a request with a larger body than the limit is answered with 413, whether it says so or not."""

    def __init__(self, app: Any, limit: int):
        self.app, self.limit = app, limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self.limit:
            await self._drain(receive)
            return await self._refuse(send)
        seen, answered = 0, False

        async def counted() -> dict:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooLarge
            return message

        async def watched(message: dict) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except _TooLarge:
            if not answered:
                await self._drain(receive)
                await self._refuse(send)

    async def _drain(self, receive: Any) -> None:
        """Reads on and keeps nothing: who is answered while still sending may see a reset in place of the answer."""
        seen = 0
        while seen < 8 * self.limit:
            message = await receive()
            seen += len(message.get("body", b""))
            if not message.get("more_body"):
                return

    async def _refuse(self, send: Any) -> None:
        text = f'{{"error": "the request is larger than {self.limit:,} bytes"}}'.encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": text})


class _TooLarge(Exception):
    pass


def _warm_up(answers: Answers) -> None:
    """The first answer takes seconds: it is asked for before anybody waits."""
    if answers.kind == "acgan":
        answers([{"class": answers.classes[0], "seed": 0}])
        return
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 160, 140)).save(stream, "PNG")
    answers([stream.getvalue()])
