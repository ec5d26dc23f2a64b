"""Why a call is refused."""

from __future__ import annotations

from typing import Literal

Kind = Literal["route", "query", "body", "owner", "size", "syntax", "docker"]
"""What of a call was wrong; these are label values of a metric, so they are few."""


class Refused(Exception):
    """The call is not passed on; the message says why, and reaches the client and the log."""

    def __init__(self, kind: Kind, reason: str, status: int = 403) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.status = kind, reason, status


class DockerAway(Refused):
    """The daemon does not answer: nothing is known of what was asked for."""

    def __init__(self, reason: str) -> None:
        super().__init__("docker", f"Docker does not answer: {reason}", 503)
