"""What the node's agent and its gateway tell each other, over a socket in a folder that only these two see.

The gateway connects.  The node says hello, with the listening sockets in the tunnel attached to the first byte, and
then who owns which tunnel address: all of them first, and what changes from then on.  Each message is one line of
JSON; whoever does not understand the other ends the connection.  The gateway says one thing, once: that it is ready.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from berth.vpn.gateway.errors import NodeGone

version: Final = 2
ready: Final = b"\n"
"""What the gateway says when it answers peers."""
most_sockets: Final = 2
longest_line: Final = 64 * 1024 * 1024
"""Bytes; 100,000 addresses are 8 MiB."""
_owner: Final = re.compile(r"[0-9]{1,78}-0x[0-9a-f]{40}")


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


def owner_word(token: int, holder: str) -> str:
    """A pass and the wallet that it was registered for, as one word: the same pass of somebody else is another."""
    return f"{token}-{holder.lower()}"


def owners_line(owned: Mapping[str, str | None]) -> bytes:
    """Address -> owner (see :func:`owner_word`), or None where nobody has it any more."""
    return _line(owned)


def parse_owners(line: bytes) -> dict[str, str | None]:
    """The inverse; NodeGone where it is anything else."""
    raw = _object(line)
    for address, owner in raw.items():
        try:
            ip_address(address)
        except ValueError:
            raise NodeGone(f"the node names {address!r}, which is no address") from None
        # It becomes part of a command and of a name.
        if owner is not None and not (isinstance(owner, str) and _owner.fullmatch(owner)):
            raise NodeGone(f"the node names {owner!r}, which is no pass with its holder")
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
