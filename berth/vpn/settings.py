"""Settings of a node, from its environment; see docs for the table of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, cast, get_args

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from berth.access.policy import OutagePolicy
from berth.access.tunnel import Subnets, check_subnet6, node_address
from berth.chain.endpoint import Finality
from berth.chain.hashing import normalize_address
from berth.chain.heads import websocket_url
from berth.chain.networks import Network, network_of, networks
from berth.chain.node_registry import max_bridges
from berth.kit.settings import LogLevel, ServiceSettings
from berth.vpn.keys import is_key
from berth.vpn.target import Target, parse_target


def _targets(text: str) -> str:
    for part in _parts(text):
        parse_target(part)
    return text


def _subnet(text: str) -> str:
    try:
        subnet = IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{error}; an IPv4 block such as 10.77.0.0/16 is allowed") from None
    if subnet.prefixlen > 30:
        raise ValueError("no room for a node and a peer, /30 is the smallest")
    return text


def _networks(text: str) -> str:
    for part in _parts(text):
        try:
            IPv4Network(part)
        except ValueError as error:
            raise ValueError(f"{error}; IPv4 blocks such as 172.30.10.0/24 are allowed") from None
    return text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


Port = Annotated[int, Field(ge=1, le=65535)]


def _urls(text: str, schemes: str) -> str:
    for part in _parts(text):
        if not re.fullmatch(rf"({schemes})://[^\s/]+\S*", part):
            raise ValueError(f"{part!r} is no {schemes.replace('?', '').replace('|', ' or ')} URL")
    return text


def _log_levels(text: str) -> str:
    for part in _parts(text):
        component, _, level = part.partition("=")
        if not re.fullmatch(r"[a-z-]+", component) or level not in get_args(LogLevel):
            raise ValueError(f"{part!r} is not component=level, as in agent=debug,chain=warning")
    return text


def _private_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", value.get_secret_value()):
        raise ValueError("not a private key: 0x and 64 hexadecimal digits are")
    return value


def _wireguard_key(value: SecretStr) -> SecretStr:
    if not is_key(value.get_secret_value()):
        raise ValueError("not a WireGuard private key: 32 bytes in base64, as `wg genkey` prints them, are")
    return value


_host_port: Final = r"[A-Za-z0-9.:_\[\]-]{1,255}:[0-9]{1,5}"


def _bridges(text: str) -> str:
    parts = _parts(text)
    for part in parts:
        if not re.fullmatch(_host_port, part):
            raise ValueError(f"{part!r} is not host:port")
    if len(parts) > max_bridges:
        raise ValueError(f"{len(parts)} bridges: NodeRegistry takes {max_bridges}")
    return text


_order: Final = get_args(Finality)
_presets: Final = "one of " + ", ".join(networks)


class NodeSettings(ServiceSettings):
    """The variables of a node, in lower case; docs/node.md says what each is.

    ``allow``: comma-separated targets, see :func:`berth.vpn.target.parse_target`.  ``control_sources``:
    comma-separated IPv4 blocks that may call the control API; the host (the default gateway) always may.
    """

    node_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    network: Annotated[str, AfterValidator(lambda text: _preset(text))] = "base"
    rpc_urls: Annotated[str, AfterValidator(lambda text: _urls(text, "https?"))] = ""
    rpc_url: Annotated[str, AfterValidator(lambda text: _urls(text, "https?"))] = ""
    ws_urls: Annotated[str, AfterValidator(lambda text: _urls(text, "wss?"))] = ""
    quorum: Annotated[int, Field(ge=1, le=16)] = 1
    chain_id: Annotated[int, Field(ge=1)] | None = None
    finality: Finality | None = None
    removal_finality: Finality | None = None
    key_registry: Annotated[str, AfterValidator(normalize_address)]
    node_registry: Annotated[str, AfterValidator(normalize_address)] | None = None
    auto_sync: bool = True
    sync_interval: Annotated[int, Field(ge=100, le=86_400_000)] = 30_000
    max_stale: Annotated[int, Field(ge=10, le=604_800)] = 900
    outage_policy: OutagePolicy = "fail-closed"
    breaker_share: Annotated[int, Field(ge=1, le=100)] = 50
    breaker_at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    breaker_wait: Annotated[int, Field(ge=0, le=86_400)] = 900
    wireguard_private_key: Annotated[SecretStr, AfterValidator(_wireguard_key)] | None = None
    contract_private_key: Annotated[SecretStr, AfterValidator(_private_key)] | None = None
    endpoint: Annotated[str, StringConstraints(pattern=rf"^{_host_port}$")] | None = None
    bridges: Annotated[str, AfterValidator(_bridges)] = ""
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,63}$")] = ""
    tunnel_subnet: Annotated[str, AfterValidator(_subnet)] = "10.77.0.0/16"
    tunnel_subnet6: Annotated[str, AfterValidator(lambda text: _subnet6(text))] = ""
    mtu: Annotated[int, Field(ge=1280, le=9000)] = 1420
    allow: Annotated[str, AfterValidator(_targets)] = ""
    listen_port: Port = 51820
    control_port: Port = 8080
    control_sources: Annotated[str, AfterValidator(_networks)] = ""
    control_token: Annotated[SecretStr, Field(min_length=16)]
    log_levels: Annotated[str, AfterValidator(_log_levels)] = ""
    state_dir: Path = Path("/var/lib/berth")
    interface: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,14}$")] = "wg0"
    gateway_socket: Path | None = None
    gateway_port: Port = 80

    @model_validator(mode="after")
    def _together(self) -> NodeSettings:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        for target in self.targets:
            if isinstance(target.network, IPv4Network) and target.network.overlaps(self.subnet):
                yield (
                    f"ALLOW holds {target.network}, which overlaps TUNNEL_SUBNET {self.subnet}: "
                    "peers do not reach each other"
                )
        if self.subnet6:
            try:
                check_subnet6(self.subnet, self.subnet6)
            except ValueError as error:
                yield f"TUNNEL_SUBNET6: {error}"
        if self.rpc_url and self.rpc_urls:
            yield "RPC_URL and RPC_URLS are both set: keep RPC_URLS"
        preset = networks[self.network]
        if self.chain_id not in (None, preset.chain_id) and not (self.rpc_urls or self.rpc_url):
            yield (
                f"CHAIN_ID is {self.chain_id}, but the endpoints of NETWORK {self.network} serve chain "
                f"{preset.chain_id}: set RPC_URLS"
            )
        if self.quorum > len(self.endpoints):
            yield f"QUORUM is {self.quorum}, but RPC_URLS names {len(self.endpoints)}: so many cannot agree"
        sockets = _parts(self.ws_urls)
        if sockets and len(sockets) != len(self.endpoints):
            yield f"WS_URLS names {len(sockets)} endpoints and RPC_URLS {len(self.endpoints)}: one for each, or none"
        if _order.index(self.removals_at) > _order.index(self.additions_at):
            yield (
                f"REMOVAL_FINALITY {self.removals_at} is slower than FINALITY {self.additions_at}: "
                "who loses a pass would stay longer than who gains one waits"
            )
        if self.contract_private_key:
            missing = [name for name in ("node_registry", "endpoint") if not getattr(self, name)]
            if missing:
                names = " and ".join(name.upper() for name in missing)
                yield f"CONTRACT_PRIVATE_KEY is set, so the node announces itself: that needs {names}"

    @property
    def chain(self) -> int:
        """The chain's id: CHAIN_ID, else the network's."""
        return self.chain_id or networks[self.network].chain_id

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The JSON-RPC URLs, the first one first."""
        return tuple(_parts(self.rpc_urls or self.rpc_url)) or networks[self.network].rpc_urls

    @property
    def sockets(self) -> tuple[str, ...]:
        """The WebSocket URL of each endpoint."""
        return tuple(_parts(self.ws_urls)) or tuple(map(websocket_url, self.endpoints))

    @property
    def _known(self) -> Network:
        """The network whose rules hold: a CHAIN_ID that another preset has stands above NETWORK."""
        return network_of(self.chain) or networks["local"]

    @property
    def additions_at(self) -> Finality:
        return self.finality or self._known.finality

    @property
    def removals_at(self) -> Finality:
        return self.removal_finality or self.additions_at

    @property
    def block_seconds(self) -> float:
        """A new head comes at least so often; 0 where nothing is known of the chain."""
        return self._known.block_seconds

    @cached_property
    def subnet(self) -> IPv4Network:
        return IPv4Network(self.tunnel_subnet)

    @cached_property
    def subnet6(self) -> IPv6Network | None:
        return IPv6Network(self.tunnel_subnet6) if self.tunnel_subnet6 else None

    @cached_property
    def subnets(self) -> Subnets:
        return Subnets(self.subnet, self.subnet6)

    @property
    def address6(self) -> str:
        """The node's own IPv6 address in the tunnel, "" without."""
        return self.subnets.address6(self.address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The node's own addresses in the tunnel: IPv4, and IPv6 where there is one."""
        return (self.address, self.address6) if self.subnet6 else (self.address,)

    @property
    def address(self) -> str:
        """The node's own tunnel address."""
        return node_address(self.subnet)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        return tuple(parse_target(part) for part in _parts(self.allow))

    @cached_property
    def sources(self) -> tuple[IPv4Network, ...]:
        return tuple(IPv4Network(part) for part in _parts(self.control_sources))

    @property
    def announced_bridges(self) -> tuple[str, ...]:
        """Where TCP bridges before this node are reached."""
        return tuple(_parts(self.bridges))

    @property
    def levels(self) -> dict[str, LogLevel]:
        """Log level by component."""
        pairs = (part.partition("=") for part in _parts(self.log_levels))
        return {component: cast(LogLevel, level) for component, _, level in pairs}


def _preset(text: str) -> str:
    if text not in networks:
        raise ValueError(f"not a network that is known: it must be {_presets}")
    return text


def _subnet6(text: str) -> str:
    if text:
        try:
            IPv6Network(text)
        except ValueError as error:
            raise ValueError(f"{error}; a unique local block such as fd77::/64 is allowed") from None
    return text
