"""Settings of the manager and the reaper, from their environment.

========================  =====================================================================================
STACK                     whose leases these are: part of names and labels
LEASES_FILE               what can be leased, see :mod:`berth.leases.scenario`
MONGODB_URI               of the replica set, database included; from a file (MONGODB_URI_FILE)
REDIS_URL                 of the server for events and logs; from a file (REDIS_URL_FILE)
DOCKER_HOST               the guard's socket (unix:///run/docker-guard/docker.sock)
JOURNAL_DIR               where deadlines are kept on disk, shared with the reaper (/var/lib/berth)
PORT                      where to listen (8080)
LEASE_ACCESS              who may lease: open, token or pass (open)
LEASE_DOMAIN              leases are <name>.<LEASE_DOMAIN> (test.localhost)
LEASE_VPN_DOMAIN          those that only a tunnel reaches are <name>.<LEASE_VPN_DOMAIN> (vpn.internal)
LEASE_PORT                the port inside a lease that the gateway speaks to (8080)
LEASE_NETWORK             the bridge between gateway and leases (berth-<STACK>-leases)
PUBLIC_URL, ORIGINS       where the gateway is reached (http://localhost:8080), which gives leases their scheme and
                          port, and further origins of the web page (comma)
MAX_CONTAINERS            leases at once (100)
MAX_PER_USER              of one user (10)
CONTAINER_LIFETIME_HOURS  the life of a lease that names none, and the most that extensions may reach (24)
MIN_DURATION_MINUTES, MAX_DURATION_MINUTES   what may be asked for (1, 1440)
CLEANUP_INTERVAL_MINUTES  how often the cleanup worker sweeps up what timers, events and workers missed (1)
RECONCILE_SECONDS         how often what is wanted and what is are compared (30)
WARN_SECONDS              when before the end a lease is told of it (300,60)
STOP_SECONDS              between SIGTERM at the deadline and SIGKILL (1)
PARALLEL                  Docker operations at once (8)
REAPER_SECONDS            how often the reaper looks (2)
REAPER_GRACE_SECONDS      what it leaves the manager after a lease's time is over (10)
KEEP_MINUTES              how long ended leases and their logs can be looked at (60)
POOL_HOURS                how old a waiting container may become (12)
POOL_WAITS                how it waits: paused, running, or auto: paused where a paused one can be killed (auto)
SESSION_KEY               HS256 secret that the gateway knows too; from a file (SESSION_KEY_FILE)
SESSION_SECONDS           how long a session at the gateway lasts (3600)
GATEWAY_SOCKET            HAProxy's runtime socket, for revoking sessions (none)
NODE_GATEWAYS             folder with the sockets of the nodes' gateways, for ending connections there (none)
ADMIN_TOKEN               who shows it may see and do everything; from a file (ADMIN_TOKEN_FILE)
ACCESS_SESSION_KEY        the access API's session key, for LEASE_ACCESS=pass; from a file
ACCESS_URL                where that API says who signed out (none: sessions last until they are over)
CHAIN_ID, RPC_URLS, QUORUM, KEY_REGISTRY   the chain that says who holds a pass, for LEASE_ACCESS=pass
GATEWAY_ADDRESS           whose X-Forwarded-For is believed: addresses or networks (comma)
REQUESTS_PER_MINUTE       for each caller (600)
========================  =====================================================================================
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from berth.access.api.origins import normalize
from berth.kit.settings import ServiceSettings
from berth.leases.scenario import Catalogue, Exposure, parse

Access = Literal["open", "token", "pass"]
Waiting = Literal["paused", "running"]
Positive = Annotated[int, Field(ge=1, le=10**9)]
Minutes = Annotated[int, Field(ge=1, le=525_600)]


def parts(text: str) -> list[str]:
    """A comma list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(text: str) -> str:
    for part in parts(text):
        ip_network(part)
    return text


def _origins(text: str) -> str:
    for part in parts(text):
        normalize(part)
    return text


def _seconds(text: str) -> str:
    for part in parts(text):
        if not part.isdigit() or not int(part):
            raise ValueError(f"{part!r} is not a number of seconds above 0")
    return text


def _url(text: str) -> str:
    if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
        raise ValueError("is not http://host[:port]")
    return text


def _socket(text: str) -> str:
    if not text.startswith(("unix:///", "tcp://")):
        raise ValueError("is neither unix:///path nor tcp://host:port")
    return text


class LeaseSettings(ServiceSettings):
    """What the manager and the reaper share."""

    stack: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$")]
    mongodb_uri: SecretStr
    docker_host: Annotated[str, AfterValidator(_socket)] = "unix:///run/docker-guard/docker.sock"
    journal_dir: Path = Path("/var/lib/berth")
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    stop_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    parallel: Annotated[int, Field(ge=1, le=256)] = 8
    reaper_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 2
    reaper_grace_seconds: Annotated[float, Field(ge=1, le=3600)] = 10

    @property
    def owner(self) -> str:
        """The value of the label ``berth.stack``."""
        return f"berth/{self.stack}"


class ManagerSettings(LeaseSettings):
    """See the module's table."""

    leases_file: Path = Path("/run/berth/leases.json")
    redis_url: SecretStr
    lease_access: Access = "open"
    lease_domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,200}$")] = "test.localhost"
    lease_vpn_domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,200}$")] = "vpn.internal"
    lease_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    lease_network: str = ""
    public_url: Annotated[str, AfterValidator(normalize)] = "http://localhost:8080"
    origins: Annotated[str, AfterValidator(_origins)] = ""
    max_containers: Annotated[int, Field(ge=1, le=1000)] = 100
    max_per_user: Annotated[int, Field(ge=1, le=1000)] = 10
    container_lifetime_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    min_duration_minutes: Minutes = 1
    max_duration_minutes: Minutes = 1440
    cleanup_interval_minutes: Minutes = 1
    reconcile_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 30
    warn_seconds: Annotated[str, AfterValidator(_seconds)] = "300,60"
    keep_minutes: Minutes = 60
    pool_hours: Annotated[float, Field(gt=0, le=8760)] = 12
    pool_waits: Waiting | Literal["auto"] = "auto"
    session_key: Annotated[SecretStr, Field(min_length=32)]
    session_seconds: Annotated[int, Field(ge=60, le=3600)] = 3600
    gateway_socket: str = ""
    node_gateways: Path | None = None
    admin_token: Annotated[SecretStr, Field(min_length=16)] | None = None
    access_session_key: Annotated[SecretStr, Field(min_length=32)] | None = None
    access_url: Annotated[str, AfterValidator(_url)] = ""
    chain_id: Positive | None = None
    rpc_urls: str = ""
    quorum: Positive = 1
    key_registry: str = ""
    gateway_address: Annotated[str, AfterValidator(_networks)] = ""
    requests_per_minute: Positive = 600

    @model_validator(mode="after")
    def _whole(self) -> ManagerSettings:
        problems = []
        if self.min_duration_minutes > self.max_duration_minutes:
            problems.append(
                f"MIN_DURATION_MINUTES is {self.min_duration_minutes}, above MAX_DURATION_MINUTES "
                f"({self.max_duration_minutes})"
            )
        if self.max_per_user > self.max_containers:
            problems.append(f"MAX_PER_USER is {self.max_per_user}, above MAX_CONTAINERS ({self.max_containers})")
        if self.lease_access == "pass":
            needed = ("access_session_key", "chain_id", "rpc_urls", "key_registry")
            problems += [
                f"{n.upper()} is not set, which LEASE_ACCESS=pass needs" for n in needed if not getattr(self, n)
            ]
        try:
            parse(self.leases_file.read_text())
        except OSError as error:
            problems.append(f"LEASES_FILE is {self.leases_file}, which cannot be read: {error.strerror}")
        except ValueError as error:
            problems.append(f"LEASES_FILE {self.leases_file}: {error}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @cached_property
    def catalogue(self) -> Catalogue:
        return parse(self.leases_file.read_text())

    @cached_property
    def warnings(self) -> tuple[int, ...]:
        """Seconds before the end, the earliest warning first."""
        return tuple(sorted({int(part) for part in parts(self.warn_seconds)}, reverse=True))

    @property
    def network(self) -> str:
        return self.lease_network or f"berth-{self.stack}-leases"

    @cached_property
    def waiting(self) -> Waiting:
        """How members of the pool wait.

        The first version of cgroups keeps a frozen process from dying, whoever kills it: a daemon that is killed would
        leave it behind for good.  (The files are those of this kernel, which is the daemon's too.)
        """
        if self.pool_waits != "auto":
            return self.pool_waits
        return "paused" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "running"

    @property
    def longest(self) -> float:
        """The hard maximum of a lease, in seconds."""
        return max(self.container_lifetime_hours * 3600, self.max_duration_minutes * 60)

    @cached_property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(part) for part in parts(self.gateway_address))

    def host_of(self, name: str, exposure: Exposure = "public") -> str:
        """The name by which a lease is asked for: at the gateway, or in the tunnel."""
        return f"{name}.{self.lease_vpn_domain if exposure == 'vpn' else self.lease_domain}"

    def url_of(self, name: str, exposure: Exposure = "public") -> str:
        """Where a lease is reached through the gateway, or in the tunnel, which encrypts by itself."""
        if exposure == "vpn":
            return f"http://{self.host_of(name, exposure)}"
        at = urlsplit(self.public_url)
        return f"{at.scheme}://{self.host_of(name)}" + (f":{at.port}" if at.port else "")

    def port_of(self, exposure: Exposure = "public") -> int:
        """The port there."""
        at = urlsplit(self.public_url)
        return 80 if exposure == "vpn" else at.port or (443 if at.scheme == "https" else 80)
