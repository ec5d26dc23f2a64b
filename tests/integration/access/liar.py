"""An endpoint in front of a real one, that answers truthfully until it is told to lie, to lag, or to be gone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from berth.chain.endpoint import Endpoint, TimeLimits
from berth.chain.quorum import Quorum

Bend = Callable[[str, list[Any], Any], Any]
"""Gets method, parameters and the true result, and returns what is said instead."""


class Liar:
    """``url`` is where it listens; ``bend`` what it makes of results; ``gone``: it closes connections unanswered."""

    def __init__(self, behind: str) -> None:
        self._behind, self._pool = behind, urllib3.PoolManager()
        self.bend: Bend = lambda method, params, result: result
        self.gone = False
        self.delay = 0.0
        self.url = ""

    def answer(self, body: bytes) -> bytes:
        """What it says to one request."""
        time.sleep(self.delay)
        request = json.loads(body)
        reply = self._pool.request("POST", self._behind, body=body, headers={"Content-Type": "application/json"})
        answer = reply.json()
        if "result" in answer:
            answer["result"] = self.bend(request["method"], request["params"], answer["result"])
        return json.dumps(answer).encode()


@contextmanager
def liar(behind: str) -> Iterator[Liar]:
    """A liar that listens on a loopback port."""
    made = Liar(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if made.gone:
                self.close_connection = True
                return
            answer = made.answer(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def quorum(liars: list[Liar], needed: int, report: Callable[[str], None] = lambda url: None) -> Quorum:
    """Their endpoints, of which so many have to agree."""
    return Quorum([Endpoint(one.url, 31337, TimeLimits(1, 2)) for one in liars], needed, report)
