"""What peers may reach: targets, as the setting ALLOW spells them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Literal

Protocol = Literal["any", "tcp", "udp", "icmp"]
protocols: Final = ("any", "tcp", "udp", "icmp")
never: Final = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1", "fe80::/10", "ff00::/8")))
"""The node's own, its links' (clouds keep their metadata there) and multicast: nothing that peers are let to."""

_target: Final = re.compile(
    r"(?P<network>[0-9.]+(/[0-9]{1,2})?|\[[0-9a-fA-F:.]+(/[0-9]{1,3})?\])"
    r"(:(?P<first>[0-9]{1,5})(-(?P<last>[0-9]{1,5}))?)?(/(?P<protocol>[a-z]+))?"
)


@dataclass(frozen=True)
class Target:
    """What peers may reach: a network, a protocol, and a range of ports (0 to 65535 for all)."""

    network: IPv4Network | IPv6Network
    protocol: Protocol = "any"
    ports: tuple[int, int] = (0, 65535)

    @property
    def all_ports(self) -> bool:
        return self.ports == (0, 65535)


def parse_target(text: str) -> Target:
    """``ip[/prefix][:port[-port]][/protocol]``, IPv6 in brackets; ValueError says what is wrong.

    A port needs tcp or udp.  Without a protocol, every one is allowed.
    """
    found = _target.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is not ip[/prefix][:port[-port]][/protocol], for example 172.30.10.5:8081/tcp or [fd00::5]/tcp"
        )
    try:
        network = ip_network(found["network"].strip("[]"))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if any(network.version == one.version and network.subnet_of(one) for one in never):  # type: ignore[arg-type]  # versions are the same
        raise ValueError(f"{text!r}: loopback, link-local and multicast addresses are never let through")
    protocol = found["protocol"] or "any"
    if protocol not in protocols:
        raise ValueError(f"{text!r}: {protocol} is not a protocol that can be allowed, tcp, udp, icmp and any are")
    if not found["first"]:
        return Target(network, protocol)  # type: ignore[arg-type]  # checked above
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"{text!r}: a port needs a protocol, as in {text.rsplit('/', 1)[0]}/tcp")
    first, last = int(found["first"]), int(found["last"] or found["first"])
    if not 1 <= first <= last <= 65535:
        raise ValueError(f"{text!r}: ports are 1 to 65535, and a range goes upwards")
    return Target(network, protocol, (first, last))  # type: ignore[arg-type]  # checked above
