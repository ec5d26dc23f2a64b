"""A JSON-RPC proxy that passes everything on and remembers what was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import urllib3


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(json.loads(body))
        headers = {"Content-Type": "application/json"}
        answer = self.server.pool.request("POST", self.server.upstream, body=body, headers=headers)
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.data)))
        self.end_headers()
        self.wfile.write(answer.data)

    def log_message(self, format: str, *args: Any) -> None:
        """What was asked is remembered, not printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    upstream: str
    pool: urllib3.PoolManager
    seen: list[dict[str, Any]]


class Recorder:
    """A context manager; ``url`` is where to call instead of ``upstream``."""

    def __init__(self, upstream: str) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream, self._server.pool, self._server.seen = upstream, urllib3.PoolManager(maxsize=8), []
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self) -> list[dict[str, Any]]:
        """The calls since the last time, in order."""
        seen, self._server.seen = self._server.seen, []
        return seen


def blocks_named(calls: list[dict[str, Any]]) -> set[str]:
    """The distinct blocks that contract calls asked for: hashes, or whatever else was said instead."""
    return {json.dumps(call["params"][1]) for call in calls if call["method"] == "eth_call"}
