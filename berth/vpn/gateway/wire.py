"""What the node's agent and its gateway tell each other, over a socket in a folder that only these two see.

The gateway connects.  The node says hello, with the listening sockets in the tunnel attached to the first byte, and
then who owns which tunnel address: all of them first, and what changes from then on.  Each message is one line of
JSON; whoever does not understand the other ends the connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from berth.vpn.gateway.errors import NodeGone

version: Final = 1
most_sockets: Final = 2
longest_line: Final = 64 * 1024 * 1024
"""Bytes; 100,000 addresses are 4 MiB."""


@dataclass(frozen=True)
class Hello:
    """``addresses``: what the sockets are bound to, in their order."""

    node: str
    addresses: tuple[str, ...]

    def line(self) -> bytes:
        return _line({"version": version, "node": self.node, "sockets": list(self.addresses)})

    @classmethod
    def parse(cls, line: bytes) -> Hello:
        """NodeGone where the node speaks otherwise."""
        raw = _object(line)
        if raw.get("version") != version:
            raise NodeGone(f"the node speaks version {raw.get('version')!r}, this gateway {version}: update the older")
        return cls(str(raw["node"]), tuple(map(str, raw["sockets"])))


def owners_line(owned: Mapping[str, int | None]) -> bytes:
    """Address -> token, or None where nobody has it any more.  Tokens are longer than JSON's numbers."""
    return _line({address: None if token is None else str(token) for address, token in owned.items()})


def parse_owners(line: bytes) -> dict[str, str | None]:
    """The inverse, with tokens as decimal text; NodeGone where it is anything else."""
    raw = _object(line)
    for address, token in raw.items():
        try:
            ip_address(address)
        except ValueError:
            raise NodeGone(f"the node names {address!r}, which is no address") from None
        # It becomes part of a command and of a name.
        if token is not None and not (isinstance(token, str) and token.isascii() and token.isdigit()):
            raise NodeGone(f"the node names {token!r}, which is no token")
    return raw


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise NodeGone("the node sent something that is no message")
    return raw
