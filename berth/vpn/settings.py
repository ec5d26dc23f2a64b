"""Settings of a node, from its environment; see docs for the table of variables."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from berth.access.tunnel import node_address
from berth.chain.hashing import normalize_address
from berth.kit.settings import ServiceSettings
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


class NodeSettings(ServiceSettings):
    """The variables of a node, in lower case.

    ``allow``: comma-separated targets, see :func:`berth.vpn.target.parse_target`.  ``control_sources``:
    comma-separated IPv4 blocks that may call the control API; the host (the default gateway) always may.
    """

    node_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    rpc_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    key_registry: Annotated[str, AfterValidator(normalize_address)]
    chain_id: Annotated[int, Field(ge=1)]
    control_token: Annotated[SecretStr, Field(min_length=16)]
    tunnel_subnet: Annotated[str, AfterValidator(_subnet)] = "10.77.0.0/16"
    interface: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,14}$")] = "wg0"
    mtu: Annotated[int, Field(ge=1280, le=9000)] = 1420
    listen_port: Port = 51820
    control_port: Port = 8080
    control_sources: Annotated[str, AfterValidator(_networks)] = ""
    allow: Annotated[str, AfterValidator(_targets)] = ""
    state_dir: Path = Path("/var/lib/berth")

    @model_validator(mode="after")
    def _not_each_other(self) -> NodeSettings:
        for target in self.targets:
            if isinstance(target.network, IPv4Network) and target.network.overlaps(self.subnet):
                raise ValueError(
                    f"ALLOW holds {target.network}, which overlaps TUNNEL_SUBNET {self.subnet}: "
                    "peers do not reach each other"
                )
        return self

    @cached_property
    def subnet(self) -> IPv4Network:
        return IPv4Network(self.tunnel_subnet)

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
