"""An HTTP server on loopback that answers as a test says: what stands in for an API in tests of its callers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any] | None
"""Status and body: text as it is, anything else as JSON; ``None`` hangs up without an answer."""


@dataclass(frozen=True)
class Asked:
    """A request; ``path`` without the query; ``body`` read as JSON, ``None`` where there is none."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: Any


class StandIn:
    """Subclasses say what is answered; ``asked`` has what was, in order.  Close it."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                outer._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (the server looks for these names)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, asked: Asked) -> Answer:
        """To be said by subclasses."""
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        asked = Asked(
            request.command, parts.path, parse_qs(parts.query), request.headers, json.loads(body) if body else None
        )
        self.asked.append(asked)
        told = self.answer(asked)
        request.close_connection = True
        if told is None:
            return
        status, answer = told
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        content = b"" if status == 204 else text
        request.send_response(status)
        request.send_header("Connection", "close")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
