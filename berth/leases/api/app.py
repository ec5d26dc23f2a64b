"""HTTP of the lease manager."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CollectorRegistry
from pydantic import StringConstraints

from berth.access.api import origins
from berth.access.api.bounded import Rate
from berth.kit.health import Health
from berth.kit.logging import get_logger
from berth.kit.serve import Next, make_app
from berth.leases.api import reference
from berth.leases.api.admin import admin_routes
from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.leases import lease_routes
from berth.leases.api.streams import stream_routes
from berth.leases.api.users import user_routes
from berth.leases.errors import LeaseError, Refused

body_limit: Final = 16 * 1024  # bytes
_open: Final = frozenset({"/health", "/metrics"})

description: Final = """
Containers by the hour. `POST /api/provision` leases one; it runs within a second, is told before its time is over, and
is gone within two seconds of it. Errors are problem documents (RFC 9457): `reason` for programs, `detail` for people.

**Who is asking.** With `LEASE_ACCESS=open` nobody has to say; a name in `X-Berth-User` (or `username`) is believed.
With `token`, send `Authorization: Bearer <token>` of `POST /api/users`. With `pass`, sign in with the wallet that holds
an access pass (`/api/access/session`), or send such a token. What is somebody else's is 404.

**Trying again.** Send an `Idempotency-Key` (up to 64 characters) with what creates or extends: the same request with
the same key does it once, and answers the same.
"""

IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]


def build(desk: Desk, callers: Callers, health: Health, registry: CollectorRegistry) -> FastAPI:
    """The app; what it does is the desk's."""
    rate = Rate(desk.settings.requests_per_minute)
    proxies = desk.settings.proxies

    async def guard(request: Request, call_next: Next) -> Response:
        if request.scope["path"] in _open:
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
    _described(app)
    return app


def _described(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title="berth leases", version="1", description=description, routes=app.routes, openapi_version="3.1.0"
            )
            # Ours are problem documents; FastAPI would describe its own form of a refusal.
            schemas = made["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
            for path, methods in made["paths"].items():
                if path in _open:
                    continue
                for operation in methods.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["default"] = {"description": "A problem (RFC 9457)", "content": problem}
            made["paths"] = {path: of for path, of in made["paths"].items() if path not in _open}
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    def describe() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(app.openapi()), headers={"Content-Security-Policy": reference.policy})


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
