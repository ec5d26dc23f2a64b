"""A policy, and the body of a container that it lets through."""

from __future__ import annotations

import copy
import time
from typing import Any

from berth.leases.guard.policy import GuardPolicy

echo = "sha256:" + "e" * 64
shell = "berth/lease-shell:dev"


def policy(**changes: Any) -> GuardPolicy:
    given: dict[str, Any] = {
        "role": "manager",
        "stack": "berth/dev",
        "images": {echo: False, shell: True},
        "network": "berth-dev-leases",
        "subnets": "10.91.0.0/16",
    }
    return GuardPolicy.model_validate(given | changes)


def labels(**more: str) -> dict[str, str]:
    return {
        "berth.stack": "berth/dev",
        "berth.lease": "l-1",
        "berth.lease.until": str(int(time.time()) + 600),
        **more,
    }


def body(**host: Any) -> dict[str, Any]:
    """A body that is let through; ``host`` changes its HostConfig, a value of None takes the key out."""
    config: dict[str, Any] = {
        "Memory": 64 * 1024 * 1024,
        "NanoCpus": 500_000_000,
        "PidsLimit": 64,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},
        "NetworkMode": "berth-dev-leases",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
    }
    config = {key: value for key, value in (config | host).items() if value is not None}
    return copy.deepcopy({"Image": echo, "User": "1001:1001", "Labels": labels(), "HostConfig": config})
