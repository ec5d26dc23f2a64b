"""An HTTP service: the app every service starts from, and a server that stops gracefully."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from http import HTTPMethod
from time import perf_counter
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from berth.kit import metrics, problem
from berth.kit.health import Health
from berth.kit.logging import correlate, get_logger

grace_seconds: Final = 5
_longest_message: Final = 64 * 1024  # bytes, of a WebSocket's caller
_methods: Final = frozenset(HTTPMethod)
_quiet: Final = frozenset({"/health", "/health/{name}", "/metrics"})  # polled: logged only when they fail


Next = Callable[[Request], Awaitable[Response]]
Guard = Callable[[Request, Next], Awaitable[Response]]
"""Sees each request before its route does, and passes it on or answers by itself."""


def make_app(title: str, health: Health, registry: CollectorRegistry, guard: Guard | None = None) -> FastAPI:
    """A FastAPI app with /health, /metrics, problem documents, and a logged, correlated line per request."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    problem.install(app)
    seconds = Histogram("http_request_seconds", "Time to answer.", ["method", "route"], registry=registry)
    requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
    log = get_logger("http")

    if guard is not None:
        app.middleware("http")(guard)

    # Added last, so it is the outermost: what the guard refuses is logged and counted as well.
    @app.middleware("http")
    async def observe(request: Request, call_next: Next) -> Response:
        with correlate(request.headers.get("x-request-id")) as identifier:
            started = perf_counter()
            response = await call_next(request)
            elapsed = perf_counter() - started
            # The route's template, not the path, and known methods: what callers send must not become label values.
            route = getattr(request.scope.get("route"), "path", "none")
            method = request.method if request.method in _methods else "other"
            seconds.labels(method, route).observe(elapsed)
            requests.labels(method, route, response.status_code).inc()
            if route not in _quiet or response.status_code >= 500:
                log.info(
                    "request",
                    method=request.method,
                    path=request.url.path,
                    status=response.status_code,
                    milliseconds=round(elapsed * 1000, 1),
                )
            response.headers["X-Request-ID"] = identifier
            return response

    @app.get("/health")
    async def answer_health() -> JSONResponse:
        status, report = await run_in_threadpool(health.report)
        return JSONResponse(report, status)

    @app.get("/health/{name}", include_in_schema=False)
    async def answer_check(name: str) -> JSONResponse:
        found = await run_in_threadpool(health.one, name)
        if found is None:
            raise problem.Problem(404, "there is no such check; /health names them")
        return JSONResponse(found[1], found[0])

    @app.get("/metrics")
    async def answer_metrics() -> Response:
        text, content_type = metrics.render(registry)
        return Response(text, media_type=content_type)

    return app


def exit_on_signals() -> None:
    """Make SIGTERM and SIGINT end the process with status 0 by way of every ``finally``.

    Needed from the first line on: as process 1 of a container, a service without handlers ignores SIGTERM.
    """

    def leave(_: int, __: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def run(app: FastAPI, sockets: list[socket.socket]) -> None:
    """Serve on ``sockets`` until SIGTERM or SIGINT; open requests get ``grace_seconds`` to end.

    uvicorn stops by itself on these signals and raises them again when it is done, which :func:`exit_on_signals`
    turns into an orderly exit.
    """
    uvicorn.Server(_config(app)).run(sockets=sockets)


async def serve(app: FastAPI, sockets: list[socket.socket], websockets: bool = False) -> None:
    """As :func:`run`, in a loop that does other things as well."""
    await uvicorn.Server(_config(app, websockets)).serve(sockets=sockets)


def _config(app: FastAPI, websockets: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        # A service that has a proxy before it knows which one, and believes no other.
        proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
        lifespan="off",
        ws="websockets-sansio" if websockets else "none",
        ws_max_size=_longest_message,
        ws_per_message_deflate=False,
    )


def end_process() -> None:
    """Ends this process as SIGTERM would: in order, by way of every ``finally``."""
    os.kill(os.getpid(), signal.SIGTERM)


def listen(port: int, host: str = "0.0.0.0", device: str = "") -> socket.socket:
    """A listening TCP socket; with ``device`` it takes only what arrives on that network interface."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.bind((host, port))
    made.listen(128)
    return made
