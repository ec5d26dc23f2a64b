"""What Docker is asked to make for a lease: bodies of its API, with every limit and lock.  Pure."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from berth.leases.names import lease_label, role_label, stack_label, until_label, user_label
from berth.leases.scenario import HealthCheck, Template, fill, told_folder

_mebibyte: Final = 1 << 20
_nanoseconds: Final = 1_000_000_000
log_files: Final = 2
told_file: Final = "lease.json"


def labels(owner: str, lease: str, role: str, until: float, user: str | None) -> dict[str, str]:
    """What says whose a container is, and until when it may live whatever happens."""
    given = {stack_label: owner, lease_label: lease, role_label: role, until_label: str(int(until))}
    return given if user is None else {**given, user_label: user}


def body(
    template: Template,
    labelled: Mapping[str, str],
    network: str,
    aliases: tuple[str, ...],
    told: bool,
    port: int,
    values: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """For ``POST /containers/create``.  ``values`` fill the environment; a waiting container has none yet."""
    limits = template.limits
    environment = {**template.environment, "LEASE_PORT": str(port)}
    if values is not None:
        known = dict(values)
        environment = {name: fill(text, known) for name, text in environment.items()}
        environment |= {
            "LEASE_ID": known["lease"],
            "LEASE_NAME": known["name"],
            "LEASE_USER": known["user"],
            "LEASE_HOST": known["host"],
            "INITIAL_TOKENS": known["tokens"],
        }
    memory = limits.memory_mib * _mebibyte
    host: dict[str, Any] = {
        "NetworkMode": network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": template.read_only,
        "Tmpfs": {path: f"rw,nosuid,nodev,noexec,size={size}m,mode=1777" for path, size in template.tmpfs.items()},
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": int(limits.cpus * _nanoseconds),
        "PidsLimit": limits.pids,
        "ShmSize": limits.shm_mib * _mebibyte,
        "Ulimits": [{"Name": "nofile", "Soft": limits.files, "Hard": limits.files}],
        "Init": True,
        "LogConfig": {
            "Type": "json-file",
            "Config": {
                "max-size": f"{max(1, limits.log_mib * 1024 // log_files)}k",
                "max-file": str(log_files),
            },
        },
        "RestartPolicy": (
            {"Name": "on-failure", "MaximumRetryCount": template.restarts} if template.restarts else {"Name": "no"}
        ),
    }
    if limits.disk_mib:
        host["StorageOpt"] = {"size": f"{limits.disk_mib}m"}
    made: dict[str, Any] = {
        "Image": template.image,
        "User": template.user,
        "Env": [f"{name}={text}" for name, text in sorted(environment.items())],
        "Labels": dict(labelled),
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": list(aliases)} if aliases else {}}},
    }
    if template.command:
        made["Cmd"] = list(template.command)
    if template.entrypoint:
        made["Entrypoint"] = list(template.entrypoint)
    if template.health is not None:
        made["Healthcheck"] = _health(template.health)
    if told:
        made["Volumes"] = {told_folder: {}}
    return made


def digest(template: Template, told: bool, network: str, port: int) -> str:
    """What a waiting container was made from: another digest means that it is outdated."""
    made = body(template, {}, network, (), told, port)
    return sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def told(values: Mapping[str, Any]) -> bytes:
    """The archive that puts ``lease.json`` into :data:`~berth.leases.scenario.told_folder`."""
    content = json.dumps(values, sort_keys=True, indent=1).encode() + b"\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(told_file)
        entry.size, entry.mode = len(content), 0o444
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def network(name: str, labelled: Mapping[str, str], subnet: str, gateway: str, egress: bool) -> dict[str, Any]:
    """For ``POST /networks/create``: without egress it has no way out at all."""
    return {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Internal": not egress,
        "Labels": dict(labelled),
        "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet, "Gateway": gateway}]},
    }


def _health(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD", *check.command],
        "Interval": int(check.interval * _nanoseconds),
        "Timeout": int(check.timeout * _nanoseconds),
        "Retries": check.retries,
        "StartPeriod": int(check.start * _nanoseconds),
    }
