"""Answers that say nothing mean "not known", whatever their status."""

from __future__ import annotations

import asyncio

import pytest

from berth.leases.dock import Conflict, Dock, Missing
from berth.leases.errors import LeaseError, Permanent, Unknown


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
