"""A node that keeps its watcher waiting holds up nobody else's watch, and is not well itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from berth.access.api.metrics import ApiMetrics
from berth.access.api.nodes import NodeWatch, Watched
from berth.chain.endpoint import Block, Finality
from berth.chain.node_registry import Node, NodeRegistry
from tests.stand_in import Answer, Asked, StandIn

names = ("dripping", "sound")


class Dripping:
    """Answers as it should, at two bytes a second."""

    def __init__(self, after: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._after = after
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b" " * 100
        begun = answer.index(self._after) + len(self._after)
        try:
            connection.sendall(answer[:begun])
            for byte in answer[begun:]:
                time.sleep(0.5)
                connection.sendall(bytes([byte]))
        except OSError:
            connection.close()

    def close(self) -> None:
        self._socket.close()


class Sound(StandIn):
    """A node that is well until it is closed."""

    def answer(self, asked: Asked) -> Answer:
        return 200, {"interfacePublicKey": "key sound", "peers": {"total": 7, "connected": 0}, "silent": ["a"]}


class Registry(NodeRegistry):
    """Holds both."""

    def nodes(self, block: Block | Finality = "latest") -> tuple[Node, ...]:
        return tuple(Node(name, "0x", f"key {name}", "vpn.example:51820", "", 1, ()) for name in names)


@pytest.fixture(params=[b"H", b"\r\n\r\n"], ids=["from the first byte", "the body"])
def dripping(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    made = Dripping(request.param)
    yield made
    made.close()


@pytest.fixture
def sound() -> Iterator[Sound]:
    made = Sound()
    yield made
    made.close()


def test_a_dripping_node_holds_up_nobody_elses_watch(dripping: Dripping, sound: Sound) -> None:
    watched = {"dripping": Watched(dripping.url, "/ping"), "sound": Watched(sound.url, "/ping")}
    watch = NodeWatch(Registry(None, "0x"), watched, ApiMetrics(CollectorRegistry()))  # type: ignore[arg-type]  # asks no chain
    watch.start()
    try:
        until(lambda: health(watch) == {"dripping": False, "sound": True}, 5)
        until(lambda: watch.seen("a") is not None, 5)
        sound.close()
        until(lambda: health(watch) == {"dripping": False, "sound": False}, 8)
    finally:
        watch.stop()


def health(watch: NodeWatch) -> dict[str, bool]:
    return {node["id"]: node["healthy"] for node in watch.offered()}


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
