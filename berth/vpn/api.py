"""HTTP of a node: /health and /metrics for whoever may reach it, /control for whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from berth.access.errors import ChainError, TemporaryError
from berth.access.model import Block
from berth.kit.health import Health
from berth.kit.logging import get_logger
from berth.kit.problem import Problem
from berth.kit.serve import make_app
from berth.vpn.agent import Agent
from berth.vpn.errors import ApplyFailed, ListRefused, NodeError
from berth.vpn.metrics import NodeMetrics

_body_limit: Final = 4096  # bytes; a request for a list is about 250


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


def build(agent: Agent, token: SecretStr, health: Health, metrics: NodeMetrics, registry: CollectorRegistry) -> FastAPI:
    """The node's app."""
    expected = token.get_secret_value().encode()
    log = get_logger("control")

    # The token is asked for before anything of the request is read, so it is no matter of the single routes.
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        # What the router goes by; `request.url` is made of the caller's Host header as well.
        if not request.scope["path"].startswith("/control"):
            return await call_next(request)
        problem = _denial(request, expected)
        if problem is None:
            return await call_next(request)
        metrics.denied.labels(str(problem.status)).inc()
        log.warning("control call refused", status=problem.status, caller=request.client.host if request.client else "")
        return problem.response()

    app = make_app("berth WireGuard node", health, registry, guard)

    @app.get("/control/state")
    def state() -> dict[str, Any]:
        with _problems():
            return agent.state()

    @app.put("/control/list")
    def put_list(wanted: ListName) -> dict[str, Any]:
        with _problems():
            return agent.apply(wanted.digest, Block(wanted.block.number, wanted.block.hash))

    return app


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
def _problems() -> Iterator[None]:
    """What an agent raises, as problem documents.  Whatever it is, no peer was left half-changed unless it says so."""
    try:
        yield
    except ListRefused as error:
        raise Problem(409, str(error), title="The list cannot be reproduced") from error
    except ChainError as error:
        problem = Problem(503, f"{error}. The peers were not touched.", title="The chain cannot be read")
        if isinstance(error, TemporaryError):
            problem.headers["Retry-After"] = "5"
        raise problem from error
    except (ApplyFailed, NodeError) as error:
        get_logger("control").error("the list could not be applied", reason=str(error))
        raise Problem(500, str(error), title="The node could not apply the list") from error
