"""What is reachable from outside the host."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Final

from .subject import Subject, container, get, names, policy

_node: Final = "berth:access:WireGuardNode"
_bridge: Final = "berth:access:MullvadProxy"
_bridge_http: Final = 8080
_gateway: Final = "berth:platform:Gateway"
_tls: Final = "tls.pem"
_everywhere: Final = ("", "0.0.0.0", "::", "[::]")


def published_ports(subject: Subject) -> Iterator[str]:
    """Without an address Docker publishes on all of them, past the host's own firewall."""
    if subject.type != container or subject.stack not in subject.setting("stacks"):
        return
    if any(fnmatch(subject.name, pattern) for pattern in subject.setting("open")):
        return
    addresses = subject.setting("addresses")
    for port in subject.items("ports"):
        address = get(port, "ip", "")
        if address in addresses:
            continue
        number = int(get(port, "external", 0)) or "a port"
        where = "every address" if address in _everywhere else address
        yield f"{subject.name} publishes {number} on {where}: allowed is {', '.join(addresses)}"


def node_control(subject: Subject) -> Iterator[str]:
    """Who reaches a node's control port and has its token decides who its peers are."""
    if subject.type != container or not subject.within(_node):
        return
    for port in subject.items("ports"):
        address = get(port, "ip", "")
        if get(port, "protocol", "tcp") != "udp" and not _is_loopback(address):
            yield (
                f"{subject.name} publishes its control port on {address or 'every address'}: it must be 127.0.0.1; "
                "only WireGuard's UDP port is for others"
            )


def bridge_http(subject: Subject) -> Iterator[str]:
    """What a bridge says of itself names its clients; others need the port that carries WireGuard, and no other."""
    if subject.type != container or not subject.within(_bridge):
        return
    for port in subject.items("ports"):
        address = get(port, "ip", "")
        if int(get(port, "internal", 0)) == _bridge_http and not _is_loopback(address):
            yield (
                f"{subject.name} publishes its health and statistics on {address or 'every address'}: only the port "
                "that carries WireGuard is for others"
            )


def tls(subject: Subject) -> Iterator[str]:
    """Without TLS browsers give the page neither wallets nor keys, and passwords and sessions are in the open."""
    if subject.type != container or not subject.within(_gateway):
        return
    files = [str(get(each, "file", "")).rpartition("/")[2] for each in subject.items("uploads")]
    if not files or _tls in files:
        return  # without any, they are not known yet
    for port in subject.items("ports"):
        address = get(port, "ip", "")
        if not _is_loopback(address):
            yield (
                f"{subject.name} is published on {address or 'every address'} without TLS: set berth:gateway.tls, or "
                "bind it to 127.0.0.1"
            )
            return


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("::1", "[::1]")


policies: Final = [
    policy("node-control", "Nodes publish their control ports on loopback only.", node_control),
    policy("bridge-http", "Bridges publish the port that carries WireGuard alone.", bridge_http),
    policy("tls", "What is reachable from outside has TLS.", tls),
    policy(
        "published-ports",
        "Only the gateway, the WireGuard nodes and their TCP bridges are reachable from outside.",
        published_ports,
        settings={
            "stacks": names("prod"),
            "addresses": names("127.0.0.1"),
            "open": names("gateway", "node-*", "bridge-*"),
        },
    ),
]
