"""Calls to the daemon: one connection each, written from what the guard understood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from berth.leases.guard.errors import DockerAway

_chunk: Final = 64 * 1024
_connect_seconds: Final = 5.0
_answer_limit: Final = 4 * 1024 * 1024  # bytes of an answer that the guard itself reads


@dataclass
class Answer:
    """The daemon's answer: its head, and its body as it comes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: h11.Connection
    ended: bool = field(default=False)

    @property
    def upgraded(self) -> bool:
        return self.status == 101

    async def piece(self) -> bytes | None:
        """The next piece of the body; None at its end.  Errors: :class:`DockerAway` when it breaks off."""
        while not self.ended:
            try:
                event = await _event(self.reader, self.connection)
            except (OSError, h11.RemoteProtocolError) as error:
                raise DockerAway("its answer breaks off") from error
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                self.ended = True
        return None

    def rest(self) -> bytes:
        """After an upgrade: what came with the head."""
        return bytes(self.connection.trailing_data[0])


class Upstream:
    """The daemon behind its socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    @asynccontextmanager
    async def ask(
        self, method: str, target: str, body: bytes | None = None, kind: str = "application/json", upgrade: bool = False
    ) -> AsyncIterator[Answer]:
        """The head of the answer; the connection is closed afterwards.

        Errors: :class:`DockerAway`.
        """
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(self._path), _connect_seconds)
        except (OSError, TimeoutError) as error:
            raise DockerAway(getattr(error, "strerror", None) or "no connection") from error
        try:
            connection = h11.Connection(h11.CLIENT)
            try:
                writer.write(_written(connection, method, target, body, kind, upgrade))
                await writer.drain()
                while True:
                    event = await _event(reader, connection)
                    if isinstance(event, h11.Response) or (
                        isinstance(event, h11.InformationalResponse) and event.status_code == 101
                    ):
                        break
                    if isinstance(event, h11.ConnectionClosed):
                        raise DockerAway("it closed the connection")
            except (OSError, h11.RemoteProtocolError) as error:
                raise DockerAway(type(error).__name__) from error
            yield Answer(event.status_code, list(event.headers), reader, writer, connection)
        finally:
            writer.close()

    async def json(self, method: str, target: str) -> tuple[int, Any]:
        """Status and document of a call of the guard's own."""
        async with self.ask(method, target) as answer:
            read = bytearray()
            while (piece := await answer.piece()) is not None:
                read += piece
                if len(read) > _answer_limit:
                    raise DockerAway("its answer is too long")
            try:
                return answer.status, json.loads(bytes(read) or b"null")
            except ValueError as error:
                raise DockerAway("its answer is not JSON") from error


def _written(
    connection: h11.Connection, method: str, target: str, body: bytes | None, kind: str, upgrade: bool
) -> bytes:
    head = [("Host", "docker"), ("Connection", "Upgrade" if upgrade else "close")]
    if upgrade:
        head.append(("Upgrade", "tcp"))
    if body is not None:
        head += [("Content-Type", kind), ("Content-Length", str(len(body)))]
    elif method in ("POST", "PUT") and not upgrade:
        head.append(("Content-Length", "0"))
    events = [
        h11.Request(method=method, target=target, headers=head),
        *([h11.Data(data=body)] if body else []),
        h11.EndOfMessage(),
    ]
    return b"".join(connection.send(event) or b"" for event in events)


async def _event(reader: asyncio.StreamReader, connection: h11.Connection) -> Any:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA and event is not h11.PAUSED:
            return event
        connection.receive_data(await reader.read(_chunk))
