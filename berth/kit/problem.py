"""Errors over HTTP as problem documents (RFC 9457): what happened, why, and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from berth.kit.logging import get_logger

media_type = "application/problem+json"


class Problem(Exception):
    """Raise it in a handler; ``extra`` are further members of the document."""

    def __init__(self, status: int, detail: str, *, title: str = "", type: str = "about:blank", **extra: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.title, self.type, self.extra = status, detail, title, type, extra
        self.headers: dict[str, str] = {}

    def response(self) -> JSONResponse:
        """The document, with its status and media type."""
        body = {
            **self.extra,
            "type": self.type,
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(body, self.status, headers=self.headers, media_type=media_type)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem document."""

    async def ours(_: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)
        return problem.response()

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        problem = Problem(error.status_code, str(error.detail))
        problem.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["Allow"] = _allowed(app, request)
        return problem.response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        # Inputs are left out: they may hold secrets.
        faults = [{"where": ".".join(str(p) for p in e["loc"]), "what": e["msg"]} for e in error.errors()]
        told = "; ".join(f"{f['where']}: {f['what']}" for f in faults)
        return Problem(422, f"the request is not as expected: {told}", errors=faults).response()

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        get_logger("http").error("request failed", path=request.url.path, exc_info=error)
        return Problem(500, "an unexpected error, see the service's log for this correlation id").response()

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def _allowed(app: FastAPI, request: Request) -> str:
    """Every method of a path; Starlette names those of the first route alone that has it."""
    fitting = (route for route in app.routes if isinstance(route, Route))
    found = [route.methods or () for route in fitting if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for methods in found for method in methods}))
