"""What can go wrong, by what to do next.

LeaseError
├── Refused          the caller's: an HTTP status, a reason for programs, a sentence for people (also a Problem)
├── Temporary        try again later; ``Unknown`` is Docker's: it may or may not have happened;
│                    ``Unanswered``: nobody was there
└── Permanent        no attempt will help: an image that is not there, a body that Docker or the guard refuses
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, get_args

from berth.kit.problem import Problem

Reason = Literal[
    "malformed", "body-too-large", "rate-limited", "not-found", "signed-out", "token-unknown", "not-entitled",
    "not-admin", "username-taken", "username-reserved", "wallet-taken", "scenario-unknown", "duration-out-of-range",
    "exposure-unavailable", "quota-full", "user-quota-full", "draining", "idempotency-mismatch", "exists",
    "not-running", "not-paused", "ending", "limit-reached", "no-subnet", "unavailable", "chain-unreachable",
]  # fmt: skip
reasons: Final = frozenset(get_args(Reason))


class LeaseError(Exception):
    """Of this package."""


class Refused(Problem, LeaseError):
    """The request is refused; ``retry_after`` seconds where the same request may be taken later."""

    def __init__(
        self, status: int, reason: Reason, detail: str, *, retry_after: float | None = None, **extra: Any
    ) -> None:
        if retry_after is not None:
            extra["retryAfter"] = max(1, math.ceil(retry_after))
        super().__init__(status, detail, reason=reason, **extra)
        self.reason = reason
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


class Temporary(LeaseError):
    """Try again, after a while that grows."""


class Unknown(Temporary):
    """Docker did not answer, or with an error of its own: whether it was done has to be looked up."""


class Unanswered(Unknown):
    """Docker is away, which says nothing about what was asked."""


class Permanent(LeaseError):
    """Trying again would not help; the message is for the lease's holder."""


def not_found(identifier: str) -> Refused:
    """The same for a lease that never was and one that is somebody else's."""
    return Refused(404, "not-found", f"there is no lease {identifier[:64]}")
