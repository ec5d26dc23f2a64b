"""Which TCP bridges of a node are offered: those it announced, but for those that are known to be ill."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry

from berth.access.api.metrics import ApiMetrics
from berth.access.api.nodes import NodeWatch, Watched
from berth.chain.endpoint import Block, Finality
from berth.chain.node_registry import Node, NodeRegistry


class Bridge:
    """Answers /health as told."""

    def __init__(self) -> None:
        self.status = 200
        bridge = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(bridge.status if self.path == "/health" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Registry(NodeRegistry):
    """Holds one node."""

    def nodes(self, block: Block | Finality = "latest") -> tuple[Node, ...]:
        bridges = ("vpn.example:443", "vpn.example:444", "elsewhere.example:443")
        return (Node("node-1", "0x", "key", "vpn.example:51820", "", 1, bridges),)


@pytest.fixture
def bridges() -> Iterator[list[Bridge]]:
    made = [Bridge(), Bridge()]
    yield made
    for one in made:
        one.close()


def test_a_bridge_that_is_ill_or_gone_is_not_offered_until_it_is_well_again(bridges: list[Bridge]) -> None:
    urls = {f"vpn.example:{443 + i}": one.url for i, one in enumerate(bridges)}
    # Watched, but not announced: nobody is told of it.
    urls["vpn.example:9"] = bridges[0].url
    watched = {"node-1": Watched("http://127.0.0.1:9", "/ping", urls)}
    watch = NodeWatch(Registry(None, "0x"), watched, ApiMetrics(CollectorRegistry()))  # type: ignore[arg-type]  # asks no chain

    def offered() -> list[str]:
        watch.look()
        (node,) = watch.offered()
        found: list[str] = node["bridges"]
        return found

    unwatched = "elsewhere.example:443"
    assert offered() == ["vpn.example:443", "vpn.example:444", unwatched]
    bridges[0].status = 503
    assert offered() == ["vpn.example:444", unwatched]
    assert watch.bridges() == [
        {"node": "node-1", "publicKey": "key", "endpoint": endpoint} for endpoint in ("vpn.example:444", unwatched)
    ]
    bridges[0].status = 200
    bridges[1].close()
    assert offered() == ["vpn.example:443", unwatched]
    watch.stop()


def test_nothing_is_offered_before_it_was_looked_at(bridges: list[Bridge]) -> None:
    watched = {"node-1": Watched("http://127.0.0.1:9", "/ping", {"vpn.example:443": bridges[0].url})}
    watch = NodeWatch(Registry(None, "0x"), watched, ApiMetrics(CollectorRegistry()))  # type: ignore[arg-type]  # asks no chain
    watch._read_registry()
    assert watch.offered()[0]["bridges"] == ["vpn.example:444", "elsewhere.example:443"]
    watch.stop()
