"""Conversions of the container's properties between a program's spelling and the daemon's."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.docker.client import Json
from engine.docker.schema import is_zero, labels_to_map
from engine.model import PropertyMap

_MIB = 1024 * 1024
_UNITS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "ns": 1,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


def bytes_of(mib: int) -> int:
    """MiB to bytes; -1 (no limit) stays."""
    return mib * _MIB if mib > 0 else mib


def mib_of(size: int | None) -> int:
    return (size or 0) // _MIB if (size or 0) > 0 else (size or 0)


def nanocpus(cpus: str) -> int:
    """``"1.5"`` to billionths of a CPU."""
    return int(Decimal(cpus) * 1_000_000_000)


def cpus_of(nano: int | None) -> str | None:
    return format((Decimal(nano) / 1_000_000_000).normalize(), "f") if nano else None


def valid_cpus(value: str) -> str | None:
    try:
        fine = Decimal(value) >= 0
    except InvalidOperation:
        fine = False
    return None if fine else f"must be a number of CPUs such as '1.5', not {value!r}"


def nanoseconds(duration: str) -> int:
    """A duration as Go writes it (``1m30s``) in nanoseconds.  Raises ValueError."""
    if duration in ("", "0"):
        return 0
    if not re.fullmatch(f"(?:{_DURATION.pattern})+", duration):
        raise ValueError(f"not a duration: {duration!r}")
    return sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _DURATION.findall(duration))


def duration_of(nano: int | None) -> str:
    """Go's spelling of a duration: ``1m30s``, ``500ms``, ``0s``."""
    nano = nano or 0
    if 0 < nano < 1_000_000_000:
        unit = next(name for name in ("ms", "µs", "ns") if nano >= _UNITS[name])
        return format((Decimal(nano) / _UNITS[unit]).normalize(), "f") + unit
    minutes, rest = divmod(nano, _UNITS["m"])
    seconds = format((Decimal(rest) / 1_000_000_000).normalize(), "f") + "s"
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + seconds


def valid_duration(value: str) -> str | None:
    try:
        nanoseconds(value)
    except ValueError:
        return f"must be a duration such as '10s' or '1m30s', not {value!r}"
    return None


def capability(name: str) -> str:
    """The daemon's spelling: ``net_admin`` is ``CAP_NET_ADMIN``."""
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def same_capabilities(value: PropertyMap) -> PropertyMap:
    return {key: [capability(name) for name in value.get(key) or []] for key in ("adds", "drops")}


def healthcheck_to(value: PropertyMap) -> Json:
    body: Json = {
        "Test": value.get("tests", []),
        "Interval": nanoseconds(value.get("interval", "0s")),
        "Timeout": nanoseconds(value.get("timeout", "0s")),
        "StartPeriod": nanoseconds(value.get("startPeriod", "0s")),
        "Retries": value.get("retries", 0),
    }
    if nanoseconds(value.get("startInterval", "0s")):
        body["StartInterval"] = nanoseconds(value["startInterval"])
    return body


def healthcheck_back(shown: Json | None) -> PropertyMap | None:
    if not shown:
        return None
    return {
        "tests": shown.get("Test") or [],
        "interval": duration_of(shown.get("Interval")),
        "timeout": duration_of(shown.get("Timeout")),
        "startPeriod": duration_of(shown.get("StartPeriod")),
        "startInterval": duration_of(shown.get("StartInterval")),
        "retries": shown.get("Retries") or 0,
    }


def hosts_to(hosts: list[PropertyMap]) -> list[str]:
    return [f"{entry['host']}:{entry['ip']}" for entry in hosts]


def hosts_back(shown: list[str] | None) -> list[PropertyMap]:
    return [{"host": host, "ip": ip} for host, _, ip in (entry.partition(":") for entry in shown or [])]


def ulimits_to(ulimits: list[PropertyMap]) -> list[Json]:
    return [{"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]} for limit in ulimits]


def ulimits_back(shown: list[Json] | None) -> list[PropertyMap]:
    return [{"name": limit["Name"], "soft": limit["Soft"], "hard": limit["Hard"]} for limit in shown or []]


def device(value: PropertyMap) -> PropertyMap:
    """With the path inside, which is the one outside unless it is given."""
    return {**value, "containerPath": value.get("containerPath") or value["hostPath"]}


def devices_to(devices: list[PropertyMap]) -> list[Json]:
    return [
        {
            "PathOnHost": entry["hostPath"],
            "PathInContainer": device(entry)["containerPath"],
            "CgroupPermissions": entry.get("permissions", "rwm"),
        }
        for entry in devices
    ]


def devices_back(shown: list[Json] | None) -> list[PropertyMap]:
    return [
        {
            "hostPath": entry["PathOnHost"],
            "containerPath": entry["PathInContainer"],
            "permissions": entry["CgroupPermissions"],
        }
        for entry in shown or []
    ]


def throttles_to(throttles: list[PropertyMap]) -> list[Json]:
    return [{"Path": entry["path"], "Rate": entry["rate"]} for entry in throttles]


def throttles_back(shown: list[Json] | None) -> list[PropertyMap]:
    return [{"path": entry["Path"], "rate": entry["Rate"]} for entry in shown or []]


def mounts_to(mounts: list[PropertyMap]) -> list[Json]:
    return [_mount_to(mount) for mount in mounts]


def _mount_to(mount: PropertyMap) -> Json:
    body: Json = {"Type": mount["type"], "Target": mount["target"], "Source": mount.get("source", "")}
    if mount.get("readOnly"):
        body["ReadOnly"] = True
    bind, volume, tmpfs = (mount.get(f"{kind}Options") for kind in ("bind", "volume", "tmpfs"))
    if bind and mount["type"] == "bind":
        body["BindOptions"] = {"Propagation": bind.get("propagation", "")}
    if volume and mount["type"] == "volume":
        options: Json = {"NoCopy": volume.get("noCopy", False), "Labels": labels_to_map(volume.get("labels", []))}
        if volume.get("driverName") or volume.get("driverOptions"):
            options["DriverConfig"] = {
                "Name": volume.get("driverName", ""), "Options": volume.get("driverOptions", {})
            }  # fmt: skip
        body["VolumeOptions"] = options
    if tmpfs and mount["type"] == "tmpfs":
        body["TmpfsOptions"] = {"SizeBytes": tmpfs.get("sizeBytes", 0), "Mode": tmpfs.get("mode", 0)}
    return body


def volumes_to(volumes: list[PropertyMap]) -> Json:
    """``volumes`` spreads over three of the daemon's fields, given here by their paths."""
    anonymous: Json = {}
    binds: list[str] = []
    sources: list[str] = []
    for volume in volumes:
        inside = volume.get("containerPath", "")
        outside = volume.get("hostPath") or volume.get("volumeName")
        if volume.get("fromContainer"):
            sources.append(volume["fromContainer"])
            continue
        anonymous[inside] = {}
        if outside:
            mode = "ro" if volume.get("readOnly") else "rw"
            relabel = volume.get("selinuxRelabel")
            binds.append(f"{outside}:{inside}:{mode}" + (f",{relabel}" if relabel else ""))
    return {"Volumes": anonymous, "HostConfig.Binds": binds, "HostConfig.VolumesFrom": sources}


def valid_volumes(volumes: list[PropertyMap]) -> str | None:
    for volume in volumes:
        if bool(volume.get("containerPath")) == bool(volume.get("fromContainer")):
            return "must have either 'containerPath' or 'fromContainer' in each entry"
    return None


def ports_to(ports: list[PropertyMap]) -> tuple[Json, Json]:
    """Exposed ports and bindings; without ``external`` the daemon picks a free port."""
    exposed: Json = {}
    bindings: dict[str, list[Json]] = {}
    for port in ports:
        key = f"{port['internal']}/{port.get('protocol', 'tcp')}"
        exposed[key] = {}
        external = "" if is_zero(port.get("external")) else str(port["external"])
        bindings.setdefault(key, []).append({"HostPort": external, "HostIp": port.get("ip", "0.0.0.0")})
    return exposed, bindings


def ports_back(shown: dict[str, list[Json] | None] | None, given: list[PropertyMap]) -> list[PropertyMap]:
    """``ports`` in the order in which they were given (to the real provider a list in another order is another
    one), others by number.
    """
    places = {f"{port['internal']}/{port.get('protocol', 'tcp')}": place for place, port in enumerate(given)}
    found = []
    for key, bindings in sorted(
        (shown or {}).items(), key=lambda item: (places.get(item[0], len(places)), int(item[0].split("/")[0]))
    ):
        internal, _, protocol = key.partition("/")
        for binding in bindings or []:
            external = int(binding["HostPort"] or 0)
            found.append(
                {"internal": int(internal), "external": external, "ip": binding["HostIp"], "protocol": protocol}
            )
    return found


def networks_back(networks: dict[str, Json] | None) -> list[PropertyMap]:
    """``networkDatas``, by name."""
    return [
        {
            "networkName": name,
            "ipAddress": shown["IPAddress"],
            "ipPrefixLength": shown["IPPrefixLen"],
            "gateway": shown["Gateway"],
            "globalIpv6Address": shown["GlobalIPv6Address"],
            "globalIpv6PrefixLength": shown["GlobalIPv6PrefixLen"],
            "ipv6Gateway": shown["IPv6Gateway"],
            "macAddress": shown["MacAddress"],
        }
        for name, shown in sorted((networks or {}).items())
    ]


def endpoint(network: PropertyMap) -> Json:
    """The endpoint's settings of one entry of ``networksAdvanced``."""
    addresses = {
        "IPv4Address": network.get("ipv4Address", ""),
        "IPv6Address": network.get("ipv6Address", ""),
        "LinkLocalIPs": network.get("linkLocalIps", []),
    }
    options = dict(entry.split("=", 1) for entry in network.get("driverOpts", []) if "=" in entry)
    body: Json = {"Aliases": network.get("aliases", []), "IPAMConfig": {k: v for k, v in addresses.items() if v}}
    if network.get("macAddress"):
        body["MacAddress"] = network["macAddress"]
    return {**body, "DriverOpts": options} if options else body


def still_attached(wanted: list[PropertyMap], networks: dict[str, Json] | None) -> list[PropertyMap]:
    """The entries of ``networksAdvanced`` whose network (by name or id) the container is still on."""
    known: set[Any] = set()
    for name, shown in (networks or {}).items():
        known |= {name, shown.get("NetworkID")}
    return [entry for entry in wanted if entry["name"] in known]
