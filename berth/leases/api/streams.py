"""What goes on while it is watched: logs over WebSockets, events over server-sent events."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, FastAPI, Header, Query, WebSocket
from fastapi.responses import StreamingResponse

from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.logsocket import serve_logs
from berth.leases.api.models import LogPage
from berth.leases.api.params import LeaseId, Limit, LogCursor, Role
from berth.leases.scenario import main
from berth.leases.store.users import Caller

_event_id: Final = r"^[0-9]{1,18}-[0-9]{1,18}$"  # what a Redis stream takes


def stream_routes(app: FastAPI, desk: Desk, callers: Callers) -> None:
    """``/api/containers/{id}/logs``, ``/ws/logs/{id}``, ``/api/events``."""
    caller = Depends(callers.of)

    @app.get("/api/containers/{lease}/logs", tags=["leases"])
    async def logs(
        lease: LeaseId, after: LogCursor = None, limit: Limit = 200, role: Role = main, who: Caller = caller
    ) -> LogPage:
        """What the lease wrote, a page of it. ``/ws/logs/{id}?after=`` follows it, as JSON lines of the same form."""
        return await desk.log_page(who, lease, after, limit, role)

    @app.websocket("/ws/logs/{lease}")
    async def follow(socket: WebSocket, lease: str, after: str = "", role: str = main) -> None:
        await serve_logs(socket, desk, callers, lease, after, role)

    @app.get(
        "/api/events",
        tags=["leases"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "server-sent events"}},
    )
    async def events(
        who: Caller = caller,
        last: Annotated[str | None, Header(alias="Last-Event-ID", pattern=_event_id)] = None,
        after: Annotated[str | None, Query(pattern=_event_id)] = None,
        everyone: bool = False,
    ) -> StreamingResponse:
        """What happens to the caller's leases (for admins with ``everyone``: to all), from now or from an id on."""
        if everyone:
            callers.require_admin(who)
        stream = desk.follow_events(None if everyone else who, last or after)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
