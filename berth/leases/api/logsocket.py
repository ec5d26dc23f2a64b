"""``/ws/logs/{id}``: one JSON object per message, see ``LogLine``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from berth.kit.logging import get_logger
from berth.kit.problem import Problem
from berth.kit.tasks import end
from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.streams.lines import Record, shown

_refused: Final = 1008
_ended: Final = 1000
_log = get_logger("logs")


async def serve_logs(socket: WebSocket, desk: Desk, callers: Callers, lease: str, after: str, role: str) -> None:
    """Follows a lease's log until it ends or the reader goes; what is refused is told in one message of type error."""
    offered = [p.strip() for p in socket.headers.get("sec-websocket-protocol", "").split(",")]
    await socket.accept(subprotocol="berth" if "berth" in offered else None)
    try:
        who = await callers.of_socket(socket)
        found = await desk.with_role(who, lease, role)
        stream = desk.logs.follow(found, role, after or None)
        # Both at once: a reader who leaves while nothing is written has to be noticed as well.
        sending = asyncio.create_task(_send(socket, stream, role))
        leaving = asyncio.create_task(_leave(socket))
        try:
            done, _ = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(sending, leaving)
        if sending in done:
            sending.result()
        await _close(socket, _ended)
    except Problem as problem:
        body = {"type": "error", **json.loads(bytes(problem.response().body))}
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(json.dumps({**body, "type": "error"}))
        await _close(socket, _refused)
    except (WebSocketDisconnect, RuntimeError) as error:
        _log.debug("a reader left", lease=lease, reason=str(error))


async def _send(socket: WebSocket, stream: AsyncGenerator[list[Record], None], role: str) -> None:
    async with aclosing(stream) as source:
        async for records in source:
            for record in records:
                await socket.send_text(json.dumps(shown(record, role)))


async def _leave(socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive()  # nothing that a reader says means anything here


async def _close(socket: WebSocket, code: int) -> None:
    if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code)
