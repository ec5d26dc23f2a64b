"""``/openapi.json`` and ``/docs``: the API as this stack serves it: what it can lease, for how long, and who asks."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from berth.access.api.sessions import cookie_name
from berth.leases.api import reference
from berth.leases.settings import ManagerSettings

open_paths: Final = frozenset({"/health", "/metrics"})

_description: Final = """
Containers by the hour. `POST /api/provision` leases one; it runs within a second, is told before its time is over, and
is gone within two seconds of it. Errors are problem documents (RFC 9457): `reason` for programs, `detail` for people.

**Who is asking.** With `LEASE_ACCESS=open` nobody has to say; a name in `X-Berth-User` (or `username`) is believed.
With `token`, send `Authorization: Bearer <token>` of `POST /api/users`. With `pass`, sign in with the wallet that holds
an access pass (`/api/access/session`), or send such a token. What is somebody else's is 404.

**Trying again.** Send an `Idempotency-Key` (up to 64 characters) with what creates or extends: the same request with
the same key does it once, and answers the same.
"""
_nobody_asks_who: Final = frozenset({("/api/scenarios", "get"), ("/api/users", "post")})
_lease: Final = "/api/containers/{lease}"
_link_targets: Final = (
    (_lease, "get"), (_lease, "delete"), (f"{_lease}/extend", "post"), (f"{_lease}/pause", "post"),
    (f"{_lease}/resume", "post"), (f"{_lease}/session", "post"), (f"{_lease}/logs", "get"),
)  # fmt: skip
_own: Final = "/api/users/{username}/container"


def describe(app: FastAPI, settings: ManagerSettings) -> None:
    """Adds both to ``app``, whose other routes are there already."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, settings)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    def document() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(app.openapi()), headers={"Content-Security-Policy": reference.policy})


def _document(app: FastAPI, settings: ManagerSettings) -> dict[str, Any]:
    made = get_openapi(
        title="berth leases", version="1", description=_description, routes=app.routes, openapi_version="3.1.0"
    )
    made["paths"] = {path: of for path, of in made["paths"].items() if path not in open_paths}
    schemas = made["components"]["schemas"]
    _problems(made["paths"], schemas)
    _choices(schemas, settings)
    _links(made["paths"])
    _callers(made, settings)
    return made


def _problems(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Ours are problem documents; FastAPI would describe its own form of a refusal."""
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    for methods in paths.values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem (RFC 9457)", "content": problem}


def _choices(schemas: dict[str, Any], settings: ManagerSettings) -> None:
    """What the settings let a request ask for, so that whoever reads the description asks for nothing else."""
    scenarios = list(settings.catalogue.scenarios)
    least, most = settings.min_duration_minutes, settings.max_duration_minutes
    asked, of_user = schemas["ProvisionBody"]["properties"], schemas["UserContainerBody"]["properties"]
    asked["imageType"] |= {"enum": scenarios, "examples": scenarios[:1]}
    _some(of_user["scenarioType"]).update(enum=scenarios)
    of_user["scenarioType"]["examples"] = scenarios[:1]
    _some(asked["durationMinutes"]).update(minimum=least, maximum=most)
    lifetime = _some(of_user["lifetime"])
    lifetime.pop("exclusiveMinimum", None)
    lifetime.update(minimum=least / 60, maximum=most / 60)
    through_a_tunnel = {
        "if": {"properties": {"exposure": {"const": "vpn"}}, "required": ["exposure"]},
        "then": {"properties": {"pass": {"type": "string"}}, "required": ["pass"]},
    }
    for name in ("ProvisionBody", "UserContainerBody"):
        schemas[name] |= through_a_tunnel


def _some(schema: dict[str, Any]) -> dict[str, Any]:
    """Of what may also be null, the schema of what is not."""
    found: dict[str, Any] = next(one for one in schema["anyOf"] if one.get("type") != "null")
    return found


def _links(paths: dict[str, Any]) -> None:
    """What a lease's id, and a session's are good for."""
    of_lease = {
        f"{method} {path.removeprefix(_lease).strip('/') or 'lease'}": _link(paths, path, method)
        for path, method in _link_targets
    }
    for path, method in (("/api/provision", "post"), (_own, "put")):
        for status in ("200", "201"):
            paths[path][method]["responses"][status]["links"] = of_lease
    closing = paths[f"{_lease}/session/{{session}}"]["delete"]["operationId"]
    paths[f"{_lease}/session"]["post"]["responses"]["200"]["links"] = {
        "end": {
            "operationId": closing,
            "parameters": {"lease": "$request.path.lease", "session": "$response.body#/id"},
        }
    }


def _link(paths: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    return {"operationId": paths[path][method]["operationId"], "parameters": {"lease": "$response.body#/id"}}


def _callers(made: dict[str, Any], settings: ManagerSettings) -> None:
    """How callers say who they are; where access is open, they may."""
    bearer = {"type": "http", "scheme": "bearer", "description": "an API token, or the operator's"}
    schemes, ways = {"token": bearer}, [{"token": list[str]()}]
    if settings.lease_access == "pass":
        schemes["session"] = {"type": "apiKey", "in": "cookie", "name": cookie_name}
        ways.append({"session": []})
    made["components"]["securitySchemes"] = schemes
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            free = (path, method) in _nobody_asks_who and not (method == "post" and settings.lease_access == "pass")
            for_operators = "operators" in operation.get("tags", ()) and settings.admin_token is not None
            if free or (settings.lease_access == "open" and not for_operators):
                operation["security"] = [{}, *ways]
            else:
                operation["security"] = ways
