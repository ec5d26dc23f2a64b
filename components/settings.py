"""The stack's settings, ``berth:*`` in ``stacks/Pulumi.<stack>.yaml``, as one validated model.

:func:`load` is the first thing the program does: with a wrong key, type or value no resource has been
registered yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal, Self

import pulumi.runtime.config
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from components.gateway_settings import GatewaySettings
from components.lease_settings import LeaseSettings, RedisSettings, own_images
from providers.explain import explain
from providers.fields import Allowed, Port, Section, SettingsError, Subnet
from providers.settings import AccessSettings, BridgeSettings, ChainSettings, NodeSettings, namespace

__all__ = [
    "AccessSettings",
    "BridgeSettings",
    "ChainSettings",
    "GatewaySettings",
    "ImageSettings",
    "LeaseSettings",
    "MongoSettings",
    "NetworkSettings",
    "NodeSettings",
    "RedisSettings",
    "Settings",
    "SettingsError",
    "derived",
    "load",
    "parse",
]

_taken: Final = {
    "access", "bridges", "chain", "edge", "gateway", "inside", "lease-journal", "leases", "leases-guard",
    "leases-rules", "nodes", "reaper", "reaper-guard", "redis", "relay", "web",
}  # fmt: skip
undecided: Final = 0xDEAD
"""The account that example stacks name as owner; nobody has its key."""

_reference: Final = r"[a-z0-9./:_-]+@sha256:[0-9a-f]{64}"
Source = Annotated[
    str,
    Field(pattern=rf"^(local|{_reference})$"),
    Allowed("local, or a reference by digest such as mongo:7.0@sha256:<64 hexadecimal digits>"),
]
Base = Annotated[
    str,
    Field(pattern=rf"^(debian:bookworm-slim|{_reference})$"),
    Allowed("debian:bookworm-slim, or a reference to a Debian 12 image by digest"),
]


def _number(value: Any) -> Any:
    """For a choice among numbers: true is equal to 1, and yet not meant by it."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


class ImageSettings(Section):
    """``berth:images``: where each image comes from; ``local`` builds ``images/<name>``."""

    base: Base = "debian:bookworm-slim"
    service: Source = "local"
    mongodb: Source = "local"
    chain: Source = "local"
    gateway: Source = "local"
    wireguard: Source = "local"
    access: Source = "local"
    bridge: Source = "local"
    web: Source = "local"
    redis: Source = "local"
    leases: Source = "local"
    lease_rules: Source = "local"
    node_gateway: Source = "local"
    lease_shell: Source = "local"
    lease_echo: Source = "local"


class NetworkSettings(Section):
    """``berth:network``: the two bridges."""

    inside_subnet: Subnet = IPv4Network("172.30.10.0/24")
    edge_subnet: Subnet = IPv4Network("172.30.11.0/24")

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        for key, subnet in (("insideSubnet", self.inside_subnet), ("edgeSubnet", self.edge_subnet)):
            if subnet.prefixlen > 26:
                raise ValueError(f"{key} is {subnet}: it must be /26 or larger")
        return self


class MongoSettings(Section):
    """``berth:mongodb``: the replica set ``rs0``."""

    members: Annotated[Literal[1, 3, 5], BeforeValidator(_number), Allowed("1, 3 or 5")] = 1
    host_port: Port | None = None
    """Where the first member is published on 127.0.0.1; nowhere when absent."""
    memory: Annotated[int, Field(ge=256, le=1_048_576), Allowed("MiB, a whole number from 256")] = 512


class Settings(Section):
    """All of ``berth:*``."""

    runtime: Annotated[Literal["docker", "swarm"], Allowed("docker")] = "docker"
    images: ImageSettings = ImageSettings()
    network: NetworkSettings = NetworkSettings()
    chain: ChainSettings = Field(default_factory=lambda: ChainSettings.model_validate({}))
    access: AccessSettings = AccessSettings()
    mongodb: MongoSettings = MongoSettings()
    gateway: GatewaySettings = GatewaySettings()
    redis: RedisSettings = RedisSettings()
    leases: LeaseSettings = LeaseSettings()

    @property
    def bridge_names(self) -> tuple[str, ...]:
        """Of all nodes."""
        return tuple(bridge.name for node in self.access.nodes for bridge in node.bridges)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.runtime == "swarm":
            raise ValueError('runtime is "swarm": only docker is implemented, containers on one host')
        subnets = {
            "network.insideSubnet": self.network.inside_subnet,
            "network.edgeSubnet": self.network.edge_subnet,
            "access.tunnelSubnet": self.access.tunnel_subnet,
        }
        if self.leases.enabled:
            subnets |= {"leases.subnet": self.leases.subnet, "leases.subnets": self.leases.subnets}
        _refuse_overlaps(subnets)
        ports: list[tuple[str, int]] = [
            ("gateway.httpPort", self.gateway.http_port),
            ("gateway.altPort", self.gateway.alt_port),
            *((f"access.nodes[{i}].controlPort", node.control_port) for i, node in enumerate(self.access.nodes)),
            *(
                (f"access.nodes[{i}].bridges[{j}].port", bridge.port)
                for i, node in enumerate(self.access.nodes)
                for j, bridge in enumerate(node.bridges)
            ),
        ]
        if self.gateway.tls is not None:
            ports.append(("gateway.httpsPort", self.gateway.https_port))
        if self.chain.mode == "local":
            ports.append(("chain.rpcPort", self.chain.rpc_port))
        if self.mongodb.host_port is not None:
            ports.append(("mongodb.hostPort", self.mongodb.host_port))
        if self.leases.enabled and self.redis.host_port is not None:
            ports.append(("redis.hostPort", self.redis.host_port))
        _refuse_twice(ports)
        if self.leases.enabled:
            _refuse_unpinned(self.leases)
        _refuse_taken_names(self.access.nodes)
        if len(self.bridge_names) > (room := len(bridge_places(self.network.inside_subnet))):
            raise ValueError(
                f"access.nodes have {len(self.bridge_names)} bridges, and network.insideSubnet "
                f"{self.network.inside_subnet} has room for {room}: make it larger"
            )
        _refuse_short_quarantine(self.chain, self.access)
        return self


def bridge_places(inside: IPv4Network) -> range:
    """Host numbers of bridges inside: the second quarter; Docker hands out the upper half."""
    return range(inside.num_addresses // 4, inside.num_addresses // 2)


def _refuse_overlaps(subnets: Mapping[str, IPv4Network]) -> None:
    items = list(subnets.items())
    for i, (name, subnet) in enumerate(items):
        for other_name, other in items[i + 1 :]:
            if subnet.overlaps(other):
                raise ValueError(f"{name} {subnet} overlaps {other_name} {other}: they must be apart")


def _refuse_taken_names(nodes: Sequence[NodeSettings]) -> None:
    """The name of a node or a bridge is its container's, and its host name inside."""
    named = [(f"access.nodes[{i}].name", node.name) for i, node in enumerate(nodes)]
    gateways = {f"{node.name}-gateway" for node in nodes}
    taken = {*_taken, *(node.name for node in nodes), *gateways}
    for where, name in named:
        if name in _taken | gateways or name.startswith("mongo-"):
            raise ValueError(f'{where} is "{name}", which another part has: name it otherwise')
    for i, node in enumerate(nodes):
        for j, bridge in enumerate(node.bridges):
            if bridge.name in taken or bridge.name.startswith("mongo-"):
                where = f"access.nodes[{i}].bridges[{j}].name"
                raise ValueError(f'{where} is "{bridge.name}", which another part has: name it otherwise')


def _refuse_short_quarantine(chain: ChainSettings, access: AccessSettings) -> None:
    """A node that lags must not let the old holder of an address in when it has a new one."""
    longest = access.max_stale_seconds + access.breaker.wait_seconds
    if chain.mode == "external" and access.quarantine_seconds < longest:
        raise ValueError(
            f"access.quarantineSeconds is {access.quarantine_seconds}: it must be at least {longest}, the sum of "
            "access.maxStaleSeconds and access.breaker.waitSeconds, for which a node may go by an older list"
        )


def _refuse_unpinned(leases: LeaseSettings) -> None:
    """What people lease is run by the stack: it is ours, or is named so that it cannot change."""
    for name in leases.images:
        if name not in own_images and not re.fullmatch(_reference, name):
            raise ValueError(
                f'leases.scenarios name the image "{name}": it must be {" or ".join(own_images)}, or a reference by '
                "digest such as alpine:3@sha256:<64 hexadecimal digits>"
            )


def _refuse_twice(ports: list[tuple[str, int]]) -> None:
    seen: dict[int, str] = {}
    for name, port in ports:
        if port in seen:
            raise ValueError(f"{name} is {port}, and so is {seen[port]}: each TCP port must be different")
        seen[port] = name


def parse(config: Mapping[str, str]) -> Settings:
    """The settings among a namespaced configuration (keys such as ``berth:chain``, objects as JSON).

    Errors: :class:`SettingsError`, one for everything that is wrong.
    """
    given: dict[str, Any] = {}
    for name, raw in config.items():
        space, _, key = name.partition(":")
        if space == namespace:
            given[key] = _value(name, raw)
    try:
        return Settings.model_validate_json(json.dumps(given))
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in explain(error, Settings, f"{namespace}:"))
        raise SettingsError(f"the stack's settings cannot be used:\n{problems}") from error


def _value(name: str, raw: str) -> Any:
    """An object or list comes as JSON, anything else is the string that it is."""
    if not raw.lstrip().startswith(("{", "[")):
        return raw
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{name} cannot be read: {error}") from error


def load() -> Settings:
    """The settings of the stack that this program runs for.

    ``pulumi.Config`` can be asked for a key but not for all keys, and a misspelt one has to be found; so this
    reads the configuration behind it.

    Errors: ``pulumi.RunError`` with the sentences of :func:`parse`.
    """
    try:
        settings = parse({**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()})
        if not pulumi.runtime.is_dry_run():
            _require_decided(settings)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error  # shown as it is, without a traceback
    return settings


def derived(section: str, value: pulumi.Input[str]) -> pulumi.Output[str]:
    """What is made of ``berth:<section>``; where that holds a secret, so is this."""
    key, config = f"{namespace}:{section}", pulumi.runtime.config
    secret = config.is_config_secret(key) or key in config.get_config_secret_keys_env()
    return pulumi.Output.secret(value) if secret else pulumi.Output.from_input(value)


def _require_decided(settings: Settings) -> None:
    """A stack that is only sketched can be previewed, and not deployed: contracts are for good."""
    if settings.access.owner is not None and int(settings.access.owner, 16) == undecided:
        raise SettingsError(
            f"berth:access.owner is {settings.access.owner}, which stands for an owner that is not decided yet: "
            "set the account that may mint passes"
        )
