"""What the API takes and gives, as its description (OpenAPI) shows it; camelCase outside, times in UTC (ISO 8601)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from berth.leases.model import Phase
from berth.leases.scenario import Exposure

Status = Literal["starting", "running", "stopped", "error"]
username_pattern: Final = r"^[a-z0-9]([a-z0-9_.-]{0,30}[a-z0-9])?$"

Username = Annotated[str, Field(pattern=username_pattern, examples=["alice"])]
Pass = Annotated[
    str | None,
    Field(
        alias="pass",
        pattern=r"^(0|[1-9][0-9]{0,77})$",
        description="with exposure vpn: through whose tunnel it is reached",
    ),
]


def _whole(given: object) -> object:
    """JSON has one kind of number: 5.0 is the integer 5, to its schema too."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


Minutes = Annotated[int, Field(ge=1, le=525_600), BeforeValidator(_whole)]
Tokens = Annotated[int, Field(ge=0, le=10**12), BeforeValidator(_whole)]


class _Body(BaseModel):
    """Exactly the members that are named, each of its type."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class _Shown(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


# ------------------------------------------------------------ asked


class UserBody(_Body):
    username: Username


class ProvisionBody(_Body):
    """``imageType`` is a scenario's name; without ``durationMinutes`` a lease has the longest life."""

    image_type: Annotated[str, Field(min_length=1, max_length=64, examples=["shell"])]
    duration_minutes: Minutes | None = None
    username: Annotated[Username | None, Field(description="with LEASE_ACCESS=open: who asks (guest)")] = None
    initial_tokens: Tokens | None = None
    exposure: Exposure | None = None
    pass_: Pass = None


class UserContainerBody(_Body):
    """As JuiceTokens' ``createUserContainer``; ``lifetime`` in hours, ``scenarioType`` a scenario's name."""

    lifetime: Annotated[float | None, Field(gt=0, le=8760)] = None
    scenario_type: Annotated[str | None, Field(min_length=1, max_length=64, examples=["basic"])] = None
    initial_tokens: Tokens | None = None
    exposure: Exposure | None = None
    pass_: Pass = None


class ExtendBody(_Body):
    minutes: Minutes


class DrainBody(_Body):
    """``drain``: no new leases; ``end`` also ends the running ones."""

    drain: bool
    end: bool = False


# ------------------------------------------------------------ shown


class UserMade(_Shown):
    """The token is shown this once; what is kept is its hash."""

    username: str
    token: str
    wallet: str | None
    created_at: datetime


class Me(_Shown):
    """Who the caller is here, and what they may still lease."""

    username: str
    admin: bool
    access: Literal["open", "token", "pass"]
    wallet: str | None
    leases: int
    most_leases: int
    total_leases: int
    most_total_leases: int


class Resources(_Shown):
    """Of all containers of a lease; CPU in percent of one core, the rest in bytes."""

    cpu_percent: float
    memory_bytes: int
    memory_limit_bytes: int
    network_rx_bytes: int
    network_tx_bytes: int
    pids: int


class Part(_Shown):
    """One container of a lease; ``state`` as Docker says it, ``health`` where the image or scenario checks it."""

    role: str
    image: str
    state: Literal["missing", "created", "running", "paused", "restarting", "removing", "exited", "dead"]
    health: Literal["starting", "healthy", "unhealthy"] | None
    exit_code: int | None
    restarts: int
    out_of_memory: bool


class Failure(_Shown):
    """What went wrong last: where, how often it was tried, and whether it is tried again (``dead``: no more)."""

    step: str
    message: str
    attempts: int
    dead: bool
    at: datetime
    next_at: datetime | None


class ContainerInfo(_Shown):
    """A lease as its holder sees it.  ``why`` says in a sentence why and when it will stop.

    ``extendableSeconds``: what extending would take at most.
    """

    id: str
    username: str
    name: str
    hostname: str
    port: int
    url: str
    image_type: str
    scenario_type: str
    exposure: Exposure
    pass_: Annotated[str | None, Field(alias="pass")]
    status: Status
    phase: Phase
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime
    hard_limit_at: datetime
    ended_at: datetime | None
    remaining_seconds: float
    extendable_seconds: float
    paused: bool
    health: Literal["starting", "healthy", "unhealthy"] | None
    why: str
    warned: bool
    warm: bool
    initial_tokens: int | None
    failure: Failure | None
    containers: list[Part]
    resources: Resources | None
    generation: int


class ContainerPage(_Shown):
    """``next`` is the cursor of the next page, null on the last one; ``total`` counts all pages, before ``status`` is
    looked at more closely than by phase."""

    containers: list[ContainerInfo]
    next: str | None
    total: int


class SessionMade(_Shown):
    """``url`` opens the lease in a browser; programs send ``token`` as X-Berth-Session."""

    id: str
    token: str
    url: str
    expires_at: datetime


class ScenarioInfo(_Shown):
    name: str
    title: str
    description: str
    default: bool
    containers: list[str]
    exposure: Exposure
    pooled: bool
    min_minutes: int
    max_minutes: int
    memory_mib: int
    cpus: float


class ScenarioList(_Shown):
    scenarios: list[ScenarioInfo]
    access: Literal["open", "token", "pass"]
    domain: str


class LogLine(_Shown):
    """``cursor`` is where to go on after this line.  A record of type ``gap`` stands for lines that are gone."""

    type: Literal["line", "gap", "end"] = "line"
    timestamp: datetime
    level: Literal["info", "error"] = "info"
    stream: Literal["stdout", "stderr", "berth"] = "stdout"
    role: str = "main"
    message: str
    cursor: str
    lost: int | None = None


class LogPage(_Shown):
    lines: list[LogLine]
    cursor: str
    more: bool


class Overview(_Shown):
    """For operators: how many of what, and what is wrong."""

    draining: bool
    phases: dict[str, int]
    leases: int
    most_leases: int
    pool: dict[str, int]
    dead_letters: int
    users: int
    strangers: list[str]


class Event(_Shown):
    """What happened to a lease; the ``data`` of a server-sent event, whose id goes on with Last-Event-ID."""

    kind: Literal[
        "requested", "creating", "ready", "paused", "resumed", "extended", "warning", "expiring", "deleting", "gone",
        "failed", "health", "stopped", "restarted",
    ]  # fmt: skip
    lease: str
    username: str
    at: datetime
    message: str
    container: ContainerInfo | None


class ProblemDocument(BaseModel):
    """RFC 9457; ``reason`` is for programs, ``detail`` for people."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str | None = None
    errors: list[dict[str, Any]] | None = None
