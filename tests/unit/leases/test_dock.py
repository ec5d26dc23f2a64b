"""Answers that say nothing mean "not known", whatever their status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from berth.leases.dock import Conflict, Dock, Missing
from berth.leases.errors import LeaseError, Permanent, Unknown
from tests.stand_in import Answer, Asked, StandIn


async def stats(status: str, body: bytes) -> object:
    """What comes of an answer to a question for statistics."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    dock = Dock(f"tcp://{host}:{port}", 1)
    try:
        return await dock.stats("x")
    finally:
        await dock.close()
        server.close()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("200 OK", b"", Unknown),  # Docker's, of a container that goes while it is asked
        ("200 OK", b"null", Unknown),
        ("200 OK", b'{"cpu', Unknown),
        ("500 Internal Server Error", b'{"message": "broken"}', Unknown),
        ("404 Not Found", b'{"message": "no such container"}', Missing),
        ("409 Conflict", b'{"message": "not running"}', Conflict),
        ("400 Bad Request", b"what?", Permanent),
    ],
)
def test_what_an_answer_means(status: str, body: bytes, error: type[LeaseError]) -> None:
    with pytest.raises(error):
        asyncio.run(stats(status, body))


def test_an_answer_that_says_something() -> None:
    assert asyncio.run(stats("200 OK", b'{"read": "now"}')) == {"read": "now"}


class Daemon(StandIn):
    """Refuses every container whose disk is bounded, and says ``pulled`` of every pull."""

    def __init__(self, pulled: str = "") -> None:
        super().__init__()
        self.pulled = pulled

    def answer(self, asked: Asked) -> Answer:
        if asked.path.endswith("/images/create"):
            return 200, json.dumps({"status": "Pulling"}) + "\n" + json.dumps({"error": self.pulled}) + "\n"
        if "StorageOpt" in asked.body["HostConfig"]:
            told = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
            return 400, {"message": told}
        return 201, {"Id": "made"}


def with_dock(daemon: Daemon, do: Callable[[Dock], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        dock = Dock(daemon.url.replace("http", "tcp"), 1)
        try:
            return await do(dock)
        finally:
            await dock.close()

    try:
        return asyncio.run(run())
    finally:
        daemon.close()


def test_a_disk_is_bounded_where_the_driver_can() -> None:
    daemon, body = Daemon(), {"Image": "x", "HostConfig": {"StorageOpt": {"size": "64m"}, "Memory": 1}}

    async def twice(dock: Dock) -> list[str]:
        return [await dock.create(name, body) for name in ("first", "second")]

    assert with_dock(daemon, twice) == ["made", "made"]
    assert [sorted(one.body["HostConfig"]) for one in daemon.asked] == [
        ["Memory", "StorageOpt"],
        ["Memory"],
        ["Memory"],
    ]


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("manifest for x:1 not found: manifest unknown", Permanent),
        ("pull access denied for x, repository does not exist", Permanent),
        ("Get https://registry.example/v2/: dial tcp: lookup registry.example: no such host", Unknown),
        ("toomanyrequests: rate exceeded", Unknown),
        ("net/http: TLS handshake timeout", Unknown),
    ],
)
def test_only_what_is_nowhere_is_not_asked_for_again(told: str, error: type[LeaseError]) -> None:
    with pytest.raises(error, match="cannot be pulled") as raised:
        with_dock(Daemon(told), lambda dock: dock.pull("x:1"))
    assert raised.type is error
