"""The container's table: one row per property.

``at`` is the path in ``GET /containers/{id}/json``; ``POST /containers/create`` takes the same
with ``Config`` opened out.  Rows without ``at`` belong to :mod:`engine.docker.container`.
"""

from __future__ import annotations

from typing import Literal

from engine.docker import container_values as values
from engine.docker.schema import (
    BOOLEAN,
    INTEGER,
    LABELS,
    STRING,
    STRING_SET,
    STRINGS,
    TEXT_MAP,
    Listing,
    Object,
    Property,
    at_least,
    matches,
)

_MOUNT = Object(
    (
        Property("target", STRING, required=True),
        Property("source", STRING),
        Property("type", STRING, required=True, valid=matches("bind|volume|tmpfs", "bind, volume or tmpfs")),
        Property("readOnly", BOOLEAN),
        Property("bindOptions", Object((Property("propagation", STRING),))),
        Property(
            "volumeOptions",
            Object(
                (
                    Property("noCopy", BOOLEAN),
                    Property("labels", LABELS),
                    Property("driverName", STRING),
                    Property("driverOptions", TEXT_MAP),
                )
            ),
        ),
        Property("tmpfsOptions", Object((Property("sizeBytes", INTEGER), Property("mode", INTEGER)))),
    )
)
_VOLUME = Object(
    (
        Property("containerPath", STRING),
        Property("hostPath", STRING, valid=matches(r"/.*", "an absolute path")),
        Property("volumeName", STRING),
        Property("fromContainer", STRING),
        Property("readOnly", BOOLEAN),
        Property("selinuxRelabel", STRING, valid=matches("z|Z", "z or Z")),
    )
)
_PORT = Object(
    (
        Property("internal", INTEGER, required=True),
        Property("external", INTEGER, computed=True),
        Property("ip", STRING, default="0.0.0.0"),
        Property("protocol", STRING, default="tcp"),
    )
)
_NETWORK = Object(
    (
        Property("name", STRING, required=True),
        Property("aliases", STRING_SET),
        Property("ipv4Address", STRING),
        Property("ipv6Address", STRING),
        Property("linkLocalIps", STRING_SET),
        Property("macAddress", STRING),
        Property("driverOpts", STRING_SET),
        Property("gwPriority", INTEGER, output=True),
    )
)
_UPLOAD = Object(
    (
        Property("file", STRING, required=True),
        Property("content", STRING),
        Property("contentBase64", STRING),
        Property("source", STRING),
        Property("sourceHash", STRING),
        Property("executable", BOOLEAN, default=False),
        Property("permissions", STRING, valid=matches("0[0-7]{3}", "four octal digits such as 0600")),
    )
)
_HEALTHCHECK = Object(
    (
        Property("tests", STRINGS, raw="test"),
        *(
            Property(name, STRING, default="0s", same=values.nanoseconds, valid=values.valid_duration)
            for name in ("interval", "timeout", "startPeriod", "startInterval")
        ),
        Property("retries", INTEGER, default=0, valid=at_least(0)),
    )
)
_DEVICE = Object(
    (
        Property("hostPath", STRING, required=True),
        Property("containerPath", STRING),
        Property("permissions", STRING, default="rwm"),
    )
)
_CAPABILITIES = Object((Property("adds", STRING_SET, raw="add"), Property("drops", STRING_SET, raw="drop")))
_HOST = Object((Property("host", STRING, required=True), Property("ip", STRING, required=True)))
_ULIMIT = Object(
    tuple(Property(n, t, required=True) for n, t in (("name", STRING), ("soft", INTEGER), ("hard", INTEGER)))
)
_THROTTLES = Listing(
    Object((Property("path", STRING, required=True), Property("rate", INTEGER, required=True, valid=at_least(0)))),
    unordered=True,
)
_NETWORK_DATA = Listing(
    Object(
        tuple(
            Property(n, INTEGER if n.endswith("Length") else STRING)
            for n in (
                "networkName", "ipAddress", "ipPrefixLength", "gateway", "globalIpv6Address",
                "globalIpv6PrefixLength", "ipv6Gateway", "macAddress",
            )
        )
    )
)  # fmt: skip

_POSITIVE = at_least(0)


def _size(name: str, at: str, change: Literal["replace", "limit"], lowest: int = 0, computed: bool = False) -> Property:
    """A size in MiB, which the daemon counts in bytes."""
    return Property(
        name, INTEGER, change=change, computed=computed, at=at, valid=at_least(lowest),
        to=values.bytes_of, back=values.mib_of,
    )  # fmt: skip


FIELDS: tuple[Property, ...] = (
    Property("name", STRING, autonamed=True),
    Property("image", STRING, required=True),
    # What runs.
    Property("command", STRINGS, computed=True, at="Config.Cmd"),
    Property("entrypoints", STRINGS, raw="entrypoint", computed=True, at="Config.Entrypoint"),
    Property("envs", STRING_SET, raw="env", computed=True),
    Property("labels", LABELS, computed=True),
    Property("user", STRING, computed=True, at="Config.User"),
    Property("groupAdds", STRING_SET, raw="group_add", at="HostConfig.GroupAdd"),
    Property("workingDir", STRING, computed=True, at="Config.WorkingDir"),
    Property("hostname", STRING, computed=True, at="Config.Hostname"),
    Property("domainname", STRING, at="Config.Domainname"),
    Property("tty", BOOLEAN, at="Config.Tty"),
    Property("stdinOpen", BOOLEAN, at="Config.OpenStdin"),
    Property("init", BOOLEAN, computed=True, at="HostConfig.Init", back=bool),
    Property("stopSignal", STRING, computed=True, at="Config.StopSignal"),
    Property("stopTimeout", INTEGER, computed=True, at="Config.StopTimeout"),
    Property("runtime", STRING, computed=True, at="HostConfig.Runtime"),
    Property("platform", STRING, computed=True),
    Property(
        "healthcheck", _HEALTHCHECK, computed=True, at="Config.Healthcheck",
        to=values.healthcheck_to, back=values.healthcheck_back,
    ),
    # How long it runs, and what is waited for; these are the provider's own, the daemon knows none of them.
    Property("start", BOOLEAN, change="update", default=True),
    Property("mustRun", BOOLEAN, change="update", default=True),
    Property("attach", BOOLEAN, change="update", default=False),
    Property("logs", BOOLEAN, change="update", default=False),
    Property("wait", BOOLEAN, change="update", default=False),
    Property("waitTimeout", INTEGER, change="update", default=60, valid=at_least(1)),
    Property("containerReadRefreshTimeoutMilliseconds", INTEGER, change="update", default=15000),
    Property("destroyGraceSeconds", INTEGER, change="update", valid=_POSITIVE),
    Property("removeVolumes", BOOLEAN, change="update", default=True),
    Property("rm", BOOLEAN, at="HostConfig.AutoRemove"),
    Property(
        "restart", STRING, change="update", default="no", at="HostConfig.RestartPolicy.Name",
        valid=matches("no|on-failure|always|unless-stopped", "no, on-failure, always or unless-stopped"),
    ),
    Property("maxRetryCount", INTEGER, change="update", at="HostConfig.RestartPolicy.MaximumRetryCount"),
    # Files.
    Property("readOnly", BOOLEAN, at="HostConfig.ReadonlyRootfs"),
    Property("volumes", Listing(_VOLUME, unordered=True), valid=values.valid_volumes),
    Property("mounts", Listing(_MOUNT, unordered=True), at="HostConfig.Mounts", to=values.mounts_to),
    Property("tmpfs", TEXT_MAP, at="HostConfig.Tmpfs"),
    Property("uploads", Listing(_UPLOAD, unordered=True), raw="upload"),
    Property("storageOpts", TEXT_MAP, at="HostConfig.StorageOpt"),
    _size("shmSize", "HostConfig.ShmSize", "replace", computed=True),
    # Network.
    Property("ports", Listing(_PORT, unordered=True)),
    Property("publishAllPorts", BOOLEAN, at="HostConfig.PublishAllPorts"),
    Property("networkMode", STRING, default="bridge", at="HostConfig.NetworkMode"),
    Property("networksAdvanced", Listing(_NETWORK, unordered=True)),
    Property(
        "hosts", Listing(_HOST, unordered=True), raw="host", at="HostConfig.ExtraHosts",
        to=values.hosts_to, back=values.hosts_back,
    ),
    Property("dns", STRING_SET, at="HostConfig.Dns"),
    Property("dnsOpts", STRING_SET, at="HostConfig.DnsOptions"),
    Property("dnsSearches", STRING_SET, raw="dns_search", at="HostConfig.DnsSearch"),
    # Rights and isolation.
    Property("privileged", BOOLEAN, at="HostConfig.Privileged"),
    Property("capabilities", _CAPABILITIES, same=values.same_capabilities),
    Property("securityOpts", STRING_SET, computed=True),
    Property(
        "devices", Listing(_DEVICE, unordered=True), at="HostConfig.Devices",
        same=lambda devices: [values.device(entry) for entry in devices],
        to=values.devices_to, back=values.devices_back,
    ),
    Property("sysctls", TEXT_MAP, at="HostConfig.Sysctls"),
    Property(
        "ulimits", Listing(_ULIMIT, unordered=True), raw="ulimit", at="HostConfig.Ulimits",
        to=values.ulimits_to, back=values.ulimits_back,
    ),
    Property("pidMode", STRING, unread=True, at="HostConfig.PidMode"),
    Property("ipcMode", STRING, computed=True, at="HostConfig.IpcMode"),
    Property("usernsMode", STRING, at="HostConfig.UsernsMode"),
    Property("cgroupnsMode", STRING, valid=matches("private|host", "private or host")),
    Property("cgroupParent", STRING),
    # Limits: the daemon changes them in place.
    _size("memory", "HostConfig.Memory", "limit"),
    _size("memoryReservation", "HostConfig.MemoryReservation", "limit"),
    _size("memorySwap", "HostConfig.MemorySwap", "limit", lowest=-1),
    Property(
        "cpus", STRING, change="limit", at="HostConfig.NanoCpus", valid=values.valid_cpus, same=values.nanocpus,
        to=values.nanocpus, back=values.cpus_of,
    ),
    Property("cpuShares", INTEGER, change="limit", at="HostConfig.CpuShares", valid=_POSITIVE),
    Property("cpuPeriod", INTEGER, change="limit", unread=True, at="HostConfig.CpuPeriod", valid=_POSITIVE),
    Property("cpuQuota", INTEGER, change="limit", unread=True, at="HostConfig.CpuQuota", valid=_POSITIVE),
    Property(
        "cpuSet", STRING, change="limit", at="HostConfig.CpusetCpus",
        valid=matches(r"\d+([,-]\d+)*", "CPU numbers such as 0-2,4"),
    ),
    *(
        Property(
            f"device{what}", _THROTTLES, at=f"HostConfig.BlkioDevice{daemon}",
            to=values.throttles_to, back=values.throttles_back,
        )
        for what, daemon in (
            ("ReadBps", "ReadBps"), ("ReadIops", "ReadIOps"), ("WriteBps", "WriteBps"), ("WriteIops", "WriteIOps"),
        )
    ),
    # Logs.
    Property("logDriver", STRING, computed=True, at="HostConfig.LogConfig.Type"),
    Property("logOpts", TEXT_MAP, at="HostConfig.LogConfig.Config"),
    # What only the daemon tells.
    Property("bridge", STRING, output=True, at="NetworkSettings.Bridge"),
    Property(
        "networkDatas", _NETWORK_DATA, raw="network_data", output=True, computed=True,
        at="NetworkSettings.Networks", back=values.networks_back,
    ),
    Property("exitCode", INTEGER, output=True),
    Property("containerLogs", STRING, output=True),
    # Not to be set with this engine; a state names them all the same.
    Property("deviceRequests", Listing(Object(()), unordered=True), output=True),
    Property("gpus", STRING, output=True),
)  # fmt: skip
