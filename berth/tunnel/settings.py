"""Settings of a bridge, from its environment; docs/bridge.md has the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from berth.chain.hashing import normalize_address
from berth.chain.networks import networks
from berth.kit.settings import ServiceSettings

End = Literal["tcp2udp", "udp2tcp"]

_address: Final = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_target: Final = re.compile(r"(\[[0-9A-Fa-f:.]+(/\d{1,3})?\]|[A-Za-z0-9._-]+(/\d{1,2})?):(\d{1,5}|\*)")


def parts(text: str) -> list[str]:
    """What a comma-separated list holds."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _each(check: Callable[[str], bool], expected: str) -> Callable[[str], str]:
    def checked(text: str) -> str:
        for part in parts(text):
            if not check(part):
                raise ValueError(f"{part!r} is not {expected}")
        return text

    return checked


def is_endpoint(text: str) -> bool:
    """Whether it is ``host:port``."""
    found = _address.fullmatch(text)
    return found is not None and 1 <= int(found[2]) <= 65535


def _is_numeric(text: str) -> bool:
    """Whether it is ``address:port``, an IPv6 address in brackets: inside a tunnel there are no names."""
    host, _, _ = text.rpartition(":")
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return is_endpoint(text)


def _is_named(text: str) -> bool:
    node, equals, address = text.partition("=")
    return (
        is_endpoint(address) and re.fullmatch(r"[A-Za-z0-9._-]{1,63}", node) is not None
        if equals
        else is_endpoint(text)
    )


def _is_target(text: str) -> bool:
    found = _target.fullmatch(text)
    return found is not None and (found[4] == "*" or 1 <= int(found[4]) <= 65535)


def _ip(text: str) -> str:
    if text:
        ip_address(text)
    return text


def _one(text: str) -> str:
    if text and not is_endpoint(text):
        raise ValueError("not host:port")
    return text


def _url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/]+", text.rstrip("/")):
        raise ValueError("not a URL such as http://node:8080")
    return text.rstrip("/")


def _network(text: str) -> str:
    if text not in networks:
        raise ValueError("not a network that is known: it must be one of " + ", ".join(networks))
    return text


Seconds = Annotated[float, Field(ge=0, le=86_400)]
Interval = Annotated[float, Field(ge=0.1, le=3600)]
Bytes = Annotated[int, Field(ge=0, le=2**30)]
Addresses = Annotated[str, AfterValidator(_each(is_endpoint, "address:port"))]


class BridgeSettings(ServiceSettings):
    """The variables of a bridge, in lower case; docs/bridge.md says what each is."""

    bridge_end: End
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    program: Path = Path("/usr/local/bin/berth-bridge")
    control_socket: Path = Path("/run/bridge/control.sock")
    redact: bool = True
    nodelay: bool = True
    fwmark: Annotated[int, Field(ge=0, lt=2**31)] = 0
    recv_buffer: Bytes = 0
    send_buffer: Bytes = 0
    udp_buffer: Bytes = 4 * 2**20
    tcp_recv_timeout: Seconds | None = None
    tcp_send_timeout: Seconds = 30
    frame_timeout: Seconds = 10
    queue_bytes: Annotated[int, Field(ge=65_536, le=2**30)] = 2**20

    tcp_listen: Addresses = "0.0.0.0:51840"
    udp_forward: Annotated[str, AfterValidator(_one)] = ""
    allow_targets: Annotated[str, AfterValidator(_each(_is_target, "host:port, address:port or block:port"))] = ""
    udp_bind: Annotated[str, AfterValidator(_ip)] = ""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_per_address: Annotated[int, Field(ge=1, le=100_000)] = 100
    first_timeout: Seconds = 30
    answer_timeout: Seconds = 30
    node_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,63}$")] = ""
    node_url: Annotated[str, AfterValidator(_url)] = ""

    udp_listen: Addresses = "127.0.0.1:51820"
    tcp_forward: Annotated[str, AfterValidator(_each(_is_named, "host:port or node=host:port"))] = ""
    endpoints_file: Path | None = None
    prefer_nodes: str = ""
    max_peers: Annotated[int, Field(ge=1, le=10_000)] = 64
    peer_idle: Seconds = 300
    stall_timeout: Seconds = 3
    silent_timeout: Seconds = 12
    check_interval: Interval = 5
    return_after: Seconds = 30
    dial_timeout: Interval = 3
    nudge: Annotated[str, AfterValidator(_each(_is_numeric, "address:port, the address in figures"))] = ""

    network: Annotated[str, AfterValidator(_network)] = "base"
    chain_id: Annotated[int, Field(ge=1)] | None = None
    rpc_urls: Annotated[
        str, AfterValidator(_each(lambda part: re.fullmatch(r"https?://\S+", part) is not None, "an http or https URL"))
    ] = ""
    quorum: Annotated[int, Field(ge=1, le=16)] = 1
    node_registry: Annotated[str, AfterValidator(normalize_address)] | None = None
    registry_interval: Interval = 10

    @model_validator(mode="after")
    def _together(self) -> BridgeSettings:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        if self.bridge_end == "tcp2udp":
            if not self.udp_forward:
                yield "UDP_FORWARD is not set: tcp2udp needs the host:port that datagrams go to"
            if not parts(self.tcp_listen):
                yield "TCP_LISTEN is empty: tcp2udp needs an address:port to listen on"
            return
        if not parts(self.udp_listen):
            yield "UDP_LISTEN is empty: udp2tcp needs an address:port to listen on"
        if not (self.tcp_forward or self.endpoints_file or self.node_registry):
            yield "TCP_FORWARD, ENDPOINTS_FILE and NODE_REGISTRY are not set: udp2tcp needs one to know where to go"
        if self.endpoints_file and (self.tcp_forward or self.node_registry):
            yield "ENDPOINTS_FILE is set beside TCP_FORWARD or NODE_REGISTRY: the file is the whole list"
        preset = networks[self.network]
        if self.node_registry and self.chain_id not in (None, preset.chain_id) and not self.rpc_urls:
            yield (
                f"CHAIN_ID is {self.chain_id}, but the endpoints of NETWORK {self.network} serve chain "
                f"{preset.chain_id}: set RPC_URLS"
            )
        if self.quorum > len(self.rpc_endpoints):
            yield f"QUORUM is {self.quorum}, but RPC_URLS names {len(self.rpc_endpoints)}: so many cannot agree"

    @property
    def chain(self) -> int:
        """The chain's id: CHAIN_ID, else the network's."""
        return self.chain_id or networks[self.network].chain_id

    @property
    def rpc_endpoints(self) -> tuple[str, ...]:
        """The JSON-RPC URLs, the first one first."""
        return tuple(parts(self.rpc_urls)) or networks[self.network].rpc_urls
