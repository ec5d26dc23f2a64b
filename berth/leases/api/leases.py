"""Leases: ask for one, look, extend, pause, resume, end, open."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response

from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.models import (
    ContainerInfo,
    ContainerPage,
    ExtendBody,
    ProvisionBody,
    ScenarioList,
    SessionMade,
    Status,
    Username,
)
from berth.leases.api.params import Cursor, Idempotency, LeaseId, Limit, SessionId, Wait
from berth.leases.engine.admission import Asked
from berth.leases.store.users import Caller


def lease_routes(app: FastAPI, desk: Desk, callers: Callers) -> None:
    """``/api/scenarios``, ``/api/provision``, ``/api/containers``."""
    caller = Depends(callers.of)

    @app.get("/api/scenarios", tags=["leases"])
    async def scenarios() -> ScenarioList:
        """What can be leased."""
        return desk.scenarios()

    @app.post(
        "/api/provision",
        status_code=201,
        tags=["leases"],
        responses={200: {"model": ContainerInfo, "description": "This key was used: the lease that it made"}},
    )
    async def provision(
        body: ProvisionBody, response: Response, key: Idempotency = None, wait: Wait = 0, who: Caller = caller
    ) -> ContainerInfo:
        """Lease a container. It is starting when this answers; ``wait`` waits until it runs."""
        owner = callers.acting(who, body.username) if body.username else who
        seconds = None if body.duration_minutes is None else body.duration_minutes * 60.0
        asked = Asked(body.image_type, seconds, body.initial_tokens, body.exposure, body.pass_)
        made, new = await desk.provide(owner, asked, key, wait)
        if not new:
            response.status_code = 200
        return made

    @app.get("/api/containers", tags=["leases"])
    async def containers(
        cursor: Cursor = None,
        limit: Limit = 50,
        status: Status | None = None,
        ended: Annotated[bool, Query(description="also those that ended lately")] = False,
        username: Username | None = None,
        everyone: Annotated[bool, Query(alias="all", description="for admins: of all users")] = False,
        resources: Annotated[bool, Query(description="with what each uses")] = True,
        who: Caller = caller,
    ) -> ContainerPage:
        """The caller's leases, the newest first."""
        owner = callers.acting(who, username) if username else who
        if everyone:
            callers.require_admin(who)
        return await desk.page(None if everyone else owner, cursor, limit, status, ended, resources)

    @app.get("/api/containers/{lease}", tags=["leases"])
    async def container(lease: LeaseId, who: Caller = caller) -> ContainerInfo:
        """One lease."""
        return await desk.show(who, lease)

    @app.delete("/api/containers/{lease}", status_code=204, tags=["leases"])
    async def delete(
        lease: LeaseId,
        wait: Wait = 0,
        who: Caller = caller,
    ) -> None:
        """End a lease, in whatever phase it is; its container goes at once. Ending it again is no error."""
        await desk.end(who, lease, wait)

    @app.post("/api/containers/{lease}/extend", tags=["leases"])
    async def extend(lease: LeaseId, body: ExtendBody, key: Idempotency = None, who: Caller = caller) -> ContainerInfo:
        """Give it more minutes, up to the longest life."""
        return await desk.extend(who, lease, body.minutes * 60.0, key)

    @app.post("/api/containers/{lease}/pause", tags=["leases"])
    async def pause(lease: LeaseId, who: Caller = caller) -> ContainerInfo:
        """Stop its processes where they are; its remaining time stays. Pausing it again is no error."""
        return await desk.pause(who, lease)

    @app.post("/api/containers/{lease}/resume", tags=["leases"])
    async def resume(lease: LeaseId, who: Caller = caller) -> ContainerInfo:
        """Go on where it was paused."""
        return await desk.resume(who, lease)

    @app.post("/api/containers/{lease}/session", tags=["leases"])
    async def session(lease: LeaseId, who: Caller = caller) -> SessionMade:
        """A short-lived way into the lease through the gateway."""
        return await desk.session(who, lease)

    @app.delete("/api/containers/{lease}/session/{session}", status_code=204, tags=["leases"])
    async def end_session(lease: LeaseId, session: SessionId, who: Caller = caller) -> None:
        """End a session before its time; what is open to the lease is closed within two seconds."""
        await desk.revoke(who, lease, session)
