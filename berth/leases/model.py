"""A lease, its phases and the moves between them.  Pure: no clock, no store, no Docker."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Literal

from berth.leases.scenario import Exposure


class Phase(StrEnum):
    """In this order; ``paused`` goes back to ``ready``.  Whoever is not gone has a place of the quota."""

    requested = "requested"
    creating = "creating"
    ready = "ready"
    paused = "paused"
    expiring = "expiring"
    deleting = "deleting"
    gone = "gone"


Blocked = Literal["ending", "not-running", "not-paused", "limit-reached"]
Ending = Literal["deleted", "expired", "failed", "drained", "sold", "no-pass"]

_moves: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.requested: frozenset({Phase.creating, Phase.expiring, Phase.deleting}),
    Phase.creating: frozenset({Phase.ready, Phase.expiring, Phase.deleting}),
    Phase.ready: frozenset({Phase.paused, Phase.expiring, Phase.deleting}),
    Phase.paused: frozenset({Phase.ready, Phase.expiring, Phase.deleting}),
    Phase.expiring: frozenset({Phase.deleting}),
    Phase.deleting: frozenset({Phase.deleting, Phase.gone}),
    Phase.gone: frozenset(),
}

ending: Final = frozenset({Phase.expiring, Phase.deleting})
alive: Final = frozenset({Phase.requested, Phase.creating, Phase.ready, Phase.paused})


dead_after: Final = 5  # attempts
keys_kept: Final = 20


class Illegal(Exception):
    """A move that the phase does not allow; the message says which and why, ``reason`` says it to programs."""

    def __init__(self, message: str, reason: Blocked = "ending") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment in unix seconds, and the same on the clock that counts from this boot (see ``berth.leases.clock``)."""

    at: float
    boot: str = ""
    mark: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """What went wrong last.  ``next`` is when it is tried again (unix seconds), None where it is not."""

    step: str
    message: str
    attempts: int
    at: float
    next: float | None = None

    @property
    def dead(self) -> bool:
        """Whether somebody should look at it: not tried again, or often enough to no avail."""
        return self.next is None or self.attempts >= dead_after


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease; seconds are unix seconds or durations.  ``generation`` grows with every change.

    ``slot`` and ``user_slot`` are its places in the quotas of the stack and of its user, ``subnet`` the number of its
    network's subnet; None once it is gone (or where it has none).  ``sole`` names its user where it is the one
    container of JuiceTokens' manager, ``key`` and ``fingerprint`` the request that made it, ``extensions`` the keys
    of those that extended it.  ``holder_of`` is the pass (decimal id) through whose tunnel it is reached, for exposure
    ``vpn``; ``revoked`` are sessions at the gateway that ended early, as ``<id>:<unix seconds until when>``.
    """

    id: str
    name: str
    user: str
    scenario: str
    created: float
    lifetime: float
    expires: Deadline
    hard: float
    phase: Phase = Phase.requested
    generation: int = 1
    exposure: Exposure = "public"
    holder_of: str | None = None
    tokens: int | None = None
    warm: bool = False
    remaining: float | None = None
    paused_seconds: float = 0.0
    paused_at: float | None = None
    warned: tuple[int, ...] = ()
    ready_at: float | None = None
    ended_at: float | None = None
    ended_by: Ending | None = None
    failed: Failed | None = None
    slot: int | None = None
    user_slot: int | None = None
    subnet: int | None = None
    sole: str | None = None
    key: str | None = None
    fingerprint: str | None = None
    wallet: str | None = None
    extensions: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    images: dict[str, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether it takes a place of the quota."""
        return self.phase is not Phase.gone

    def to(self, phase: Phase, **changes: object) -> Lease:
        """The lease in its next generation, in another phase; Illegal where no such move exists."""
        if phase not in _moves[self.phase]:
            raise Illegal(f"lease {self.id} is {self.phase}: it cannot become {phase}")
        return replace(self, phase=phase, generation=self.generation + 1, **changes)  # type: ignore[arg-type]

    def changed(self, **changes: object) -> Lease:
        """The lease in its next generation, in the same phase."""
        return replace(self, generation=self.generation + 1, **changes)  # type: ignore[arg-type]


def may(before: Phase, after: Phase) -> bool:
    """Whether a lease can go from one phase to another."""
    return after in _moves[before]


def extended(lease: Lease, seconds: float, longest: float, now: float, key: str | None = None) -> Lease:
    """With ``seconds`` more to run; Illegal when it is ending, or would run for longer than ``longest`` in all.

    A paused lease's remaining time grows.  ``expires.at`` alone is set: its mark is the clock's business.
    """
    if lease.phase not in alive:
        raise Illegal(f"lease {lease.id} is {lease.phase}: its time is over")
    if seconds <= 0:
        raise Illegal("a lease can only be extended by a time above 0")
    room = room_for(lease, longest, now)
    if seconds > room:
        raise Illegal(
            f"lease {lease.id} can have {max(0, room):.0f} s more at most: none lives for longer than "
            f"{longest / 3600:g} h",
            "limit-reached",
        )
    keys = (*lease.extensions, key)[-keys_kept:] if key is not None else lease.extensions
    if lease.phase is Phase.paused:
        return lease.changed(
            lifetime=lease.lifetime + seconds, remaining=(lease.remaining or 0.0) + seconds, extensions=keys
        )
    return lease.changed(
        lifetime=lease.lifetime + seconds, expires=Deadline(lease.expires.at + seconds), warned=(), extensions=keys
    )


def room_for(lease: Lease, longest: float, now: float) -> float:
    """Seconds by which it can be extended."""
    by_life = longest - lease.lifetime
    until = now + (lease.remaining or 0.0) if lease.phase is Phase.paused else lease.expires.at
    return min(by_life, lease.hard - until)


def paused(lease: Lease, remaining: float, now: float) -> Lease:
    """Stopped with ``remaining`` seconds to run; a paused lease ends at its hard maximum."""
    if lease.phase is not Phase.ready:
        raise Illegal(f"lease {lease.id} is {lease.phase}: only a running one can be paused", "not-running")
    return lease.to(Phase.paused, remaining=remaining, paused_at=now, expires=Deadline(lease.hard))


def resumed(lease: Lease, now: float) -> Lease:
    """Running again, with the time that it had left."""
    if lease.phase is not Phase.paused or lease.remaining is None:
        raise Illegal(f"lease {lease.id} is {lease.phase}: only a paused one can be resumed", "not-paused")
    slept = max(0.0, now - (lease.paused_at or now))
    until = min(now + lease.remaining, lease.hard)
    return lease.to(
        Phase.ready,
        remaining=None,
        paused_at=None,
        paused_seconds=lease.paused_seconds + slept,
        ready_at=now,
        expires=Deadline(until),
    )


_alphabet: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in the order of ASCII


def new_id(now: float) -> str:
    """26 characters that sort by time (milliseconds, then 80 random bits), as a ULID in lower case."""
    number = int(now * 1000) << 80 | secrets.randbits(80)
    return "".join(_alphabet[number >> 5 * place & 31] for place in reversed(range(26)))


def minted_at(identifier: str) -> float:
    """When :func:`new_id` made it, in unix seconds; 0 where it did not."""
    time = 0
    for character in identifier[:10]:
        time = time << 5 | max(_alphabet.find(character), 0)
    return time / 1000


def new_name(of: str) -> str:
    """A DNS label of at most 30 characters that was never used: names outlive what they named, in sessions."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in of.lower()).strip("-")[:19].strip("-") or "lease"
    return f"{kept}-{''.join(secrets.choice(_alphabet) for _ in range(10))}"


def why(lease: Lease) -> str:
    """Why and when it stops, or stopped, in a sentence."""
    if lease.ended_by == "failed" or (lease.failed and lease.phase in (Phase.requested, Phase.creating)):
        told = lease.failed.message if lease.failed else "it could not be made"
        return f"could not be started: {told}" if lease.ended_by else f"is being tried again: {told}"
    return {
        None: "ends when its time is over",
        "expired": "its time is over",
        "deleted": "its holder ended it",
        "drained": "the operator ended it",
        "sold": "its pass has another holder",
        "no-pass": "its holder has no access pass any more",
    }[lease.ended_by]


def span(seconds: float) -> str:
    """For people: 45 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
