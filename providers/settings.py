"""The stack settings that dynamic providers read too, and how every section is validated.

The program reads all of ``berth:*`` (``components/settings.py``); a provider gets the same namespaced
configuration through ``configure`` and reads the one section it needs with :func:`load_section`.  Nothing
here imports Pulumi.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from berth.chain.node_registry import max_bridges
from providers.explain import explain
from providers.fields import (
    Address,
    Allowed,
    Finality,
    HostAddress,
    HostPort,
    IpAddress,
    Label,
    Port,
    PrivateKey,
    Section,
    SettingsError,
    Subnet,
    Subnet6,
    Target,
    Url,
    WsUrl,
)

__all__ = [
    "AccessSettings",
    "BreakerSettings",
    "BridgeSettings",
    "ChainSettings",
    "NodeSettings",
    "RelaySettings",
    "SettingsError",
    "anvil_key",
    "load_section",
    "namespace",
]

namespace: Final = "berth"

# The first account of the mnemonic that every development chain ships ("test test ... junk"): public
# knowledge, and therefore only ever the default of the local chain.
anvil_key: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

_slowness: Final = ("latest", "safe", "finalized")


class ChainSettings(Section):
    """``berth:chain``: the chain that holds the passes."""

    mode: Annotated[Literal["local", "external"], Allowed("local or external")] = "local"
    chain_id: Annotated[int, Field(ge=1, le=2**53 - 1), Allowed("a chain id, a whole number from 1")] = 31337
    rpc_port: Port = 8545
    rpc_url: Url = ""
    """As this machine reaches the chain."""
    node_rpc_url: Url = ""
    """As the containers reach the chain."""
    rpc_urls: Annotated[tuple[Url, ...], Allowed("a list of http:// or https:// URLs")] = ()
    """More endpoints of the same chain, for this machine and the containers: where another fails, and for `quorum`."""
    ws_urls: Annotated[tuple[WsUrl, ...], Allowed("a list of ws:// or wss:// URLs")] = ()
    """Where nodes subscribe to new blocks; derived from the other URLs where absent, and polling is the fallback."""
    quorum: Annotated[int, Field(ge=1, le=16), Allowed("a whole number from 1 to 16")] = 1
    """How many endpoints have to agree on who has access."""
    finality: Finality = "latest"
    """Which block counts."""
    removal_finality: Finality | None = None
    """Which block counts for taking access away, if that is to be sooner; as `finality` where absent."""
    first_block: Annotated[int, Field(ge=0), Allowed("a block number, a whole number from 0")] = 0
    """Before the contracts were deployed: where the access API starts to look for their events."""
    deployer_key: PrivateKey | None = None
    """Signs the deployment of the contracts; may be absent in a preview."""

    @property
    def node_rpc_urls(self) -> tuple[str, ...]:
        """Every endpoint as containers reach it, each once, the first one first."""
        return tuple(dict.fromkeys((self.node_rpc_url, *self.rpc_urls)))

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """What follows from the mode: a local chain's URLs and its well-known key."""
        if not isinstance(given, dict):
            return given
        # What this returns counts as Python's own, where a list is no tuple; a list of anything else is refused below.
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        if values.get("mode", "local") == "external":
            urls = values.get("rpcUrls")
            if "rpcUrl" not in values and isinstance(urls, tuple) and urls:
                values["rpcUrl"] = urls[0]
            if "rpcUrl" in values:
                values.setdefault("nodeRpcUrl", values["rpcUrl"])
        else:
            values.setdefault("rpcUrl", f"http://127.0.0.1:{values.get('rpcPort', 8545)}")
            values.setdefault("nodeRpcUrl", "http://chain:8545")
            values.setdefault("deployerKey", anvil_key)
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.rpc_url:
            raise ValueError("rpcUrl is missing: mode external needs the URL of a node of that chain")
        if self.quorum > (count := len(self.node_rpc_urls)):
            endpoints = "1 endpoint is" if count == 1 else f"{count} endpoints are"
            raise ValueError(f"quorum is {self.quorum}, but {endpoints} named: add others to rpcUrls")
        removal = self.removal_finality
        if removal is not None and _slowness.index(removal) > _slowness.index(self.finality):
            raise ValueError(
                f"removalFinality is {removal}, which is later than finality {self.finality}: access would be given "
                "before it can be taken away; it must be the same or sooner"
            )
        return self


class BridgeSettings(Section):
    """``berth:access.nodes[].bridges[]``: a TCP bridge before the node, for clients whose network blocks UDP."""

    name: Label
    port: Port = 51840
    """TCP port on this host; networks that block UDP often let 443 alone pass."""
    bind: HostAddress = "127.0.0.1"
    """Where the port is published."""
    endpoint: HostPort | None = None
    """What the node announces, if it is not `bind` and `port`: a public host name, for example."""
    max_connections: Annotated[int, Field(ge=1, le=100_000), Allowed("a whole number from 1 to 100000")] = 1000
    """Clients at once."""
    max_per_address: Annotated[int, Field(ge=1, le=100_000), Allowed("a whole number from 1 to 100000")] = 100
    """Clients at once from one address."""
    memory: Annotated[int, Field(ge=128, le=1_048_576), Allowed("MiB, a whole number from 128")] = 256
    """What its container may use."""
    no_delay: Annotated[bool, Allowed("true or false")] = True
    """`TCP_NODELAY`."""
    receive_timeout: Annotated[int, Field(ge=0, le=86_400), Allowed("seconds, from 0, which is never")] = 180
    """After which a client of which nothing comes is let go."""
    send_timeout: Annotated[int, Field(ge=0, le=86_400), Allowed("seconds, from 0, which is never")] = 30
    """After which a client that takes nothing is let go."""
    receive_buffer: Annotated[int, Field(ge=0, le=1 << 30), Allowed("bytes, from 0, which leaves it to the system")] = 0
    """`SO_RCVBUF` of TCP."""
    send_buffer: Annotated[int, Field(ge=0, le=1 << 30), Allowed("bytes, from 0, which leaves it to the system")] = 0
    """`SO_SNDBUF` of TCP."""
    queue: Annotated[int, Field(ge=65_536, le=1 << 30), Allowed("bytes, a whole number from 65536")] = 1_048_576
    """What may wait for one client; then the oldest datagrams go."""

    @property
    def announced(self) -> str:
        """host:port, as clients reach it."""
        return self.endpoint or f"{self.bind}:{self.port}"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_per_address > self.max_connections:
            raise ValueError(
                f"maxPerAddress is {self.max_per_address}, more than maxConnections {self.max_connections} for all"
            )
        return self


class NodeSettings(Section):
    """One entry of ``berth:access.nodes``: a WireGuard node."""

    name: Label
    listen_port: Port = 51820
    """UDP port of WireGuard on this host."""
    control_port: Port = 18080
    """TCP port of the node's control API, published on 127.0.0.1 only."""
    bind: HostAddress = "127.0.0.1"
    """Where the WireGuard port is published."""
    endpoint: HostPort | None = None
    """What the node announces, if it is not `bind` and `listenPort`: a public host name, for example."""
    region: Label = "local"
    """A label that the Connect page shows."""
    probe_url: Url | None = None
    """What browsers ask to measure the way to the node; the gateway's `/nodes/<name>/ping` where absent."""
    memory: Annotated[int, Field(ge=128, le=1_048_576), Allowed("MiB, a whole number from 128")] = 1024
    """What its container may use: 128 MiB and some 60 KiB for each peer, where WireGuard does not run in the kernel."""
    bridges: Annotated[
        tuple[BridgeSettings, ...], Field(max_length=max_bridges), Allowed("a list of up to 8 bridges")
    ] = ()
    """TCP bridges before it, which it announces."""
    account_key: PrivateKey | None = None
    """Secret: the account that announces the node in NodeRegistry; made by the stack where absent."""


class BreakerSettings(Section):
    """``berth:access.breaker``: when a mass revocation waits for a person (`berth access approve`).

    It does where more than ``share`` percent of the peers, and at least ``atLeast`` of them, would lose their
    connection within a minute: by removal, by another key, or by a term that was cut short.
    """

    share: Annotated[int, Field(ge=1, le=100), Allowed("percent, a whole number from 1 to 100")] = 50
    """Percent of a node's peers that may go; 100 turns this off."""
    at_least: Annotated[int, Field(ge=1, le=1_000_000), Allowed("peers, a whole number from 1 to 1000000")] = 10
    """And how many, so that small networks need no approval."""
    wait_seconds: Annotated[int, Field(ge=0, le=86_400), Allowed("seconds, a whole number from 0 to 86400")] = 900
    """How long they keep their access meanwhile; then it ends without approval."""


class RelaySettings(Section):
    """``berth:access.relay``: the account that pays for what holders only sign."""

    key: PrivateKey | None = None
    """Secret: its private key; made by the stack where absent. On a chain that is not local it has to be funded."""
    per_minute: Annotated[int, Field(ge=1, le=10_000), Allowed("a whole number from 1 to 10000")] = 6
    """Registrations and revocations that one address, or one pass, gets paid for in a minute."""
    max_gas: Annotated[
        int, Field(ge=100_000, le=30_000_000), Allowed("gas, a whole number from 100000 to 30000000")
    ] = 600_000
    """The most that one transaction may use."""


class AccessSettings(Section):
    """``berth:access``: passes, tunnel and nodes."""

    mode: Annotated[Literal["follow", "on-up"], Allowed("follow or on-up")] = "follow"
    """Whether nodes follow the chain by themselves, or change peers only when `up` runs."""
    sync_seconds: Annotated[int, Field(ge=1, le=86_400), Allowed("seconds, a whole number from 1 to 86400")] = 30
    """How often a node that follows reads the whole list as well."""
    max_stale_seconds: Annotated[
        int, Field(ge=10, le=604_800), Allowed("seconds, a whole number from 10 to 604800")
    ] = 900
    """The oldest that a node's list may be: then it is unhealthy, and `outagePolicy` decides about its peers."""
    outage_policy: Annotated[Literal["fail-closed", "keep"], Allowed("fail-closed or keep")] = "fail-closed"
    """What becomes of peers when the chain cannot be read for longer: all go (`fail-closed`), or stay (`keep`)."""
    breaker: BreakerSettings = BreakerSettings()
    pass_name: Annotated[str, Field(min_length=1, max_length=64), Allowed("1 to 64 characters")] = "berth pass"
    pass_symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,11}$"), Allowed("1 to 11 capital letters or digits")] = (
        "BERTH"
    )
    owner: Address | None = None
    """Who may mint passes and allow nodes; the deployer's account where absent."""
    delegates: Annotated[bool, Allowed("true or false")] = False
    """Whether somebody to whom a holder delegates the pass may register a key for it."""
    quarantine_seconds: Annotated[
        int, Field(ge=0, le=31_536_000), Allowed("seconds, a whole number from 0 to 31536000")
    ] = 3600
    """How long the address of a pass that ended is given to nobody else."""
    tunnel_subnet: Subnet = IPv4Network("10.77.0.0/16")
    tunnel_subnet6: Subnet6 | None = None
    """IPv6 addresses beside the others, with the same host number; none where absent."""
    mtu: Annotated[int, Field(ge=1280, le=9000), Allowed("bytes, a whole number from 1280 to 9000")] = 1420
    """Of the tunnel, on nodes and in clients' files."""
    dns: Annotated[tuple[IpAddress, ...], Allowed("a list of IPv4 or IPv6 addresses")] = ()
    """Resolvers that clients' files name; clients keep their own where there are none."""
    nodes: Annotated[tuple[NodeSettings, ...], Allowed("a list of nodes")] = (NodeSettings(name="node-1"),)
    allow: tuple[Target, ...] = ("gateway:8081/tcp",)
    """What peers may reach; ``gateway`` stands for the gateway's address inside."""
    relay: RelaySettings = RelaySettings()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.tunnel_subnet.prefixlen <= 24:
            raise ValueError(f"tunnelSubnet is {self.tunnel_subnet}: it must be /24 or larger to hold the peers")
        if self.tunnel_subnet6 is not None:
            room, needed = 128 - self.tunnel_subnet6.prefixlen, 32 - self.tunnel_subnet.prefixlen
            if room < needed:
                raise ValueError(
                    f"tunnelSubnet6 is {self.tunnel_subnet6}, which has less room than tunnelSubnet "
                    f"{self.tunnel_subnet}: it must be /{128 - needed} or larger"
                )
        if self.mode == "follow" and self.max_stale_seconds < 2 * self.sync_seconds:
            raise ValueError(
                f"maxStaleSeconds is {self.max_stale_seconds}, and syncSeconds {self.sync_seconds}: a list would be "
                "too old before it is read again; it must be at least twice as long"
            )
        _distinct("nodes[].name", [node.name for node in self.nodes])
        _distinct("nodes[].listenPort", [node.listen_port for node in self.nodes])
        _distinct("nodes[].controlPort", [node.control_port for node in self.nodes])
        _distinct("nodes[].endpoint", [node.endpoint for node in self.nodes if node.endpoint])
        bridges = [bridge for node in self.nodes for bridge in node.bridges]
        _distinct("nodes[].bridges[].name", [bridge.name for bridge in bridges])
        _distinct("nodes[].bridges[].endpoint", [bridge.announced for bridge in bridges])
        keys = [(f"nodes[{i}].accountKey", node.account_key) for i, node in enumerate(self.nodes)]
        _apart([*keys, ("relay.key", self.relay.key)])
        return self


def _distinct(what: str, values: list[Any]) -> None:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{what} has {', '.join(twice)} more than once: each must be different")


def _apart(keys: list[tuple[str, Any]]) -> None:
    """Two senders with one account would take each other's nonces."""
    seen: dict[str, str] = {}
    for where, key in keys:
        if key is None:
            continue
        if (value := key.get_secret_value().lower()) in seen:
            raise ValueError(f"{where} is the key of {seen[value]} as well: each must be different")
        seen[value] = where


S = TypeVar("S", bound=Section)


def load_section(model: type[S], config: Mapping[str, str], key: str) -> S:
    """The section ``berth:<key>`` of a namespaced configuration, as ``pulumi`` and a provider's ``configure`` hold it.

    Errors: :class:`SettingsError` when it is not JSON, has an unknown key, or a wrong type or value.
    """
    name = f"{namespace}:{key}"
    raw = config.get(name, "{}")
    try:
        given = json.loads(raw)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{name} is not an object: {error}") from error
    try:
        return model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise SettingsError("\n".join(explain(error, model, name))) from error
