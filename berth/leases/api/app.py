"""HTTP of the lease manager."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry

from berth.access.api import origins
from berth.access.api.bounded import Rate
from berth.kit.health import Health
from berth.kit.logging import get_logger
from berth.kit.serve import Next, make_app
from berth.leases.api.admin import admin_routes
from berth.leases.api.callers import Callers
from berth.leases.api.described import describe, open_paths
from berth.leases.api.desk import Desk
from berth.leases.api.leases import lease_routes
from berth.leases.api.streams import stream_routes
from berth.leases.api.users import user_routes
from berth.leases.errors import LeaseError, Refused

body_limit: Final = 16 * 1024  # bytes


def build(desk: Desk, callers: Callers, health: Health, registry: CollectorRegistry) -> FastAPI:
    """The app; what it does is the desk's."""
    rate = Rate(desk.settings.requests_per_minute)
    proxies = desk.settings.proxies

    async def guard(request: Request, call_next: Next) -> Response:
        if request.scope["path"] in open_paths:
            return await call_next(request)
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        caller = origins.caller(peer, forwarded[-1] if forwarded else None, proxies)
        if wait := rate.take(caller):
            return Refused(
                429, "rate-limited", f"too many requests: try again in {wait:.0f} s", retry_after=wait
            ).response()
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > body_limit:
            return Refused(413, "body-too-large", f"a request has a length, of at most {body_limit} bytes").response()
        response = await call_next(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    app = make_app("berth leases", health, registry, guard)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(LeaseError, _unavailable)
    user_routes(app, desk, callers)
    lease_routes(app, desk, callers)
    stream_routes(app, desk, callers)
    admin_routes(app, desk, callers)
    describe(app, desk.settings)
    return app


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Inputs are left out: they may hold secrets.
    faults = [{"where": ".".join(str(part) for part in e["loc"]), "what": e["msg"]} for e in error.errors()]
    told = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return Refused(422, "malformed", f"the request is not as expected: {told}", errors=faults).response()


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    """What is not the caller's fault: MongoDB or Docker do not do what they should, and may soon."""
    if isinstance(error, Refused):
        return error.response()
    # The reason names what is behind, which is the operator's business.
    get_logger("http").error("a request could not be served", path=request.url.path, reason=str(error))
    told = "the leases cannot be reached right now: nothing was lost, try the same again in some seconds"
    return Refused(503, "unavailable", told, retry_after=3).response()
