"""A lease as its holder sees it."""

from __future__ import annotations

from datetime import UTC, datetime

from berth.leases.api.models import ContainerInfo, Failure, Part, Resources, Status
from berth.leases.clock import Clock
from berth.leases.model import Failed, Lease, Phase, alive, room_for, span, why
from berth.leases.settings import ManagerSettings

_statuses: dict[Phase, Status] = {
    Phase.requested: "starting",
    Phase.creating: "starting",
    Phase.ready: "running",
    Phase.paused: "stopped",
    Phase.expiring: "stopped",
    Phase.deleting: "stopped",
    Phase.gone: "stopped",
}
_of_status: dict[Status, list[Phase]] = {
    "starting": [Phase.requested, Phase.creating],
    "running": [Phase.ready],
    # One that is ready may have a program that ended by itself.
    "stopped": [Phase.ready, Phase.paused, Phase.expiring, Phase.deleting, Phase.gone],
    "error": [Phase.ready, Phase.deleting, Phase.gone],
}


def phases(status: Status | None, ended: bool) -> list[Phase] | None:
    """Which phases may have a status; None for all."""
    wanted = _of_status[status] if status else list(Phase)
    if status == "error":
        return wanted
    kept = [phase for phase in wanted if ended or phase is not Phase.gone]
    return None if len(kept) == len(Phase) else kept


def status_of(lease: Lease, parts: list[Part]) -> Status:
    """The seeds' four words."""
    if lease.ended_by == "failed":
        return "error"
    if lease.phase is Phase.ready and any(part.role == "main" and part.state == "exited" for part in parts):
        return "error" if any(part.exit_code for part in parts) else "stopped"
    return _statuses[lease.phase]


def show(
    lease: Lease, parts: list[Part], resources: Resources | None, settings: ManagerSettings, clock: Clock
) -> ContainerInfo:
    """The whole view."""
    lease = clock.rebased(lease)
    gone, most = lease.phase is Phase.gone, longest_of(lease, settings)
    room = round(max(0.0, room_for(lease, most, clock.wall())), 3)
    ends = lease.expires.at if gone else clock.shown(lease.expires)
    left = 0.0 if gone else max(0.0, lease.remaining if lease.remaining is not None else clock.left(lease.expires))
    worst = [part.health for part in parts if part.health]
    health = next((h for h in ("unhealthy", "starting", "healthy") if h in worst), None)
    return ContainerInfo.model_validate({
        "id": lease.id,
        "username": lease.user,
        "name": lease.name,
        "hostname": settings.host_of(lease.name, lease.exposure),
        "port": settings.port_of(lease.exposure),
        "url": settings.url_of(lease.name, lease.exposure),
        "imageType": lease.scenario,
        "scenarioType": lease.scenario,
        "exposure": lease.exposure,
        "pass": lease.holder_of,
        "status": status_of(lease, parts),
        "phase": lease.phase,
        "createdAt": moment(lease.created),
        "readyAt": None if lease.ready_at is None else moment(lease.ready_at),
        "expiresAt": moment(ends),
        "hardLimitAt": moment(lease.hard),
        "endedAt": None if lease.ended_at is None else moment(lease.ended_at),
        "remainingSeconds": round(left, 3),
        "extendableSeconds": room if lease.phase in alive else 0.0,
        "paused": lease.phase is Phase.paused,
        "health": health,
        "why": sentence(lease, parts, left, ends),
        "warned": bool(lease.warned),
        "warm": lease.warm,
        "initialTokens": lease.tokens,
        "failure": None if lease.failed is None else failure(lease.failed),
        "containers": parts,
        "resources": resources,
        "generation": lease.generation,
    })  # fmt: skip


def longest_of(lease: Lease, settings: ManagerSettings) -> float:
    """Seconds that a lease may live in all, extensions included."""
    scenario = settings.catalogue.scenarios.get(lease.scenario)
    most = settings.longest
    return min(most, scenario.max_minutes * 60) if scenario and scenario.max_minutes else most


def sentence(lease: Lease, parts: list[Part], left: float, ends: float) -> str:
    """Why and when it will stop."""
    if lease.phase is Phase.gone:
        ended = f" at {moment(lease.ended_at):%H:%M:%S} UTC" if lease.ended_at else ""
        return f"Ended{ended}: {why(lease)}."
    if lease.ended_by is not None:
        return f"Is being removed: {why(lease)}."
    if lease.phase is Phase.paused:
        return f"Paused with {span(left)} left; it ends for good at {moment(lease.hard):%Y-%m-%d %H:%M} UTC."
    if lease.phase in (Phase.requested, Phase.creating):
        return f"Is being made; {why(lease)}."
    gone = next((part for part in parts if part.role == "main" and part.state == "exited"), None)
    if gone is not None:
        memory = ", out of memory" if gone.out_of_memory else ""
        return f"Its program ended by itself (exit code {gone.exit_code}{memory}); the lease ends in {span(left)}."
    return f"Ends in {span(left)}, at {moment(ends):%H:%M:%S} UTC, when its time is over; it can be extended."


def moment(at: float | None) -> datetime:
    """A time with its zone."""
    return datetime.fromtimestamp(at or 0.0, UTC)


def failure(failed: Failed) -> Failure:
    """What went wrong last."""
    return Failure(
        step=failed.step,
        message=failed.message,
        attempts=failed.attempts,
        dead=failed.dead,
        at=moment(failed.at),
        next_at=None if failed.next is None else moment(failed.next),
    )
