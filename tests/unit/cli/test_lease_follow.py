"""Following a log: over breaks of the connection, from where it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from berth.kit.client import ApiRefused, Unreachable
from berth.leases.client.follow import follow
from berth.leases.client.service import Caller, LeaseService
from tests.unit.cli.test_lease import line

Serve = Callable[[Callable[[ServerConnection, int], None]], str]


@pytest.fixture
def serving() -> Iterator[Serve]:
    """Serves WebSockets with what is given, which is told the number of the connection; its URL."""
    servers: list[Server] = []

    def begin(handler: Callable[[ServerConnection, int], None]) -> str:
        count = iter(range(1, 100))
        server = serve(lambda socket: handler(socket, next(count)), "127.0.0.1", 0)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.socket.getsockname()[1]}"

    yield begin
    for server in servers:
        server.shutdown()


def say(socket: ServerConnection, *records: dict[str, Any]) -> None:
    for record in records:
        socket.send(json.dumps(record))


def test_it_goes_on_behind_the_last_line_after_a_break(serving: Serve) -> None:
    paths: list[str] = []

    def handle(socket: ServerConnection, number: int) -> None:
        assert socket.request is not None
        paths.append(socket.request.path)
        assert socket.request.headers["Authorization"] == "Bearer t"
        if number == 1:
            say(socket, line(1), line(2))
            socket.socket.close()  # without a word, as a network does
        elif number == 2:
            say(socket, line(3))  # and a close that is clean, but no end
        else:
            say(socket, line(4, type="gap", lost=2), line(9), line(9, type="end", message="Its time is over."))

    told: list[str] = []
    with LeaseService(serving(handle), Caller(token="t")) as service:
        seen = [record["cursor"] for record in follow(service, "x", "db", told=told.append)]
    assert seen == ["1-0-1", "2-0-2", "3-0-3", "4-0-4", "9-0-9", "9-0-9"]
    assert paths == ["/ws/logs/x?role=db", "/ws/logs/x?after=2-0-2&role=db", "/ws/logs/x?after=3-0-3&role=db"]
    assert len(told) == 2
    assert "going on after 2-0-2" in told[0]


def test_a_refusal_is_final(serving: Serve) -> None:
    problem = {"type": "error", "status": 404, "detail": "there is no lease x", "reason": "not-found"}
    url = serving(lambda socket, _: say(socket, problem))
    with LeaseService(url) as service, pytest.raises(ApiRefused, match="there is no lease x") as caught:
        next(follow(service, "x"))
    assert (caught.value.status, caught.value.reason) == (404, "not-found")


def test_it_gives_up_where_nobody_answers() -> None:
    with LeaseService("http://127.0.0.1:9") as service, pytest.raises(Unreachable, match="cannot be followed"):
        next(follow(service, "x", patience=0.2))
