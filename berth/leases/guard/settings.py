"""Settings of a guard."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Json

from berth.kit.settings import ServiceSettings
from berth.leases.guard.policy import GuardPolicy


class GuardSettings(ServiceSettings):
    """``GUARD_POLICY``: the policy as JSON; the sockets; ``PORT``: of /health and /metrics, on loopback."""

    guard_policy: Json[GuardPolicy]
    docker_socket: str = "/var/run/docker.sock"
    guard_socket: str = "/run/docker-guard/docker.sock"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
