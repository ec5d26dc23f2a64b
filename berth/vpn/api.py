"""HTTP of a node: /health, /stats, /metrics and /ping for whoever may reach it, /control for whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from berth.access.errors import ChainError, OlderBlock, TemporaryError
from berth.access.model import Block
from berth.kit.health import Health
from berth.kit.logging import get_logger
from berth.kit.problem import Problem
from berth.kit.serve import make_app
from berth.vpn.agent import Agent
from berth.vpn.errors import ApplyFailed, ListRefused, NodeError, NotPending
from berth.vpn.metrics import NodeMetrics

_body_limit: Final = 4096  # bytes; a request for a list is about 250

Stats = Callable[[bool], dict[str, Any]]


class BlockName(BaseModel):
    """A block by number and hash."""

    model_config = ConfigDict(extra="forbid", strict=True)

    number: Annotated[int, Field(ge=0, lt=2**64)]
    hash: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]


class ListName(BaseModel):
    """A list by its digest and the block that it was read at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
    block: BlockName


class Approval(BaseModel):
    """The mass removal that a person lets happen, by the id that the status shows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{1,40}$")]


def build(
    agent: Agent,
    token: SecretStr,
    health: Health,
    metrics: NodeMetrics,
    registry: CollectorRegistry,
    stats: Stats = lambda _: {},
) -> FastAPI:
    """The node's app; ``stats`` gives what /stats shows, told whether to be brief (see Stats)."""
    expected = token.get_secret_value().encode()
    refusals = Refusals(metrics)

    # The token is asked for before anything of the request is read, so it is no matter of the single routes.
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        # What the router goes by; `request.url` is made of the caller's Host header as well.
        if not request.scope["path"].startswith("/control"):
            return await call_next(request)
        problem = _denial(request, expected)
        if problem is None:
            return await call_next(request)
        refusals.note(str(problem.status), problem.detail, request.client.host if request.client else "")
        return problem.response()

    app = make_app("berth WireGuard node", health, registry, guard)

    @app.get("/ping", status_code=204)
    def ping(response: Response) -> None:
        """For whoever measures how near this node is: pages of another origin may see that it answers, no more."""
        response.headers["Access-Control-Allow-Origin"] = "*"

    @app.get("/stats")
    def show_stats(peers: Literal["all", "heard"] = "all") -> JSONResponse:
        with _problems(refusals):
            # Not by the framework's encoder, which takes a second of all other threads where there are many peers.
            return JSONResponse(stats(peers == "heard"))

    @app.get("/control/state")
    def state() -> dict[str, Any]:
        with _problems(refusals):
            return agent.state()

    @app.get("/control/status")
    def status() -> dict[str, Any]:
        return {**agent.status(), "failing": health.failing()}

    @app.put("/control/list")
    def put_list(wanted: ListName) -> dict[str, Any]:
        with _problems(refusals):
            return agent.apply(wanted.digest, Block(wanted.block.number, wanted.block.hash))

    @app.post("/control/approve")
    def approve(wanted: Approval) -> dict[str, Any]:
        with _problems(refusals):
            agent.approve(wanted.id)
            return status()

    @app.get("/control/receipts")
    def receipts(limit: Annotated[int, Query(ge=1, le=500)] = 20) -> dict[str, Any]:
        return {"receipts": agent.receipts(limit)}

    return app


class Refusals:
    """Counts every refused call, and logs each reason and caller once in a row: a loop that fails is one line."""

    def __init__(self, metrics: NodeMetrics) -> None:
        self._metrics = metrics
        self._last = ("", "", "")
        self._log = get_logger("control")

    def note(self, kind: str, reason: str, caller: str = "") -> None:
        """``kind`` is the metric's label: a status, or what was refused."""
        self._metrics.denied.labels(kind).inc()
        if (kind, reason, caller) != self._last:
            self._last = (kind, reason, caller)
            self._log.warning("control call refused", kind=kind, reason=reason, caller=caller)


def _denial(request: Request, expected: bytes) -> Problem | None:
    """Why the call may not go on, or None."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        denial = Problem(401, "the control API needs `Authorization: Bearer <token>`")
        denial.headers["WWW-Authenticate"] = "Bearer"
        return denial
    # In constant time: how long a refusal takes must not tell how much of a guess was right.
    if not hmac.compare_digest(given.encode(), expected):
        return Problem(403, "this is not the node's control token: the stack's configuration and the node disagree")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > _body_limit:
        return Problem(413, f"a control request has a length, of at most {_body_limit} bytes")
    return None


@contextmanager
def _problems(refusals: Refusals) -> Iterator[None]:
    """What an agent raises, as problem documents.  Whatever it is, no peer was left half-changed unless it says so."""
    try:
        yield
    except ListRefused as error:
        refusals.note("list", str(error))
        raise Problem(409, str(error), title="The list cannot be reproduced") from error
    except NotPending as error:
        refusals.note("approval", str(error))
        raise Problem(409, str(error), title="Nothing to approve") from error
    except ChainError as error:
        refusals.note("older" if isinstance(error, OlderBlock) else "chain", str(error))
        problem = Problem(503, f"{error}. The peers were not touched.", title="The chain cannot be read")
        if isinstance(error, TemporaryError):
            problem.headers["Retry-After"] = "5"
        raise problem from error
    except (ApplyFailed, NodeError) as error:
        get_logger("control").error("the list could not be applied", reason=str(error))
        raise Problem(500, str(error), title="The node could not apply the list") from error
