"""For operators: everything of everyone (``GET /api/containers?all=true`` too), drain, dead letters."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.models import ContainerInfo, ContainerPage, DrainBody, Overview
from berth.leases.api.params import LeaseId


def admin_routes(app: FastAPI, desk: Desk, callers: Callers) -> None:
    """``/api/leases``."""
    admin = [Depends(callers.admin)]

    @app.get("/api/leases/overview", tags=["operators"], dependencies=admin)
    async def overview() -> Overview:
        """How many of what, and what is wrong."""
        return await desk.overview()

    @app.get("/api/leases/dead-letters", tags=["operators"], dependencies=admin)
    async def dead() -> ContainerPage:
        """Leases with a step that failed too often; removals are still tried, ever more rarely."""
        return await desk.dead_letters()

    @app.post("/api/leases/{lease}/retry", tags=["operators"], dependencies=admin)
    async def retry(lease: LeaseId) -> ContainerInfo:
        """Try what failed again, now."""
        return await desk.retry(lease)

    @app.post("/api/leases/drain", tags=["operators"], dependencies=admin)
    async def drain(body: DrainBody) -> Overview:
        """Take no new leases (or take them again); with ``end`` the running ones are ended as well."""
        return await desk.drain(body.drain, body.end)
