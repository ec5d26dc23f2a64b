"""Which container may be created: a body is taken apart, checked, and made anew from what was understood."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from berth.leases.guard.policy import GuardPolicy, lease_label, mebibyte, stack_label, until_label
from berth.leases.guard.strict import (
    Check,
    Json,
    array,
    boolean,
    deny,
    either,
    mapping,
    matching,
    number,
    obj,
    only,
    text,
)

no_new_privileges: Final = ("no-new-privileges", "no-new-privileges:true")

told_at: Final = "/run/berth-lease"
"""Where a lease finds what it is told: a volume of its container's own, because a read-only root takes no files."""

_label: Final = re.compile(r"berth\.(stack|test|(lease|pool)(\.[a-z]{1,20}){0,2})")
_lease: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_user: Final = re.compile(r"[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})?")
_host: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_port: Final = re.compile(r"[0-9]{1,5}/(tcp|udp)")
_size: Final = re.compile(r"(\d{1,9})([kmg]?)", re.IGNORECASE)
_flag: Final = re.compile(r"(rw|ro|exec|noexec|nosuid|nodev|mode=[0-7]{3,4}|uid=\d{1,9}|gid=\d{1,9})")
_units: Final = {"": 1, "k": 1024, "m": mebibyte, "g": 1024 * mebibyte}
_second: Final = 1_000_000_000
_hour: Final = 3600 * _second
_unlimited: Final = 2**53


def container(policy: GuardPolicy, given: Json) -> dict[str, Any]:
    """The body to pass on; ``HostConfig.NetworkMode`` is still as the client wrote it.

    Errors: :class:`berth.leases.guard.errors.Refused` that names the first key that is not allowed.
    """
    made: dict[str, Any] = _container(policy)(given, "body")
    host = made["HostConfig"]
    if not host.get("ReadonlyRootfs") and not policy.images[made["Image"]]:
        deny("body.HostConfig.ReadonlyRootfs", "must be true: only images that the settings name may write to theirs")
    if "MemorySwap" in host and host["MemorySwap"] > 2 * host["Memory"]:
        deny("body.HostConfig.MemorySwap", "must be at most twice HostConfig.Memory")
    places = made.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    if set(places) - {host["NetworkMode"]}:
        deny("body.NetworkingConfig.EndpointsConfig", "may name the network of HostConfig.NetworkMode only")
    if places.get(policy.network, {}).get("Aliases"):
        # The gateway asks there for containers by name: by another name a lease would be taken for somebody else.
        deny("body.NetworkingConfig.EndpointsConfig", f"gives aliases on {policy.network}, which all leases share")
    return made


def labels(policy: GuardPolicy, needs_end: bool = True) -> Check:
    """Labels of something of a lease of this stack."""
    shape = mapping(lambda key: _label.fullmatch(key) is not None, text(256), 16)

    def check(given: Json, where: str) -> Json:
        made: dict[str, str] = shape(given, where)
        if made.get(stack_label) != policy.stack:
            deny(f"{where}.{stack_label}", f"must be {policy.stack}")
        if not _lease.fullmatch(made.get(lease_label, "")):
            deny(f"{where}.{lease_label}", "must name the lease")
        until = made.get(until_label, "")
        if needs_end or until:
            if not re.fullmatch(r"[0-9]{1,12}", until):
                deny(f"{where}.{until_label}", "must be a unix time: without it nothing could ever remove this")
            if int(until) > time.time() + policy.life:
                deny(f"{where}.{until_label}", f"is more than {policy.life} s ahead")
        return made

    return check


def endpoint(given: Json, where: str) -> Json:
    """A place on a network: names at most, because an address could be the gateway's."""
    aliases = array(matching(lambda name: _host.fullmatch(name) is not None, "a host name"), 8)
    return obj({"Aliases": aliases})(given, where)


def _container(policy: GuardPolicy) -> Check:
    command = either(text(), array(text(16_384)))
    return obj(
        {
            "Image": matching(policy.images.__contains__, f"one of {', '.join(policy.images) or 'none'}"),
            "Cmd": command,
            "Entrypoint": command,
            "Env": array(matching(lambda entry: "\0" not in entry and len(entry) < 16_384, "NAME=value")),
            "Labels": labels(policy),
            "User": matching(
                lambda user: _user.fullmatch(user) is not None, "uid or uid:gid, as numbers, and neither of them 0"
            ),
            "WorkingDir": text(256),
            "Hostname": matching(lambda name: _host.fullmatch(name) is not None, "a host name"),
            "StopSignal": matching(lambda name: re.fullmatch(r"(SIG)?[A-Z0-9+]{1,10}", name) is not None, "a signal"),
            "StopTimeout": number(0, 60),
            "Healthcheck": _healthcheck,
            "Tty": boolean,
            "AttachStdout": boolean,
            "AttachStderr": boolean,
            "Volumes": mapping(lambda key: key == told_at, only({})),
            "ExposedPorts": mapping(lambda key: _port.fullmatch(key) is not None, only({})),
            "HostConfig": _host_config(policy),
            "NetworkingConfig": obj(
                {"EndpointsConfig": mapping(lambda key: len(key) <= 128, endpoint, 1)},
            ),
        },
        ("Image", "Labels", "User", "HostConfig"),
    )


def _host_config(policy: GuardPolicy) -> Check:
    return obj(
        {
            "Memory": number(6 * mebibyte, policy.memory * mebibyte),
            "MemorySwap": number(6 * mebibyte, 2 * policy.memory * mebibyte),
            "MemoryReservation": number(0, policy.memory * mebibyte),
            "NanoCpus": number(1_000_000, round(policy.cpus * _second)),
            "CpuShares": number(2, 1024),
            "PidsLimit": number(1, policy.pids),
            "CapDrop": _drop_all,
            "SecurityOpt": _security,
            "ReadonlyRootfs": boolean,
            "Tmpfs": _tmpfs(policy),
            "NetworkMode": matching(
                # Whose network it is comes later; that it is no mode of Docker's is said here.
                lambda name: (
                    re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,127}", name) is not None
                    and name not in ("host", "default", "bridge")
                ),
                "the network of the leases, one of their own, or none",
            ),
            "RestartPolicy": obj(
                {"Name": only("", "no", "on-failure", "unless-stopped"), "MaximumRetryCount": number(0, 100)}
            ),
            "LogConfig": _log_config(policy),
            "Ulimits": array(
                obj(
                    {
                        "Name": only("nofile", "nproc", "core", "fsize", "memlock", "stack"),
                        "Soft": number(0, _unlimited),
                        "Hard": number(0, _unlimited),
                    },
                    ("Name", "Soft", "Hard"),
                ),
                8,
            ),
            "ShmSize": number(0, policy.tmpfs * mebibyte),
            "Init": boolean,
            "IpcMode": only("private", "none"),
            "CgroupnsMode": only("private"),
            "OomScoreAdj": number(0, 1000),
            "StorageOpt": mapping(
                lambda key: key == "size", matching(lambda size: _size.fullmatch(size) is not None, "a size")
            ),
        },
        ("Memory", "NanoCpus", "PidsLimit", "CapDrop", "SecurityOpt", "NetworkMode", "LogConfig"),
    )


def _drop_all(given: Json, where: str) -> Json:
    if not isinstance(given, list) or given != ["ALL"]:
        deny(where, 'must be ["ALL"]')
    return given


def _security(given: Json, where: str) -> Json:
    if not isinstance(given, list) or len(given) != 1 or given[0] not in no_new_privileges:
        deny(where, f'must be ["{no_new_privileges[1]}"] and nothing else')
    return given


def _tmpfs(policy: GuardPolicy) -> Check:
    def options(given: Json, where: str) -> Json:
        bounded = False
        for option in text(256)(given, where).split(","):
            name, _, value = option.partition("=")
            size = _size.fullmatch(value) if name == "size" else None
            if size is not None:
                bounded = True
                if not 0 < int(size[1]) * _units[size[2].lower()] <= policy.tmpfs * mebibyte:
                    deny(where, f"may have at most {policy.tmpfs} MiB")
            elif not _flag.fullmatch(option):
                deny(where, f"has the option {option[:40]!r}, which is not allowed")
        if not bounded:
            deny(where, "needs a size")
        return given

    path = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}){1,6}")
    return mapping(lambda key: path.fullmatch(key) is not None, options, 8)


def _log_config(policy: GuardPolicy) -> Check:
    def size(given: Json, where: str) -> Json:
        found = _size.fullmatch(given) if isinstance(given, str) else None
        if found is None or not 0 < int(found[1]) * _units[found[2].lower()] <= policy.log * mebibyte:
            deny(where, f"must be a size of at most {policy.log} MiB, for example 1m")
        return given

    config = obj(
        {
            "max-size": size,
            "max-file": matching(lambda count: re.fullmatch(r"[1-5]", count) is not None, "a number from 1 to 5"),
            "mode": only("blocking", "non-blocking"),
            "max-buffer-size": size,
        },
        ("max-size",),
    )
    return obj({"Type": only("json-file", "local"), "Config": config}, ("Type", "Config"))


def _healthcheck(given: Json, where: str) -> Json:
    span = number(0, _hour)
    return obj(
        {
            "Test": array(text(), 32),
            "Interval": span,
            "Timeout": span,
            "StartPeriod": span,
            "Retries": number(0, 1000),
        }
    )(given, where)
