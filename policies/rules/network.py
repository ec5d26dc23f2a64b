"""What is reachable from outside the host."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Final

from .subject import Subject, container, get, names, policy

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


policies: Final = [
    policy(
        "published-ports",
        "Only the gateway and the WireGuard nodes are reachable from outside.",
        published_ports,
        settings={
            "stacks": names("prod"),
            "addresses": names("127.0.0.1"),
            "open": names("gateway", "node-*"),
        },
    ),
]
