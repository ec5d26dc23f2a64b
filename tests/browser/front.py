"""What stands before page and API in a deployment, for tests: one origin, and nodes at a chosen distance."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_hop_by_hop = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Front:
    """Passes requests on by path: ``routes`` maps a prefix to ``host:port``, the longest that fits; ``/health`` is
    its own.  ``port`` 0 takes a free one."""

    def __init__(self, port: int, routes: dict[str, str]) -> None:
        self.routes = routes
        self.health: dict[str, Any] = {"status": "ok", "live": True, "ready": True, "checks": {}}
        self._sockets: set[socket.socket] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                outer._answer(self)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the server looks for these names)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def cut(self) -> int:
        """Breaks every WebSocket that is open, as a network does; how many those were."""
        cut = list(self._sockets)
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(cut)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if path == "/health":
            status = 503 if self.health["status"] == "failing" else 200
            return _send(request, status, [("Content-Type", "application/json")], json.dumps(self.health).encode())
        prefix = max((one for one in self.routes if path.startswith(one)), key=len, default=None)
        if prefix is None:
            return _send(request, 404, [], b"")
        target = self.routes[prefix]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return self._tunnel(request, target)
        sent = "/ping" if prefix.startswith("/nodes/") else request.path
        try:
            connection = http.client.HTTPConnection(target, timeout=20)
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            connection.request(request.command, sent, body or None, headers)
            answer = connection.getresponse()
            if answer.getheader("Content-Type", "").startswith("text/event-stream"):
                return _stream(request, answer)
            content = answer.read()
        except OSError:
            return _send(request, 503, [], b"")
        finally:
            connection.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _hop_by_hop]
        return _send(request, answer.status, kept, content)

    def _tunnel(self, request: BaseHTTPRequestHandler, target: str) -> None:
        """Bytes both ways, from the handshake on."""
        host, _, port = target.partition(":")
        request.close_connection = True
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as far:
            near = request.connection
            self._sockets.add(near)
            lines = [f"{request.command} {request.path} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
            far.sendall("\r\n".join([*lines, "", ""]).encode())
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self._sockets.discard(near)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _stream(request: BaseHTTPRequestHandler, answer: http.client.HTTPResponse) -> None:
    """Server-sent events as they come, until either side goes."""
    answer.fp.raw._sock.settimeout(60)  # type: ignore[attr-defined]
    request.close_connection = True
    request.send_response(answer.status)
    request.send_header("Content-Type", "text/event-stream")
    request.send_header("Connection", "close")
    request.end_headers()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while data := answer.read1(65536):
            request.wfile.write(data)
            request.wfile.flush()


def _send(request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    request.send_response(status)
    for name, value in headers:
        request.send_header(name, value)
    if status != 204:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    with contextlib.suppress(OSError):
        request.wfile.write(body)


class DelayRelay:
    """A TCP relay before ``target`` that takes ``seconds`` there and back, as distance would."""

    def __init__(self, target: tuple[str, int], seconds: float) -> None:
        self._target, self._half = target, seconds / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._stalled = False
        self._spawn(self._accept)

    def stall(self) -> None:
        """Falls silent, as a machine without power does: what is sent to it is lost, and nobody says so."""
        self._stalled = True

    def close(self) -> None:
        """Dies: nothing answers any more, and what was open is cut."""
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                self._spawn(lambda near=near, far=far: self._pump(near, far))
                self._spawn(lambda near=near, far=far: self._pump(far, near))

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self._half)
                if not self._stalled:
                    sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _spawn(work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()
