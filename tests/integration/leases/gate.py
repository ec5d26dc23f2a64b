"""One URL before two services, as the gateway gives it: these tests are about who may lease, not about HAProxy."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import httpx

_hop: Final = {"connection", "content-length", "host", "transfer-encoding"}


class Gate:
    """Passes /api/access/ on to ``access`` and all else to ``manager``; both are URLs and may come later."""

    def __init__(self) -> None:
        self.access = self.manager = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                target = outer.access if self.path.startswith("/api/access/") else outer.manager
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _hop}
                answer = httpx.request(self.command, target + self.path, headers=headers, content=body, timeout=60)
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name.lower() not in _hop:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 (the server looks for these names)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
