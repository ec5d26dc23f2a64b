"""The TCP bridges that a client may go through, and how large what it sends may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Self

from berth.access.client.service import AccessService
from berth.chain.endpoint import Endpoint
from berth.chain.node_registry import NodeRegistry
from berth.chain.quorum import Quorum
from berth.kit.client import ClientError

local_port: Final = 51888
"""UDP port on 127.0.0.1 where the client end listens, and where a bridged configuration leads: no node's by default."""

path: Final = 1500
"""Bytes of an IP packet on an ordinary path."""
_ipv4, _ipv6, _tcp, _timestamps, _length, _wireguard = 20, 40, 20, 12, 2, 32
_discard: Final = 9  # the port that was given to what is thrown away (RFC 863)
_address: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True)
class Bridge:
    """A TCP bridge: ``endpoint`` host:port; ``node`` and ``key`` of the node behind it, "" where nobody said."""

    endpoint: str
    node: str = ""
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """``host:port`` or ``node=host:port``; ClientError for anything else."""
        node, named, endpoint = text.rpartition("=")
        found = _address.fullmatch(endpoint)
        if not found or not 0 < int(found[2]) < 65536 or (named and not node):
            raise ClientError(f"{text!r} is not a bridge: host:port is, or node=host:port")
        return cls(endpoint, node)


Source = Callable[[], Sequence[Bridge]]
"""Asks for the bridges of this moment; errors are ClientError and ChainError."""


def from_service(url: str) -> Source:
    """Those that the stack's access API says are well; it tells everybody."""
    service = AccessService(url)
    return lambda: [Bridge(one["endpoint"], one["node"], one["publicKey"]) for one in service.bridges()]


def from_registry(rpc_urls: Sequence[str], chain_id: int, address: str, quorum: int = 1) -> Source:
    """Those that nodes announced in NodeRegistry, well or not: the client end finds out."""
    registry = NodeRegistry(Quorum([Endpoint(url, chain_id) for url in rpc_urls], quorum), address)
    return lambda: [Bridge(each, node.id, node.key) for node in registry.nodes() for each in node.bridges]


def ordered(bridges: Sequence[Bridge], node: str) -> list[Bridge]:
    """Those of ``node`` first, since a session of WireGuard lives on from one to another of them; else as they come."""
    return sorted(bridges, key=lambda bridge: bridge.node != node)


def nudge(allowed: Sequence[str]) -> str:
    """Where in the tunnel a byte may go, address:port: the node's own address, which the allowed IPs begin with.

    Of a whole network it is the first host, as in ``TUNNEL_SUBNET``; "" where nothing is allowed.
    """
    for each in allowed:
        try:
            block = ip_network(each)
        except ValueError:
            continue
        host = block[0] if block.num_addresses == 1 else block[1]
        return f"[{host}]:{_discard}" if block.version == 6 else f"{host}:{_discard}"
    return ""


def mtu(own: int, endpoints: Sequence[str] = ()) -> int:
    """The tunnel's MTU through a bridge: the largest of whose packets each still travel in one TCP segment.

    Of 1500 bytes IPv4 takes 20, TCP 20, the frame's length 2, and WireGuard 32 (header 16, tag 16; its padding never
    goes beyond the MTU): 1426.  TCP's timestamps, which most systems use, take 12 more: 1414.  IPv6 takes 20 more than
    IPv4: 1394; a bridge whose host is a name is taken to be reached by IPv4.  Larger ones get through as well, cut in
    two.  ``own``: the MTU that the stack gives its tunnels, which is not exceeded.
    """
    ip = _ipv6 if any(endpoint.startswith("[") for endpoint in endpoints) else _ipv4
    return min(own, path - ip - _tcp - _timestamps - _length - _wireguard)
