"""What one guard lets through, as data: a role, and the names, labels and limits of this stack's leases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

stack_label: Final = "berth.stack"
lease_label: Final = "berth.lease"
until_label: Final = "berth.lease.until"

mebibyte: Final = 1024 * 1024


class Role(StrEnum):
    """Who a guard's one client is."""

    manager = "manager"
    reaper = "reaper"


class GuardPolicy(BaseModel):
    """The settings of a guard, ``GUARD_POLICY`` as JSON.

    ``images``: what may run, by id or reference -> whether its root file system may be writable; ``network``: the
    bridge that leases share; ``subnets``: where networks of single leases are; limits are the most of one container.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    stack: Annotated[str, Field(pattern=r"^[a-z0-9_-]+/[A-Za-z0-9_][A-Za-z0-9_-]{0,39}$")]
    images: Mapping[str, bool] = {}
    network: str
    subnets: IPv4Network
    memory: Annotated[int, Field(ge=8)] = 512
    """MiB."""
    cpus: Annotated[float, Field(gt=0)] = 1.0
    pids: Annotated[int, Field(ge=1)] = 128
    tmpfs: Annotated[int, Field(ge=1)] = 64
    """MiB, of each."""
    log: Annotated[int, Field(ge=1)] = 16
    """MiB, of each log file."""
    life: Annotated[int, Field(ge=60)] = 31 * 86_400
    """Seconds from now at which a container must be gone at the latest."""

    @property
    def prefix(self) -> str:
        """``berth-<stack>-``, with which the names of this stack's containers begin."""
        return self.stack.replace("/", "-") + "-"

    def owns(self, labels: Any) -> bool:
        """Whether these are labels of a lease of this stack, and not of what carries it."""
        return isinstance(labels, dict) and labels.get(stack_label) == self.stack and bool(labels.get(lease_label))

    def container_name(self, name: str) -> bool:
        """Whether a lease's container may be called so: never as a part of the stack, whom others ask for by name."""
        kinds = "lease|vpn|pool|part"
        return (
            re.fullmatch(rf"{re.escape(self.prefix)}({kinds})-[a-z0-9]([a-z0-9-]{{0,60}}[a-z0-9])?", name) is not None
        )

    def network_name(self, name: str) -> bool:
        return re.fullmatch(rf"{re.escape(self.prefix)}lease-[a-z0-9]([a-z0-9-]{{0,60}}[a-z0-9])?", name) is not None
