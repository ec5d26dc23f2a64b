"""Which node a client takes, measured: three at a distance, one that dies, and load between equals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from berth.access.client import probe

distances = {"far": 0.100, "near": 0.005, "middle": 0.050}


class Far:
    """Answers pings after a while, as a node at that distance would."""

    def __init__(self, seconds: float) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                time.sleep(seconds)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/ping"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def nodes() -> Iterator[dict[str, Far]]:
    made = {name: Far(seconds) for name, seconds in distances.items()}
    yield made
    for one in made.values():
        one.close()


def offered(nodes: dict[str, Far], **changes: Any) -> list[dict[str, Any]]:
    return [
        {"id": name, "probeUrl": one.url, "healthy": True, "connected": 0, **changes} for name, one in nodes.items()
    ]


def test_the_nearest_of_three_and_after_its_death_the_second(nodes: dict[str, Far]) -> None:
    assert probe.choose(probe.measure("http://gateway", offered(nodes))).node["id"] == "near"
    nodes["near"].close()
    # Its host is gone as well: nothing answers the probe, whatever the service still says of it.
    measured = probe.measure("http://gateway", offered(nodes))
    assert [one.node["id"] for one in probe.ranked(measured)] == ["middle", "far", "near"]
    assert all(one.seconds is None or one.seconds >= distances[one.node["id"]] for one in measured)
